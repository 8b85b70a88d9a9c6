//! Weights as they are sent: all numbers that the receiver cannot draw for itself, in single precision or rounded to few bits.

use crate::checkpoint;
use crate::mlp::Plan;
use crate::notes::Notes;
use crate::pack::TrainError;
use crate::weights::{self, Named, Unpacked, named};

/// Bits of a number that are tried; which of them is taken costs the logarithm of their number.
pub(super) const BITS: [u32; 10] = [16, 12, 10, 8, 7, 6, 5, 4, 3, 2];

/// Bits that the two ends of a tensor's range take, in single precision.
const RANGE_BITS: u32 = 64;

/// Tensors of a network.
#[derive(Clone)]
pub(super) struct Sent(Vec<(String, Vec<usize>, Vec<f32>)>);

impl Sent {
    /// What of a file of final weights must be sent: of a network in a subspace its coordinates, of others all that is trained, and
    /// the running statistics of either.
    ///
    /// # Errors
    /// When the bytes are no such file.
    pub(super) fn read(bytes: &[u8], plan: &Plan) -> Result<Self, TrainError> {
        let tensors = Unpacked::open(bytes)?.into_tensors();
        let inside = plan.subspace.is_some();
        let sent = |name: &str| is_statistic(name) || (name == "z") == inside;
        let tensors = tensors.into_iter().filter(|(name, _)| sent(name));
        Ok(Self(
            tensors
                .map(|(name, (shape, values))| (name, shape, values))
                .collect(),
        ))
    }

    /// Count of numbers.
    fn numbers(&self) -> usize {
        self.0.iter().map(|(.., values)| values.len()).sum()
    }

    /// Bits of all numbers in single precision.
    pub(super) fn exact_bits(&self) -> f64 {
        32.0 * self.numbers() as f64
    }

    /// Bits of all numbers, rounded to so many each, with their ranges and the choice of their bits.
    pub(super) fn rounded_bits(&self, bits: u32) -> f64 {
        let ranges = f64::from(RANGE_BITS) * self.0.len() as f64;
        self.numbers() as f64 * f64::from(bits) + ranges + (BITS.len() as f64).log2()
    }

    /// Every number set to the nearest of 2^bits equally distant ones between the least and the greatest of its tensor.
    pub(super) fn rounded(&self, bits: u32) -> Self {
        let mut rounded = self.clone();
        let steps = f64::from((1_u32 << bits) - 1);
        for (.., values) in &mut rounded.0 {
            let least = values.iter().copied().fold(f32::INFINITY, f32::min);
            let greatest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let (least, range) = (f64::from(least), f64::from(greatest) - f64::from(least));
            if range > 0.0 {
                for value in values {
                    let step = ((f64::from(*value) - least) / range * steps).round();
                    *value = (least + range * (step / steps)) as f32;
                }
            }
        }
        rounded
    }

    /// The checkpoint of a network with these numbers and no step left.
    pub(super) fn at_the_end(&self, plan: &Plan, instruction_set: &str) -> Vec<u8> {
        let mut tensors: Vec<Named> = Vec::new();
        for (name, shape, values) in &self.0 {
            tensors.push(named(name.clone(), shape, values));
            if !is_statistic(name) {
                let zeros = vec![0.0; values.len()];
                let moments = checkpoint::optimizer(plan).1.iter();
                tensors
                    .extend(moments.map(|prefix| named(format!("{prefix}{name}"), shape, &zeros)));
            }
        }
        let header =
            checkpoint::header(plan, plan.steps(), None, &Notes::default(), instruction_set);
        weights::write(&tensors, &header)
    }
}

/// Whether a tensor is a running mean or variance, which no optimizer moves.
fn is_statistic(name: &str) -> bool {
    name.ends_with("running_mean") || name.ends_with("running_var")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Sent {
        let values = vec![-1.0, -0.3, 0.0, 0.4, 1.0];
        Sent(vec![
            ("a".to_owned(), vec![5], values),
            ("b".to_owned(), vec![2], vec![7.0, 7.0]),
        ])
    }

    #[test]
    fn rounding_keeps_the_ends_and_moves_by_half_a_step_at_most() {
        for bits in BITS {
            let rounded = sent().rounded(bits);
            let half = 1.0 / f64::from((1_u32 << bits) - 1);
            for (before, after) in sent().0[0].2.iter().zip(&rounded.0[0].2) {
                let moved = (f64::from(*before) - f64::from(*after)).abs();
                assert!(moved <= half * 1.0001, "{bits} bits: {before} {after}");
            }
            assert_eq!((rounded.0[0].2[0], rounded.0[0].2[4]), (-1.0, 1.0));
            assert_eq!(rounded.0[1].2, [7.0, 7.0]);
        }
        assert_eq!(sent().rounded(2).0[0].2[1], -1.0 / 3.0);
    }

    #[test]
    fn every_number_every_range_and_the_choice_cost_bits() {
        assert_eq!(sent().exact_bits(), 7.0 * 32.0);
        let bits = sent().rounded_bits(3);
        assert!(
            (bits - (21.0 + 128.0 + 10_f64.log2())).abs() < 1e-12,
            "{bits}"
        );
    }
}
