//! The two losses: their values and their gradients at the outputs of one sample.

use descent_spec::trial::Loss;

/// Turns a sample's outputs into the gradient of `scale` times its loss (squared: summed over outputs). Not finite exactly when
/// an output or the loss is not.
pub(crate) fn gradient(loss: Loss, outputs: &mut [f32], label: u8, scale: f32) -> bool {
    let label = usize::from(label);
    match loss {
        Loss::Squared => {
            let mut sum = 0.0_f32;
            for (class, f) in outputs.iter_mut().enumerate() {
                let d = *f - if class == label { 1.0 } else { 0.0 };
                sum += d * d;
                *f = 2.0 * d * scale;
            }
            sum.is_finite()
        }
        Loss::CrossEntropy => {
            let (top, sum) = exponentials(outputs);
            let finite = top.is_finite() && sum.is_finite();
            for (class, f) in outputs.iter_mut().enumerate() {
                let p = *f / sum;
                *f = (p - if class == label { 1.0 } else { 0.0 }) * scale;
            }
            finite
        }
    }
}

/// Replaces outputs by exp(output − maximum); gives the maximum and the sum.
fn exponentials(outputs: &mut [f32]) -> (f32, f32) {
    let top = outputs.iter().fold(f32::NEG_INFINITY, |top, &f| {
        if f > top || f.is_nan() { f } else { top }
    });
    let mut sum = 0.0;
    for f in outputs {
        *f = libm::expf(*f - top);
        sum += *f;
    }
    (top, sum)
}

/// A sample's loss in double precision: squared, summed over outputs; or cross-entropy in nats.
pub(crate) fn value(loss: Loss, outputs: &[f32], label: u8) -> f64 {
    let label = usize::from(label);
    match loss {
        Loss::Squared => outputs
            .iter()
            .enumerate()
            .map(|(class, &f)| {
                let d = f64::from(f) - if class == label { 1.0 } else { 0.0 };
                d * d
            })
            .sum(),
        Loss::CrossEntropy => {
            let top = outputs
                .iter()
                .fold(f64::NEG_INFINITY, |top, &f| top.max(f64::from(f)));
            let sum: f64 = outputs.iter().map(|&f| libm::exp(f64::from(f) - top)).sum();
            libm::log(sum) + top - f64::from(outputs[label])
        }
    }
}

/// Whether the largest output, the first of equals, is another class than the label. Outputs that are not numbers are wrong.
pub(crate) fn is_wrong(outputs: &[f32], label: u8) -> bool {
    let label = usize::from(label);
    let winner = outputs[label];
    let beaten =
        |(class, &f): (usize, &f32)| f > winner || f.is_nan() || (f == winner && class < label);
    winner.is_nan() || outputs.iter().enumerate().any(beaten)
}
