//! The product forwards: `out[sample, unit] = Σ_k tiles[k, sample] · weights[k, unit]`, k ascending.

use super::{Lanes, Op, PANEL_REGISTERS, Panels, SQUARE, TILE, tile_block};

/// Inputs as tiles, weights as panels of `depth` rows, results as panels of `stride` rows. Rows past `rows` are left alone.
pub(crate) struct Forward<'a> {
    pub(crate) tiles: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    pub(crate) weights: &'a [f32],
    pub(crate) panels: Panels,
    /// Whether results are rectified: `max(0, sum)`.
    pub(crate) rectify: bool,
    pub(crate) out: &'a mut [f32],
}

impl Op for Forward<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        for panel in self.panels.iter() {
            let weights = &self.weights[panel.first * self.depth..][..panel.width * self.depth];
            let out = &mut self.out[panel.first * self.stride..][..panel.width * self.rows];
            let (weights, out) = (L::split(weights), L::split_mut(out));
            let product = Product {
                lanes,
                tiles: self.tiles,
                depth: self.depth,
                rectify: self.rectify,
                weights,
            };
            match weights.len() / self.depth {
                PANEL_REGISTERS => product.panel::<PANEL_REGISTERS>(out),
                2 => product.panel::<2>(out),
                _ => product.panel::<1>(out),
            }
        }
    }
}

/// One panel of the product.
struct Product<'a, L: Lanes> {
    lanes: L,
    tiles: &'a [f32],
    depth: usize,
    rectify: bool,
    weights: &'a [L::Register],
}

impl<L: Lanes> Product<'_, L> {
    #[inline(always)]
    fn panel<const V: usize>(&self, out: &mut [L::Register]) {
        let rows = out.len() / V;
        let mut row = 0;
        while L::ROWS == 8 && rows - row >= 8 {
            self.tile::<8, V>(row, out);
            row += 8;
        }
        while rows - row >= 4 {
            self.tile::<4, V>(row, out);
            row += 4;
        }
        while rows - row >= 2 {
            self.tile::<2, V>(row, out);
            row += 2;
        }
        if row < rows {
            self.tile::<1, V>(row, out);
        }
    }

    #[inline(always)]
    fn tile<const R: usize, const V: usize>(&self, row: usize, out: &mut [L::Register]) {
        let lanes = self.lanes;
        let mut sums = [[lanes.splat(0.0); V]; R];
        let tiles = &self.tiles[row / TILE * tile_block(self.depth) + row % TILE * TILE..];
        let mut squares = tiles.chunks(SQUARE);
        let mut blocks = self.weights.chunks_exact(TILE * V);
        for (block, inputs) in (&mut blocks).zip(&mut squares) {
            let inputs = &inputs[..R * TILE];
            for k in 0..TILE {
                let weights = &block[k * V..(k + 1) * V];
                for r in 0..R {
                    let x = lanes.splat(inputs[r * TILE + k]);
                    for v in 0..V {
                        sums[r][v] = lanes.mul_add(x, weights[v], sums[r][v]);
                    }
                }
            }
        }
        // The last tile is not full where the depth is no multiple of its columns.
        if !self.depth.is_multiple_of(TILE) {
            let last = self.depth / TILE * SQUARE;
            let inputs = &tiles[last..last + R * TILE];
            for (k, weights) in blocks.remainder().chunks_exact(V).enumerate() {
                for r in 0..R {
                    let x = lanes.splat(inputs[r * TILE + k]);
                    for v in 0..V {
                        sums[r][v] = lanes.mul_add(x, weights[v], sums[r][v]);
                    }
                }
            }
        }
        let out = &mut out[row * V..(row + R) * V];
        for r in 0..R {
            for v in 0..V {
                out[r * V + v] = if self.rectify {
                    lanes.rectify(sums[r][v])
                } else {
                    sums[r][v]
                };
            }
        }
    }
}
