//! A step of the optimizer over a network's flat vector. Products and sums are rounded one by one: the same bits everywhere.

use descent_spec::trial::Optimizer;

use crate::kernel::{Lanes, Op};

/// Moves weights down their gradient. All slices are as long as each other.
pub(crate) struct Descend<'a> {
    pub(crate) optimizer: Optimizer,
    /// The schedule's factor of the learning rate.
    pub(crate) factor: f64,
    /// Steps before this one.
    pub(crate) step: u64,
    /// λ of an added λ/2·‖w‖².
    pub(crate) decay: f32,
    pub(crate) weights: &'a mut [f32],
    pub(crate) gradient: &'a [f32],
    pub(crate) moments: Moments<'a>,
}

/// Optimizer state.
pub(crate) enum Moments<'a> {
    Velocity(&'a mut [f32]),
    Both(&'a mut [f32], &'a mut [f32]),
}

impl Op for Descend<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let decay = self.decay;
        let weights = self.weights.iter_mut().zip(self.gradient);
        match (self.optimizer, self.moments) {
            (Optimizer::Sgd { lr, momentum }, Moments::Velocity(velocity)) => {
                let (rate, momentum) = ((lr * self.factor) as f32, momentum as f32);
                for ((w, g), v) in weights.zip(velocity) {
                    *v = momentum * *v + (g + decay * *w);
                    *w -= rate * *v;
                }
            }
            (
                Optimizer::Adam {
                    lr,
                    beta1,
                    beta2,
                    epsilon,
                },
                Moments::Both(first, second),
            ) => {
                let steps = (self.step + 1) as f64;
                let rate = (lr * self.factor / (1.0 - libm::pow(beta1, steps))) as f32;
                let root = (1.0 / libm::sqrt(1.0 - libm::pow(beta2, steps))) as f32;
                // Not 0: a weight that never had a gradient stays where it is.
                let epsilon = epsilon.max(f64::from(f32::MIN_POSITIVE)) as f32;
                let (rest1, rest2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
                let (beta1, beta2) = (beta1 as f32, beta2 as f32);
                for (((w, g), m), s) in weights.zip(first).zip(second) {
                    let g = g + decay * *w;
                    *m = beta1 * *m + rest1 * g;
                    *s = beta2 * *s + rest2 * (g * g);
                    *w -= rate * *m / (root * s.sqrt() + epsilon);
                }
            }
            _ => unreachable!("states have the moments of their optimizer"),
        }
    }
}
