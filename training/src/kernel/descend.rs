//! The product backwards, and at once the step that it is for: `g[k, unit] = Σ_sample tiles[k, sample] · deltas[sample, unit]`,
//! samples ascending; then the optimizer moves `weights[k, unit]`. The gradient never leaves the registers.

use super::{Lanes, Op, PANEL_REGISTERS, Panels, TILE};

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
    /// Laid out as the weights: all bits set for a weight that is kept, none for one that is not, whose gradient is then 0.
    /// Read only for the panels that `masked` names.
    pub(crate) mask: &'a [f32],
    /// For every panel whether it has weights that are not kept; empty where none has.
    pub(crate) masked: &'a [bool],
    pub(crate) rule: Rule<'a>,
}

/// How the gradient g moves the weights w. Every coefficient is one number per column.
pub(crate) enum Rule<'a> {
    /// v ← μv + g + λw; w ← w − lr·v.
    Sgd {
        velocity: &'a mut [f32],
        rate: &'a [f32],
        momentum: &'a [f32],
        decay: &'a [f32],
    },
    /// g ← g + λw; m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; w ← w − rate·m / (root·√v + ε), where
    /// rate = lr / (1 − β₁ᵗ) and root = 1 / √(1 − β₂ᵗ).
    Adam {
        first: &'a mut [f32],
        second: &'a mut [f32],
        rate: &'a [f32],
        root: &'a [f32],
        beta1: &'a [f32],
        rest1: &'a [f32],
        beta2: &'a [f32],
        rest2: &'a [f32],
        epsilon: &'a [f32],
        decay: &'a [f32],
    },
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
        let tile = &self.tiles[row / TILE * self.stride * TILE..][..self.rows * TILE];
        let inside = row % TILE;
        for (inputs, deltas) in tile
            .as_chunks::<TILE>()
            .0
            .iter()
            .zip(deltas.chunks_exact(V))
        {
            let inputs = &inputs[inside..inside + R];
            for r in 0..R {
                let x = lanes.splat(inputs[r]);
                for v in 0..V {
                    sums[r][v] = lanes.mul_add(x, deltas[v], sums[r][v]);
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
        let here = column * self.depth + row * width;
        let there = here + R * width;
        let index = column / self.panels.full();
        if self.masked.get(index).copied().unwrap_or(false) {
            let mask = L::split(&self.mask[here..there]);
            for r in 0..R {
                for v in 0..V {
                    gradient[r][v] = lanes.and(gradient[r][v], mask[r * V + v]);
                }
            }
        }
        let weights = L::split_mut(&mut self.weights[here..there]);
        let columns = column..column + width;
        // The last row is the bias.
        let decayed = (self.depth - 1 - row).min(R);
        match &mut self.rule {
            Rule::Sgd {
                velocity,
                rate,
                momentum,
                decay,
            } => {
                let velocity = L::split_mut(&mut velocity[here..there]);
                let rate = L::split(&rate[columns.clone()]);
                let momentum = L::split(&momentum[columns.clone()]);
                let decay = L::split(&decay[columns]);
                for (r, gradient) in gradient.iter().enumerate() {
                    for v in 0..V {
                        let i = r * V + v;
                        let mut g = gradient[v];
                        if r < decayed {
                            g = lanes.mul_add(decay[v], weights[i], g);
                        }
                        let moved = lanes.mul_add(momentum[v], velocity[i], g);
                        velocity[i] = moved;
                        weights[i] = lanes.mul_add(lanes.neg(rate[v]), moved, weights[i]);
                    }
                }
            }
            Rule::Adam {
                first,
                second,
                rate,
                root,
                beta1,
                rest1,
                beta2,
                rest2,
                epsilon,
                decay,
            } => {
                let first = L::split_mut(&mut first[here..there]);
                let second = L::split_mut(&mut second[here..there]);
                let rate = L::split(&rate[columns.clone()]);
                let root = L::split(&root[columns.clone()]);
                let beta1 = L::split(&beta1[columns.clone()]);
                let rest1 = L::split(&rest1[columns.clone()]);
                let beta2 = L::split(&beta2[columns.clone()]);
                let rest2 = L::split(&rest2[columns.clone()]);
                let epsilon = L::split(&epsilon[columns.clone()]);
                let decay = L::split(&decay[columns]);
                for (r, gradient) in gradient.iter().enumerate() {
                    for v in 0..V {
                        let i = r * V + v;
                        let mut g = gradient[v];
                        if r < decayed {
                            g = lanes.mul_add(decay[v], weights[i], g);
                        }
                        let m = lanes.mul_add(beta1[v], first[i], lanes.mul(rest1[v], g));
                        let s = lanes.mul_add(
                            beta2[v],
                            second[i],
                            lanes.mul(rest2[v], lanes.mul(g, g)),
                        );
                        first[i] = m;
                        second[i] = s;
                        let bottom = lanes.add(lanes.mul(root[v], lanes.sqrt(s)), epsilon[v]);
                        let step = lanes.div(lanes.mul(rate[v], m), bottom);
                        weights[i] = lanes.add(weights[i], lanes.neg(step));
                    }
                }
            }
        }
        R
    }
}
