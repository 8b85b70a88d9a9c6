//! The optimizer's step: from gradients in registers to weights and moments in memory.

use std::array::from_fn;
use std::ops::Range;

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

/// A rule at one panel, V registers wide: coefficients lie together, so that a single register is moved at little expense.
pub(super) enum Mover<'a, R, const V: usize> {
    Sgd {
        velocity: &'a mut [R],
        by: [Sgd<R>; V],
    },
    Adam {
        first: &'a mut [R],
        second: &'a mut [R],
        by: [Adam<R>; V],
    },
    Gradient {
        out: &'a mut [R],
    },
}

/// Coefficients of one register of columns.
#[derive(Clone, Copy)]
pub(super) struct Sgd<R> {
    rate: R,
    momentum: R,
    decay: R,
}

/// Coefficients of one register of columns.
#[derive(Clone, Copy)]
pub(super) struct Adam<R> {
    rate: R,
    root: R,
    beta1: R,
    rest1: R,
    beta2: R,
    rest2: R,
    epsilon: R,
    decay: R,
}

/// One register of a panel.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    /// Its place in the panel, in registers.
    pub(super) index: usize,
    /// Its place in its row, in registers.
    pub(super) v: usize,
    /// Whether its weights decay.
    pub(super) decays: bool,
}

impl Rule<'_> {
    /// The rule itself; what is left in its place moves nothing.
    pub(super) const fn take(&mut self) -> Self {
        std::mem::replace(self, Rule::Gradient { out: &mut [] })
    }

    /// The rule at the panel whose numbers lie at `here` and whose columns begin with `column`.
    #[inline(always)]
    pub(super) fn panel<L: Lanes, const V: usize>(
        &mut self,
        column: usize,
        here: Range<usize>,
    ) -> Mover<'_, L::Register, V> {
        let at = |numbers: &[f32], v: usize| {
            let lanes = size_of::<L::Register>() / size_of::<f32>();
            L::split(&numbers[column + v * lanes..][..lanes])[0]
        };
        match self {
            Rule::Sgd {
                velocity,
                rate,
                momentum,
                decay,
            } => Mover::Sgd {
                velocity: L::split_mut(&mut velocity[here]),
                by: from_fn(|v| Sgd {
                    rate: at(rate, v),
                    momentum: at(momentum, v),
                    decay: at(decay, v),
                }),
            },
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
            } => Mover::Adam {
                first: L::split_mut(&mut first[here.clone()]),
                second: L::split_mut(&mut second[here]),
                by: from_fn(|v| Adam {
                    rate: at(rate, v),
                    root: at(root, v),
                    beta1: at(beta1, v),
                    rest1: at(rest1, v),
                    beta2: at(beta2, v),
                    rest2: at(rest2, v),
                    epsilon: at(epsilon, v),
                    decay: at(decay, v),
                }),
            },
            Rule::Gradient { out } => Mover::Gradient {
                out: L::split_mut(&mut out[here]),
            },
        }
    }
}

impl<R: Copy, const V: usize> Mover<'_, R, V> {
    /// Moves one register of the panel's weights against its gradient.
    #[inline(always)]
    pub(super) fn step<L: Lanes<Register = R>>(
        &mut self,
        lanes: L,
        gradient: R,
        weights: &mut [R],
        mask: Option<&[R]>,
        at: Spot,
    ) {
        let mut g = gradient;
        if let Some(mask) = mask {
            g = lanes.and(g, mask[at.index]);
        }
        let weight = &mut weights[at.index];
        match self {
            Mover::Sgd { velocity, by } => {
                let (velocity, by) = (&mut velocity[at.index], &by[at.v]);
                if at.decays {
                    g = lanes.mul_add(by.decay, *weight, g);
                }
                let moved = lanes.mul_add(by.momentum, *velocity, g);
                *velocity = moved;
                *weight = lanes.mul_add(lanes.neg(by.rate), moved, *weight);
            }
            Mover::Adam { first, second, by } => {
                let (first, second) = (&mut first[at.index], &mut second[at.index]);
                let by = &by[at.v];
                if at.decays {
                    g = lanes.mul_add(by.decay, *weight, g);
                }
                let m = lanes.mul_add(by.beta1, *first, lanes.mul(by.rest1, g));
                let square = lanes.mul(by.rest2, lanes.mul(g, g));
                let s = lanes.mul_add(by.beta2, *second, square);
                *first = m;
                *second = s;
                let bottom = lanes.add(lanes.mul(by.root, lanes.sqrt(s)), by.epsilon);
                let step = lanes.div(lanes.mul(by.rate, m), bottom);
                *weight = lanes.sub(*weight, step);
            }
            Mover::Gradient { out } => out[at.index] = g,
        }
    }
}
