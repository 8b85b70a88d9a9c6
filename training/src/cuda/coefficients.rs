//! What the optimizer multiplies with, as the device reads it.

use descent_spec::trial::Optimizer;

use crate::mlp::Plan;

/// Numbers in `struct Coefficients`.
pub(super) const COEFFICIENTS: usize = 8;

/// `struct Coefficients` of a member for the step that follows `step` steps: the processor's numbers.
pub(super) fn coefficients(plan: &Plan, step: u64) -> [f32; COEFFICIENTS] {
    let factor = plan.factor(step);
    let all = match plan.optimizer {
        Optimizer::Sgd { lr, momentum } => {
            [lr * factor, plan.decay, momentum, 0.0, 0.0, 0.0, 0.0, 0.0]
        }
        Optimizer::Adam {
            lr,
            beta1,
            beta2,
            epsilon,
        } => {
            let steps = (step + 1) as f64;
            [
                lr * factor / (1.0 - libm::pow(beta1, steps)),
                plan.decay,
                beta1,
                1.0 - beta1,
                beta2,
                1.0 - beta2,
                1.0 / libm::sqrt(1.0 - libm::pow(beta2, steps)),
                // Not 0: a weight that never had a gradient stays where it is.
                epsilon.max(f64::from(f32::MIN_POSITIVE)),
            ]
        }
    };
    all.map(|number| number as f32)
}
