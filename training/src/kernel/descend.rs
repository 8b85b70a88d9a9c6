//! The product backwards, and at once the step that it is for: `g[k, unit] = Σ_sample tiles[k, sample] · deltas[sample, unit]`,
//! samples ascending; then the optimizer moves `weights[k, unit]`. The gradient never leaves the registers.

use super::rule::Block;
use super::{Kept, Lanes, Op, PANEL_REGISTERS, Panels, Rule, SQUARE, TILE, tile_block};

/// Inputs as tiles, deltas as panels of `stride` rows, weights and moments as panels of `depth` rows, of which the last is the
/// bias: no weight decay there.
pub(crate) struct Descend<'a> {
    pub(crate) tiles: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    pub(crate) deltas: &'a [f32],
    pub(crate) panels: Panels,
    pub(crate) weights: &'a mut [f32],
    pub(crate) kept: Kept<'a>,
    pub(crate) rule: Rule<'a>,
}

impl Op for Descend<'_> {
    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        for panel in self.panels.iter() {
            let deltas =
                L::split(&self.deltas[panel.first * self.stride..][..panel.width * self.rows]);
            match deltas.len() / self.rows {
                PANEL_REGISTERS => self.panel::<L, PANEL_REGISTERS>(lanes, panel.first, deltas),
                2 => self.panel::<L, 2>(lanes, panel.first, deltas),
                _ => self.panel::<L, 1>(lanes, panel.first, deltas),
            }
        }
    }
}

impl Descend<'_> {
    #[inline(always)]
    fn panel<L: Lanes, const V: usize>(&mut self, lanes: L, column: usize, deltas: &[L::Register]) {
        let mut row = 0;
        while row < self.depth {
            // Tiles of inputs do not straddle tiles of memory.
            let left = (self.depth - row).min(TILE - row % TILE);
            row += if L::ROWS == 8 && left == 8 {
                self.tile::<L, 8, V>(lanes, column, row, deltas)
            } else if left >= 4 {
                self.tile::<L, 4, V>(lanes, column, row, deltas)
            } else if left >= 2 {
                self.tile::<L, 2, V>(lanes, column, row, deltas)
            } else {
                self.tile::<L, 1, V>(lanes, column, row, deltas)
            };
        }
    }

    #[inline(always)]
    fn tile<L: Lanes, const R: usize, const V: usize>(
        &mut self,
        lanes: L,
        column: usize,
        row: usize,
        deltas: &[L::Register],
    ) -> usize {
        let mut sums = [[lanes.splat(0.0); V]; R];
        let inside = row % TILE;
        let squares = self.tiles[row / TILE * SQUARE..].chunks(tile_block(self.depth));
        for (square, deltas) in squares.zip(deltas.chunks(TILE * V)) {
            let samples = square[..SQUARE].as_chunks::<TILE>().0.iter();
            for (inputs, deltas) in samples.zip(deltas.chunks_exact(V)) {
                let inputs = &inputs[inside..inside + R];
                for r in 0..R {
                    let x = lanes.splat(inputs[r]);
                    for v in 0..V {
                        sums[r][v] = lanes.mul_add(x, deltas[v], sums[r][v]);
                    }
                }
            }
        }
        // A copy, so that the sums themselves are only ever indexed by constants and stay in registers.
        let mut gradient = [[lanes.splat(0.0); V]; R];
        for r in 0..R {
            for v in 0..V {
                gradient[r][v] = sums[r][v];
            }
        }
        let width = V * (size_of::<L::Register>() / size_of::<f32>());
        let at = Block {
            column,
            index: column * self.depth + row * width,
            rows: R,
            // The last row is the bias.
            decayed: (self.depth - 1 - row).min(R),
        };
        let masked = self.kept.panel(column / self.panels.full());
        self.rule.step(lanes, gradient, self.weights, masked, &at);
        R
    }
}
