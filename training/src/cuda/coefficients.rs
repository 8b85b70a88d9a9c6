//! What the optimizer multiplies with, as the device reads it.

use crate::mlp::Plan;

/// Numbers in `struct Coefficients`.
pub(super) const COEFFICIENTS: usize = 8;

/// `struct Coefficients` of a member for the step that follows `step` steps: the processor's numbers.
pub(super) fn coefficients(plan: &Plan, step: u64) -> [f32; COEFFICIENTS] {
    let by = plan.coefficients(step);
    [
        by.rate, by.decay, by.beta1, by.rest1, by.beta2, by.rest2, by.root, by.epsilon,
    ]
}
