//! The fast Walsh-Hadamard transform: log₂ m rounds of sums and differences, in place.
//!
//! Rounds go from neighbours to halves. Taking two at once, or a part of the vector before the rest, changes when a sum is made
//! but not of what: the bits are the same everywhere.

use super::{Lanes, Op};

/// Shortest vector that is transformed.
pub(crate) const MIN_HADAMARD: usize = 16;

/// Numbers that stay in the first-level cache while all their rounds are made: 16 kB.
const NEAR: usize = 4096;

/// Multiplies `values`, whose length m is a power of two from [`MIN_HADAMARD`] up, by the matrix of m² signs
/// (−1)^(number of ones that row and column share).
pub(crate) struct Hadamard<'a> {
    pub(crate) values: &'a mut [f32],
}

impl Op for Hadamard<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let length = self.values.len();
        debug_assert!(length.is_power_of_two() && length >= MIN_HADAMARD);
        let near = length.min(NEAR);
        for part in self.values.chunks_exact_mut(near) {
            for sixteen in part.as_chunks_mut::<MIN_HADAMARD>().0 {
                round::<1>(sixteen);
                round::<2>(sixteen);
                round::<4>(sixteen);
                round::<8>(sixteen);
            }
            rounds(part, MIN_HADAMARD);
        }
        rounds(self.values, near);
    }
}

/// One round over numbers at most 8 apart.
#[inline(always)]
fn round<const APART: usize>(x: &mut [f32; MIN_HADAMARD]) {
    let before = *x;
    for i in 0..MIN_HADAMARD {
        let other = before[i ^ APART];
        // A product with ±1 is exact.
        let sign = if i & APART == 0 { 1.0 } else { -1.0 };
        x[i] = other + sign * before[i];
    }
}

/// All rounds from this distance up.
#[inline(always)]
fn rounds(x: &mut [f32], mut apart: usize) {
    while 4 * apart <= x.len() {
        for four in x.chunks_exact_mut(4 * apart) {
            let (a, rest) = four.split_at_mut(apart);
            let (b, rest) = rest.split_at_mut(apart);
            let (c, d) = rest.split_at_mut(apart);
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                let (sum, difference) = (*a + *b, *a - *b);
                let (sum_above, difference_above) = (*c + *d, *c - *d);
                *a = sum + sum_above;
                *b = difference + difference_above;
                *c = sum - sum_above;
                *d = difference - difference_above;
            }
        }
        apart *= 4;
    }
    if 2 * apart <= x.len() {
        for two in x.chunks_exact_mut(2 * apart) {
            let (a, b) = two.split_at_mut(apart);
            for (a, b) in a.iter_mut().zip(b) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
    }
}
