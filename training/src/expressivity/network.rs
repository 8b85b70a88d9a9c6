//! The network of Zhang et al. (2017), Theorem 1: c(x) = Σ w_j max(⟨a, x⟩ − b_j, 0), with d + n + n weights.
//!
//! Along a direction in which no two samples coincide, one kink lies before each sample: b₁ = z₁ − 1, b_j halfway between
//! z_(j−1) and z_j. Then unit j is 0 on every sample before the j-th, so that the weights follow one after the other:
//! w_i = (y_i − Σ_{j<i} w_j (z_i − b_j)) / (z_i − b_i), the sum in O(1) from Σ w_j and Σ w_j b_j.

use pulp::{Arch, Simd, WithSimd};

use super::real::{LANES, Real};
use crate::stream::Stream;

/// A network that takes given values on given samples.
pub(super) struct Network<T> {
    /// a: one number for each input, in single precision, so that its products with inputs are exact in a double.
    pub(super) direction: Vec<f32>,
    /// Which of the directions tried it is.
    pub(super) chosen: u32,
    /// b₁ < b₂ < …
    pub(super) kinks: Vec<T>,
    /// w.
    pub(super) weights: Vec<T>,
    /// The least distance of two projections; infinite for a single sample.
    pub(super) smallest_gap: f64,
}

/// The direction of this number: independent standard normal numbers.
pub(super) fn direction(seed: u64, number: u32, inputs: usize) -> Vec<f32> {
    let mut stream = Stream::new("direction", seed, number.into());
    (0..inputs).map(|_| stream.normal() as f32).collect()
}

/// ⟨a, x⟩ of each row.
pub(super) fn project<T: Real>(direction: &[f32], rows: &[f32]) -> Vec<T> {
    let project = |row: &[f32]| {
        let terms = direction.iter().zip(row);
        terms.fold(T::ZERO, |sum, (&a, &x)| sum.add_product(a, x))
    };
    rows.chunks_exact(direction.len()).map(project).collect()
}

/// Samples in the order of their projections.
pub(super) fn ascending<T: Real>(projections: &[T]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..projections.len()).collect();
    let key = |at: usize| projections[at];
    order.sort_by(|&a, &b| {
        let by_value = key(a)
            .partial_cmp(&key(b))
            .unwrap_or(std::cmp::Ordering::Equal);
        by_value.then(a.cmp(&b))
    });
    order
}

/// The least distance of two neighbours; infinite for fewer than two.
pub(super) fn smallest_gap<T: Real>(ascending: &[T]) -> f64 {
    let gaps = ascending
        .windows(2)
        .map(|pair| pair[1].sub(pair[0]).number());
    gaps.fold(f64::INFINITY, f64::min)
}

/// Kinks and weights for values at ascending projections. Where two projections coincide, or nearly, weights are not finite.
pub(super) fn solve<T: Real>(projections: &[T], values: &[f64]) -> (Vec<T>, Vec<T>) {
    let half = T::of(0.5);
    let (mut kinks, mut weights) = (Vec::new(), Vec::new());
    let (mut slope, mut offset) = (T::ZERO, T::ZERO);
    for (at, (&z, &y)) in projections.iter().zip(values).enumerate() {
        let kink = match at.checked_sub(1) {
            None => z.sub(T::of(1.0)),
            Some(before) => projections[before].add(z).mul(half),
        };
        let so_far = slope.mul(z).sub(offset);
        let weight = T::of(y).sub(so_far).div(z.sub(kink));
        slope = slope.add(weight);
        offset = offset.add(weight.mul(kink));
        kinks.push(kink);
        weights.push(weight);
    }
    (kinks, weights)
}

impl<T: Real> Network<T> {
    /// c at ascending projections: every unit's term is computed and added, none of the sums that it was solved with is used.
    pub(super) fn outputs(&self, projections: &[T]) -> Vec<T> {
        let mut outputs = Vec::with_capacity(projections.len());
        for block in projections.chunks(LANES) {
            // The last block is filled up with its last projection.
            let last = block[block.len() - 1];
            let z: [T; LANES] = std::array::from_fn(|lane| *block.get(lane).unwrap_or(&last));
            // Beyond, kinks lie at or after every projection of the block: units there are 0.
            let reached = self.kinks.partition_point(|kink| *kink < last);
            let sums = Arch::new().dispatch(Units {
                z: T::several(&z),
                kinks: &self.kinks[..reached],
                weights: &self.weights[..reached],
            });
            outputs.extend_from_slice(&T::each(&sums)[..block.len()]);
        }
        outputs
    }

