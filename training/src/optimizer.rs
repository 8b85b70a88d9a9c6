//! The optimizers' step over a flat vector, and what it multiplies with.
//!
//! Products and sums are rounded one by one: the same bits everywhere. Stacked layers take the same step in
//! [`Rule`](crate::kernel::Rule), with fused products.

use std::ops::Range;

use descent_spec::trial::Optimizer;

use crate::kernel::{Lanes, Op};

/// What the optimizer multiplies with in one step, rounded once. SGD has its momentum in `beta1`, and 0 in what is Adam's alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Coefficients {
    /// The learning rate, for Adam over 1 − β₁ᵗ.
    pub(crate) rate: f32,
    /// λ of an added λ/2·‖w‖².
    pub(crate) decay: f32,
    pub(crate) beta1: f32,
    /// 1 − β₁.
    pub(crate) rest1: f32,
    pub(crate) beta2: f32,
    /// 1 − β₂.
    pub(crate) rest2: f32,
    /// 1 / √(1 − β₂ᵗ).
    pub(crate) root: f32,
    pub(crate) epsilon: f32,
}

impl Coefficients {
    /// For the step that follows `step` steps; `factor` is the schedule's of the learning rate.
    pub(crate) fn new(optimizer: Optimizer, factor: f64, decay: f64, step: u64) -> Self {
        let decay = decay as f32;
        match optimizer {
            Optimizer::Sgd { lr, momentum } => Self {
                rate: (lr * factor) as f32,
                decay,
                beta1: momentum as f32,
                rest1: 0.0,
                beta2: 0.0,
                rest2: 0.0,
                root: 0.0,
                epsilon: 0.0,
            },
            Optimizer::Adam {
                lr,
                beta1,
                beta2,
                epsilon,
            } => {
                let steps = (step + 1) as f64;
                Self {
                    rate: (lr * factor / (1.0 - libm::pow(beta1, steps))) as f32,
                    decay,
                    beta1: beta1 as f32,
                    rest1: (1.0 - beta1) as f32,
                    beta2: beta2 as f32,
                    rest2: (1.0 - beta2) as f32,
                    root: (1.0 / libm::sqrt(1.0 - libm::pow(beta2, steps))) as f32,
                    // Not 0: a weight that never had a gradient stays where it is.
                    epsilon: epsilon.max(f64::from(f32::MIN_POSITIVE)) as f32,
                }
            }
        }
    }
}

/// Moves numbers down their gradient. All slices are as long as each other.
pub(crate) struct Descend<'a> {
    pub(crate) by: &'a Coefficients,
    /// What is added to the gradient for each unit of a number; `None`: nothing, not even the sign of 0.
    pub(crate) decay: Option<f32>,
    pub(crate) weights: &'a mut [f32],
    pub(crate) gradient: &'a [f32],
    pub(crate) moments: Moments<'a>,
}

/// Optimizer state: which there is says which optimizer it is.
pub(crate) enum Moments<'a> {
    /// SGD's velocity.
    Velocity(&'a mut [f32]),
    /// Adam's first and second moment.
    Both(&'a mut [f32], &'a mut [f32]),
}

impl<'a> Moments<'a> {
    /// A part of what a state holds.
    pub(crate) fn of(moments: &'a mut [Vec<f32>], range: Range<usize>) -> Self {
        match moments {
            [velocity] => Self::Velocity(&mut velocity[range]),
            [first, second] => Self::Both(&mut first[range.clone()], &mut second[range]),
            _ => unreachable!("optimizers have one moment or two"),
        }
    }
}

impl Op for Descend<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let Coefficients {
            rate,
            beta1,
            rest1,
            beta2,
            rest2,
            root,
            epsilon,
            ..
        } = *self.by;
        let decayed = |g: f32, w: f32| match self.decay {
            Some(decay) => g + decay * w,
            None => g,
        };
        let weights = self.weights.iter_mut().zip(self.gradient);
        match self.moments {
            Moments::Velocity(velocity) => {
                for ((w, g), v) in weights.zip(velocity) {
                    *v = beta1 * *v + decayed(*g, *w);
                    *w -= rate * *v;
                }
            }
            Moments::Both(first, second) => {
                for (((w, g), m), s) in weights.zip(first).zip(second) {
                    let g = decayed(*g, *w);
                    *m = beta1 * *m + rest1 * g;
                    *s = beta2 * *s + rest2 * (g * g);
                    *w -= rate * *m / (root * s.sqrt() + epsilon);
                }
            }
        }
    }
}

/// Sets to 0 what a mask drops.
pub(crate) fn keep(mask: &[f32], values: &mut [f32]) {
    for (value, &kept) in values.iter_mut().zip(mask) {
        if kept == 0.0 {
            *value = 0.0;
        }
    }
}
