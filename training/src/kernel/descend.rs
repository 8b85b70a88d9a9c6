//! The product backwards, and at once the step that it is for: `g[k, unit] = Σ_sample tiles[k, sample] · deltas[sample, unit]`,
//! samples ascending; then the optimizer moves `weights[k, unit]`. The gradient never leaves the registers.

use std::ops::Range;

use super::rule::{Mover, Spot};
use super::{Kept, Lanes, Op, PANEL_REGISTERS, Panel, Panels, Rule, SQUARE, TILE, tile_block};

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
                PANEL_REGISTERS => self.panel::<L, PANEL_REGISTERS>(lanes, panel, deltas),
                2 => self.panel::<L, 2>(lanes, panel, deltas),
                _ => self.panel::<L, 1>(lanes, panel, deltas),
            }
        }
    }
}

impl Descend<'_> {
    #[inline(always)]
    fn panel<L: Lanes, const V: usize>(&mut self, lanes: L, panel: Panel, deltas: &[L::Register]) {
        let depth = self.depth;
        let here = panel.first * depth..(panel.first + panel.width) * depth;
        let mask = self.kept.panel(panel.first / self.panels.full());
        let mut strip = Strip::<L, V> {
            lanes,
            tiles: self.tiles,
            depth,
            samples: self.rows,
            deltas,
            weights: L::split_mut(&mut self.weights[here.clone()]),
            mask: mask.map(|mask| L::split(&mask[here.clone()])),
            mover: self.rule.panel::<L, V>(panel.first, here),
            gradient: [lanes.splat(0.0); MOST_WAITING],
            waiting: 0..0,
        };
        let mut row = 0;
        while row < depth {
            // Tiles of inputs do not straddle tiles of memory.
            let left = (depth - row).min(TILE - row % TILE);
            row += if L::ROWS == 8 && left == 8 {
                strip.tile::<8>(row)
            } else if left >= 4 {
                strip.tile::<4>(row)
            } else if left >= 2 {
                strip.tile::<2>(row)
            } else {
                strip.tile::<1>(row)
            };
        }
        strip.settle(0);
    }
}

/// Registers of the largest tile.
const MOST_WAITING: usize = TILE * PANEL_REGISTERS;

/// One panel of the product. A tile's weights move while the next tile's gradient is summed: roots, quotients and the way to
/// memory take long, and products go on beside them.
struct Strip<'a, L: Lanes, const V: usize> {
    lanes: L,
    tiles: &'a [f32],
    depth: usize,
    samples: usize,
    deltas: &'a [L::Register],
    weights: &'a mut [L::Register],
    mask: Option<&'a [L::Register]>,
    mover: Mover<'a, L::Register, V>,
    /// The gradient of the tile before.
    gradient: [L::Register; MOST_WAITING],
    /// Where its weights lie in the panel, in registers.
    waiting: Range<usize>,
}

impl<L: Lanes, const V: usize> Strip<'_, L, V> {
    /// The gradient of R rows, which then waits; R.
    #[inline(always)]
    fn tile<const R: usize>(&mut self, row: usize) -> usize {
        let lanes = self.lanes;
        let mut sums = [[lanes.splat(0.0); V]; R];
        let inside = row % TILE;
        let squares = self.tiles[row / TILE * SQUARE..].chunks(tile_block(self.depth));
        // One register that waits moves after every so many samples.
        let (run, count) = if R == TILE {
            let run = (self.samples / (R * V)).clamp(1, TILE);
            (run, self.waiting.len())
        } else {
            (TILE, 0)
        };
        let (mut next, mut v) = (0, 0);
        for (square, deltas) in squares.zip(self.deltas.chunks(TILE * V)) {
            let samples = square[..SQUARE].as_chunks::<TILE>().0;
            for (samples, deltas) in samples.chunks(run).zip(deltas.chunks(run * V)) {
                for (inputs, deltas) in samples.iter().zip(deltas.chunks_exact(V)) {
                    let inputs = &inputs[inside..inside + R];
                    for r in 0..R {
                        let x = lanes.splat(inputs[r]);
                        for v in 0..V {
                            sums[r][v] = lanes.mul_add(x, deltas[v], sums[r][v]);
                        }
                    }
                }
                if next < count {
                    self.step_waiting(next, v);
                    next += 1;
                    v = if v + 1 == V { 0 } else { v + 1 };
                }
            }
        }
        self.settle(next);
        // A copy, so that the sums themselves are only ever indexed by constants and stay in registers.
        let mut gradient = [[lanes.splat(0.0); V]; R];
        for r in 0..R {
            for v in 0..V {
                gradient[r][v] = sums[r][v];
            }
        }
        if L::ROWS < TILE {
            // Sixteen registers have no room for another tile's step.
            for (gradient, row) in gradient.iter().zip(row..) {
                for (v, &gradient) in gradient.iter().enumerate() {
                    self.step(gradient, row * V + v, v);
                }
            }
            return R;
        }
        for (waiting, gradient) in self.gradient.iter_mut().zip(gradient.as_flattened()) {
            *waiting = *gradient;
        }
        self.waiting = row * V..(row + R) * V;
        R
    }

    /// Moves what waits, from a register on.
    #[inline(always)]
    fn settle(&mut self, from: usize) {
        for next in from..self.waiting.len() {
            self.step_waiting(next, next % V);
        }
    }

    /// Moves one of the registers that wait.
    #[inline(always)]
    fn step_waiting(&mut self, next: usize, v: usize) {
        self.step(self.gradient[next], self.waiting.start + next, v);
    }

    /// Moves the register at this place in the panel, the v-th of its row.
    #[inline(always)]
    fn step(&mut self, gradient: L::Register, index: usize, v: usize) {
        let at = Spot {
            index,
            v,
            // The last row is the bias.
            decays: index < (self.depth - 1) * V,
        };
        self.mover
            .step(self.lanes, gradient, self.weights, self.mask, at);
    }
}