    /// The largest |w|; `None` where one is not finite.
    pub(super) fn largest_weight(&self) -> Option<f64> {
        let sizes = self.weights.iter().map(|weight| weight.number().abs());
        let largest = sizes.fold(0.0, |a: f64, b| if a >= b { a } else { b });
        largest.is_finite().then_some(largest)
    }
}

/// The sum over units at several projections.
struct Units<'a, T: Real> {
    z: T::Several,
    kinks: &'a [T],
    weights: &'a [T],
}

impl<T: Real> WithSimd for Units<'_, T> {
    type Output = T::Several;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> T::Several {
        let mut sum = T::several(&[T::ZERO; LANES]);
        for (&kink, &weight) in self.kinks.iter().zip(self.weights) {
            T::add_unit(&mut sum, &self.z, kink, weight);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::super::double::Double;
    use super::*;

    fn fit<T: Real>(samples: usize) -> (f64, Network<T>) {
        let mut stream = Stream::new("fit", samples as u64, 0);
        let rows: Vec<f32> = (0..samples * 20).map(|_| stream.uniform() as f32).collect();
        let direction = direction(0, 0, 20);
        let projections = project::<T>(&direction, &rows);
        let order = ascending(&projections);
        let projections: Vec<T> = order.iter().map(|&at| projections[at]).collect();
        let values: Vec<f64> = order.iter().map(|_| f64::from(stream.below(10))).collect();
        let (kinks, weights) = solve(&projections, &values);
        let smallest_gap = smallest_gap(&projections);
        let network = Network {
            direction,
            chosen: 0,
            kinks,
            weights,
            smallest_gap,
        };
        let outputs = network.outputs(&projections);
        let errors = outputs
            .iter()
            .zip(&values)
            .map(|(c, y)| c.sub(T::of(*y)).number().abs());
        (errors.fold(0.0, f64::max), network)
    }

    #[test]
    fn more_bits_fit_more_samples() {
        // Uniform inputs and random labels, as others measured: 2e-10 for 100 samples in double precision, 4e-6 for 1,000.
        assert!(fit::<f64>(1).0 == 0.0 && fit::<f32>(1).0 == 0.0);
        assert!(
            (1e-14..1e-7).contains(&fit::<f64>(100).0),
            "{}",
            fit::<f64>(100).0
        );
        assert!(
            (1e-12..1e-2).contains(&fit::<f64>(1000).0),
            "{}",
            fit::<f64>(1000).0
        );
        let single = fit::<f32>(1000).0;
        assert!(
            single.is_nan() || single >= 0.5,
            "single precision ends before: {single}"
        );
        assert!(fit::<Double>(1000).0 < 1e-18, "{}", fit::<Double>(1000).0);
    }

    #[test]
    fn its_units_are_its_definition() {
        let (_, network) = fit::<Double>(40);
        // Between two samples, before all and after all.
        let at = [-100.0, -1.0, 0.3, 0.31, 100.0].map(Double::new);
        let outputs = network.outputs(&at);
        for (z, output) in at.iter().zip(outputs) {
            let terms = network.kinks.iter().zip(&network.weights);
            let sum = terms.fold(0.0, |sum, (kink, weight)| {
                sum + weight.hi * (z.hi - kink.hi).max(0.0)
            });
            assert!((output.hi - sum).abs() <= 1e-6 * (1.0 + sum.abs()), "{z:?}");
        }
        assert!(network.kinks.is_sorted() && network.weights.len() == 40);
    }

    #[test]
    fn a_better_direction_has_wider_gaps() {
        let (_, network) = fit::<f64>(50);
        assert!(network.smallest_gap > 0.0 && network.largest_weight().is_some());
        assert_eq!(smallest_gap::<f64>(&[3.0]), f64::INFINITY);
    }
}
