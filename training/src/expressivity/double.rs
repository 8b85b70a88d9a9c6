//! Double-double numbers: the unevaluated sum of two doubles, 106 bits (Dekker 1971, Knuth 1969; error bounds in Joldes,
//! Muller & Popescu 2017).
//!
//! Every operation is branch-free, made of correctly rounded ones: the same bits on every processor, alone or side by side.

/// hi + lo, with |lo| at most half a unit in the last place of hi.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Double {
    pub(super) hi: f64,
    pub(super) lo: f64,
}

/// a + b as rounded, and what rounding lost: exact.
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// The same where |a| ≥ |b| or a is 0.
#[inline(always)]
fn ordered_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

/// a·b as rounded, and what rounding lost: exact short of underflow.
#[inline(always)]
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b, -product))
}

impl Double {
    /// A double.
    #[inline(always)]
    pub(super) const fn new(value: f64) -> Self {
        Self { hi: value, lo: 0.0 }
    }

    #[inline(always)]
    fn normal((hi, lo): (f64, f64)) -> Self {
        Self { hi, lo }
    }

    /// Relative error at most 2⁻¹⁰⁴.
    #[inline(always)]
    pub(super) fn add(self, other: Self) -> Self {
        let (high, high_lost) = two_sum(self.hi, other.hi);
        let (low, low_lost) = two_sum(self.lo, other.lo);
        let (high, lost) = ordered_sum(high, high_lost + low);
        Self::normal(ordered_sum(high, lost + low_lost))
    }

    /// Adds a double: relative error at most 2⁻¹⁰⁵.
    #[inline(always)]
    pub(super) fn add_double(self, other: f64) -> Self {
        let (high, lost) = two_sum(self.hi, other);
        Self::normal(ordered_sum(high, self.lo + lost))
    }

    #[inline(always)]
    pub(super) fn sub(self, other: Self) -> Self {
        self.add(Self {
            hi: -other.hi,
            lo: -other.lo,
        })
    }

    /// Relative error at most 2⁻¹⁰².
    #[inline(always)]
    pub(super) fn mul(self, other: Self) -> Self {
        let (product, lost) = two_product(self.hi, other.hi);
        Self::normal(ordered_sum(
            product,
            lost + (self.hi * other.lo + self.lo * other.hi),
        ))
    }

    /// By long division, three digits of 53 bits.
    #[inline(always)]
    pub(super) fn div(self, other: Self) -> Self {
        let first = self.hi / other.hi;
        let rest = self.sub(other.mul(Self::new(first)));
        let second = rest.hi / other.hi;
        let rest = rest.sub(other.mul(Self::new(second)));
        let third = rest.hi / other.hi;
        Self::normal(ordered_sum(first, second)).add_double(third)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;

    /// Numbers of 106 bits, and of every size from 2⁻⁴⁰ to 2⁴⁰.
    fn some(stream: &mut Stream) -> Double {
        let size = 2f64.powi(stream.below(81) as i32 - 40);
        Double::new(size * stream.normal()).add_double(size * stream.normal() * 2f64.powi(-54))
    }

    /// hi + lo as a fraction of integers: exact, in units of 2⁻²⁰⁰ would overflow, so numbers here are small multiples of 2⁻⁶⁰.
    fn whole(value: i128) -> Double {
        let hi = value as f64;
        Double {
            hi,
            lo: (value - hi as i128) as f64,
        }
    }

    fn back(value: Double) -> i128 {
        value.hi as i128 + value.lo as i128
    }

    #[test]
    fn integers_of_a_hundred_bits_are_added_and_multiplied_exactly() {
        let mut stream = Stream::new("double", 0, 0);
        for _ in 0..1000 {
            let mut draw =
                |bits: u32| i128::from(stream.u64() >> (64 - bits)) - (1_i128 << (bits - 1));
            let (a, b) = (draw(50), draw(50));
            let (long, other) = (a * b + draw(40), b * b - draw(30));
            assert_eq!(back(whole(long).add(whole(other))), long + other);
            assert_eq!(back(whole(long).sub(whole(other))), long - other);
            assert_eq!(back(whole(a).mul(whole(b))), a * b);
            assert_eq!(back(whole(a * b).div(whole(b))), a, "{a} · {b} / {b}");
        }
    }

    #[test]
    fn a_quotient_times_its_divisor_is_the_dividend_to_a_hundred_bits() {
        let mut stream = Stream::new("double", 1, 0);
        for _ in 0..1000 {
            let (a, b) = (some(&mut stream), some(&mut stream));
            let off = a.div(b).mul(b).sub(a);
            assert!(
                off.hi.abs() <= a.hi.abs() * 2f64.powi(-100),
                "{a:?} / {b:?}"
            );
        }
    }

    #[test]
    fn what_a_double_forgets_is_kept() {
        let third = Double::new(1.0).div(Double::new(3.0));
        assert_eq!(third.mul(Double::new(3.0)), Double::new(1.0));
        let tiny = Double::new(1.0).add_double(1e-30);
        assert_eq!(tiny.sub(Double::new(1.0)), Double::new(1e-30));
    }
}
