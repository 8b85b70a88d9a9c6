//! The numbers that the construction is computed in: one trait, three precisions.

use super::double::Double;

/// Samples evaluated side by side: enough to fill two AVX-512 registers of doubles.
pub(super) const LANES: usize = 16;

/// A number with so many bits.
pub(super) trait Real: Copy + PartialOrd + Send + 'static {
    /// 0.
    const ZERO: Self;
    /// Doubles that it is stored as.
    const PARTS: usize;
    /// Several of them, in the layout that vectorises.
    type Several: Copy + Send;

    /// The nearest to a double.
    fn of(value: f64) -> Self;
    /// The nearest double.
    fn number(self) -> f64;
    /// As [`PARTS`](Self::PARTS) doubles.
    fn parts(self) -> [f64; 2];
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// self + a·x. The product of two singles is exact in a double.
    fn add_product(self, a: f32, x: f32) -> Self;

    fn several(values: &[Self; LANES]) -> Self::Several;
    fn each(several: &Self::Several) -> [Self; LANES];
    /// sum + w·max(z − b, 0), lane by lane.
    fn add_unit(sum: &mut Self::Several, z: &Self::Several, kink: Self, weight: Self);
}

macro_rules! hardware {
    ($float:ty) => {
        impl Real for $float {
            const ZERO: Self = 0.0;
            const PARTS: usize = 1;
            type Several = [Self; LANES];

            fn of(value: f64) -> Self {
                value as Self
            }
            fn number(self) -> f64 {
                self.into()
            }
            fn parts(self) -> [f64; 2] {
                [self.into(), 0.0]
            }
            fn add(self, other: Self) -> Self {
                self + other
            }
            fn sub(self, other: Self) -> Self {
                self - other
            }
            fn mul(self, other: Self) -> Self {
                self * other
            }
            fn div(self, other: Self) -> Self {
                self / other
            }
            fn add_product(self, a: f32, x: f32) -> Self {
                self + Self::from(a) * Self::from(x)
            }
            fn several(values: &[Self; LANES]) -> Self::Several {
                *values
            }
            fn each(several: &Self::Several) -> [Self; LANES] {
                *several
            }
            #[inline(always)]
            fn add_unit(sum: &mut Self::Several, z: &Self::Several, kink: Self, weight: Self) {
                for lane in 0..LANES {
                    let over = z[lane] - kink;
                    let active = if over > 0.0 { over } else { 0.0 };
                    sum[lane] += weight * active;
                }
            }
        }
    };
}
hardware!(f32);
hardware!(f64);

impl Real for Double {
    const ZERO: Self = Self::new(0.0);
    const PARTS: usize = 2;
    type Several = ([f64; LANES], [f64; LANES]);

    fn of(value: f64) -> Self {
        Self::new(value)
    }
    fn number(self) -> f64 {
        self.hi
    }
    fn parts(self) -> [f64; 2] {
        [self.hi, self.lo]
    }
    fn add(self, other: Self) -> Self {
        Self::add(self, other)
    }
    fn sub(self, other: Self) -> Self {
        Self::sub(self, other)
    }
    fn mul(self, other: Self) -> Self {
        Self::mul(self, other)
    }
    fn div(self, other: Self) -> Self {
        Self::div(self, other)
    }
    fn add_product(self, a: f32, x: f32) -> Self {
        self.add_double(f64::from(a) * f64::from(x))
    }
    fn several(values: &[Self; LANES]) -> Self::Several {
        (values.map(|value| value.hi), values.map(|value| value.lo))
    }
    fn each((hi, lo): &Self::Several) -> [Self; LANES] {
        std::array::from_fn(|lane| Self {
            hi: hi[lane],
            lo: lo[lane],
        })
    }
    #[inline(always)]
    fn add_unit(sum: &mut Self::Several, z: &Self::Several, kink: Self, weight: Self) {
        for lane in 0..LANES {
            let position = Self {
                hi: z.0[lane],
                lo: z.1[lane],
            };
            let over = position.sub(kink);
            let active = Self {
                hi: if over.hi > 0.0 { over.hi } else { 0.0 },
                lo: if over.hi > 0.0 { over.lo } else { 0.0 },
            };
            let so_far = Self {
                hi: sum.0[lane],
                lo: sum.1[lane],
            };
            let sums = so_far.add(weight.mul(active));
            (sum.0[lane], sum.1[lane]) = (sums.hi, sums.lo);
        }
    }
}
