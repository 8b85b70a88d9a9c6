//! The optimizer's step: from gradients in registers to weights and moments in memory.

use super::Lanes;

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
    /// The weights stay, and the gradient is kept: somebody else moves them.
    Gradient { out: &'a mut [f32] },
}

/// Which weights are kept.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    /// Laid out as the weights: all bits set for a weight that is kept, none for one that is not, whose gradient is then 0.
    /// Read only for the panels that `panels` names.
    pub(crate) mask: &'a [f32],
    /// For every panel whether it has weights that are not kept; empty where none has.
    pub(crate) panels: &'a [bool],
}

impl<'a> Kept<'a> {
    /// The mask of all weights, if this panel needs it.
    pub(super) fn panel(&self, index: usize) -> Option<&'a [f32]> {
        let needed = self.panels.get(index).copied().unwrap_or(false);
        needed.then_some(self.mask)
    }
}

/// Rows of one panel that step together.
pub(super) struct Block {
    /// Their first column.
    pub(super) column: usize,
    /// Where the first row begins among the weights.
    pub(super) index: usize,
    /// How many of the rows there are.
    pub(super) rows: usize,
    /// How many of them decay.
    pub(super) decayed: usize,
}

impl Rule<'_> {
    /// Moves the weights of a block against their gradient.
    #[inline(always)]
    pub(super) fn step<L: Lanes, const R: usize, const V: usize>(
        &mut self,
        lanes: L,
        gradient: [[L::Register; V]; R],
        weights: &mut [f32],
        mask: Option<&[f32]>,
        at: &Block,
    ) {
        let mut gradient = gradient;
        let width = V * (size_of::<L::Register>() / size_of::<f32>());
        let here = at.index..at.index + at.rows * width;
        let columns = at.column..at.column + width;
        if let Some(mask) = mask {
            let mask = L::split(&mask[here.clone()]);
            for (gradient, mask) in gradient.iter_mut().zip(mask.chunks_exact(V)) {
                for v in 0..V {
                    gradient[v] = lanes.and(gradient[v], mask[v]);
                }
            }
        }
        let weights = L::split_mut(&mut weights[here.clone()]);
        match self {
            Rule::Sgd {
                velocity,
                rate,
                momentum,
                decay,
            } => {
                let velocity = L::split_mut(&mut velocity[here]);
                let rate = L::split(&rate[columns.clone()]);
                let momentum = L::split(&momentum[columns.clone()]);
                let decay = L::split(&decay[columns]);
                for (r, gradient) in gradient.iter().enumerate().take(at.rows) {
                    for v in 0..V {
                        let i = r * V + v;
                        let mut g = gradient[v];
                        if r < at.decayed {
                            g = lanes.mul_add(decay[v], weights[i], g);
                        }
                        let moved = lanes.mul_add(momentum[v], velocity[i], g);
                        velocity[i] = moved;
                        weights[i] = lanes.mul_add(lanes.neg(rate[v]), moved, weights[i]);
                    }
                }
            }
            Rule::Gradient { out } => {
                let out = L::split_mut(&mut out[here]);
                for (out, gradient) in out.chunks_exact_mut(V).zip(&gradient) {
                    out.copy_from_slice(gradient);
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
                let first = L::split_mut(&mut first[here.clone()]);
                let second = L::split_mut(&mut second[here]);
                let rate = L::split(&rate[columns.clone()]);
                let root = L::split(&root[columns.clone()]);
                let beta1 = L::split(&beta1[columns.clone()]);
                let rest1 = L::split(&rest1[columns.clone()]);
                let beta2 = L::split(&beta2[columns.clone()]);
                let rest2 = L::split(&rest2[columns.clone()]);
                let epsilon = L::split(&epsilon[columns.clone()]);
                let decay = L::split(&decay[columns]);
                for (r, gradient) in gradient.iter().enumerate().take(at.rows) {
                    for v in 0..V {
                        let i = r * V + v;
                        let mut g = gradient[v];
                        if r < at.decayed {
                            g = lanes.mul_add(decay[v], weights[i], g);
                        }
                        let m = lanes.mul_add(beta1[v], first[i], lanes.mul(rest1[v], g));
                        let square = lanes.mul(rest2[v], lanes.mul(g, g));
                        let s = lanes.mul_add(beta2[v], second[i], square);
                        first[i] = m;
                        second[i] = s;
                        let bottom = lanes.add(lanes.mul(root[v], lanes.sqrt(s)), epsilon[v]);
                        let step = lanes.div(lanes.mul(rate[v], m), bottom);
                        weights[i] = lanes.sub(weights[i], step);
                    }
                }
            }
        }
    }
}
