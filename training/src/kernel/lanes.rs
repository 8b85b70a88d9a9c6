//! Registers of single-precision numbers: the few operations that the kernels need.

use pulp::{Simd, cast};

/// 1.5 · 2²³: adding it rounds to a whole number, which then stands in the last bits.
pub(super) const ROUNDER: f32 = 12_582_912.0;

// Of `Simd`, only what an instruction set implements itself is used here: its default methods are not always inlined, and then
// they run without the instructions.

/// One kind of register. Every operation is element-wise and rounded as IEEE 754 says.
pub(crate) trait Lanes: Copy {
    /// A register.
    type Register: Copy;
    /// Rows of a tile: as many as leave room for the operands.
    const ROWS: usize;

    fn split(slice: &[f32]) -> &[Self::Register];
    fn split_mut(slice: &mut [f32]) -> &mut [Self::Register];
    fn splat(self, x: f32) -> Self::Register;
    /// `a·b + c`; whether it is rounded once or twice depends on the instruction set.
    fn mul_add(self, a: Self::Register, b: Self::Register, c: Self::Register) -> Self::Register;
    fn mul(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn add(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn sub(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn neg(self, a: Self::Register) -> Self::Register;
    fn div(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn sqrt(self, a: Self::Register) -> Self::Register;
    /// The bits that both have.
    fn and(self, a: Self::Register, b: Self::Register) -> Self::Register;
    /// `max(0, a)`, and what is not a number stays so: a network that diverged shows it.
    fn rectify(self, a: Self::Register) -> Self::Register;
    /// `b` where `a` is above 0, and 0 elsewhere.
    fn gate(self, a: Self::Register, b: Self::Register) -> Self::Register;
    /// `a · 2ⁿ` for whole numbers n, where neither the product nor `a` is subnormal.
    fn scale(self, a: Self::Register, n: Self::Register) -> Self::Register;
}

/// Registers of an instruction set with fused multiply-add.
#[derive(Clone, Copy)]
pub(crate) struct Fused<S>(pub(crate) S);

impl<S: Simd> Lanes for Fused<S> {
    type Register = S::f32s;
    const ROWS: usize = if S::REGISTER_COUNT >= 32 { 8 } else { 4 };

    #[inline(always)]
    fn split(slice: &[f32]) -> &[S::f32s] {
        S::as_simd_f32s(slice).0
    }
    #[inline(always)]
    fn split_mut(slice: &mut [f32]) -> &mut [S::f32s] {
        S::as_mut_simd_f32s(slice).0
    }
    #[inline(always)]
    fn splat(self, x: f32) -> S::f32s {
        self.0.splat_f32s(x)
    }
    #[inline(always)]
    fn mul_add(self, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        self.0.mul_add_f32s(a, b, c)
    }
    #[inline(always)]
    fn mul(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.mul_f32s(a, b)
    }
    #[inline(always)]
    fn add(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.add_f32s(a, b)
    }
    #[inline(always)]
    fn sub(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.sub_f32s(a, b)
    }
    #[inline(always)]
    fn neg(self, a: S::f32s) -> S::f32s {
        self.0.mul_f32s(a, self.0.splat_f32s(-1.0))
    }
    #[inline(always)]
    fn div(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.div_f32s(a, b)
    }
    #[inline(always)]
    fn sqrt(self, a: S::f32s) -> S::f32s {
        self.0.sqrt_f32s(a)
    }
    #[inline(always)]
    fn and(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.and_f32s(a, b)
    }
    #[inline(always)]
    fn rectify(self, a: S::f32s) -> S::f32s {
        // The second operand where one is not a number.
        self.0.max_f32s(self.0.splat_f32s(0.0), a)
    }
    #[inline(always)]
    fn gate(self, a: S::f32s, b: S::f32s) -> S::f32s {
        let above = self.0.greater_than_f32s(a, self.0.splat_f32s(0.0));
        cast(self.0.select_u32s(above, cast(b), self.0.splat_u32s(0)))
    }
    #[inline(always)]
    fn scale(self, a: S::f32s, n: S::f32s) -> S::f32s {
        let simd = self.0;
        // Far above n, the last bits of a float are n itself.
        let whole = simd.add_f32s(n, simd.splat_f32s(ROUNDER));
        let exponent = simd.wrapping_dyn_shl_u32s(cast(whole), simd.splat_u32s(23));
        cast(simd.add_u32s(cast(a), exponent))
    }
}

/// Plain arrays, for processors without any of the above.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

type Eight = [f32; 8];

#[inline(always)]
fn each(a: Eight, b: Eight, f: impl Fn(f32, f32) -> f32) -> Eight {
    let mut out = a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = f(*out, b);
    }
    out
}

impl Lanes for Portable {
    type Register = Eight;
    const ROWS: usize = 4;

    #[inline(always)]
    fn split(slice: &[f32]) -> &[Eight] {
        slice.as_chunks().0
    }
    #[inline(always)]
    fn split_mut(slice: &mut [f32]) -> &mut [Eight] {
        slice.as_chunks_mut().0
    }
    #[inline(always)]
    fn splat(self, x: f32) -> Eight {
        [x; 8]
    }
    #[inline(always)]
    fn mul_add(self, a: Eight, b: Eight, c: Eight) -> Eight {
        each(each(a, b, |a, b| a * b), c, |ab, c| ab + c)
    }
    #[inline(always)]
    fn mul(self, a: Eight, b: Eight) -> Eight {
        each(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn add(self, a: Eight, b: Eight) -> Eight {
        each(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Eight, b: Eight) -> Eight {
        each(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn neg(self, a: Eight) -> Eight {
        a.map(|a| -a)
    }
    #[inline(always)]
    fn div(self, a: Eight, b: Eight) -> Eight {
        each(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn sqrt(self, a: Eight) -> Eight {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn and(self, a: Eight, b: Eight) -> Eight {
        each(a, b, |a, b| f32::from_bits(a.to_bits() & b.to_bits()))
    }
    #[inline(always)]
    fn rectify(self, a: Eight) -> Eight {
        a.map(|a| if a < 0.0 { 0.0 } else { a })
    }
    #[inline(always)]
    fn gate(self, a: Eight, b: Eight) -> Eight {
        each(a, b, |a, b| if a > 0.0 { b } else { 0.0 })
    }
    #[inline(always)]
    fn scale(self, a: Eight, n: Eight) -> Eight {
        each(a, n, |a, n| {
            let exponent = (n + ROUNDER).to_bits() << 23;
            f32::from_bits(a.to_bits().wrapping_add(exponent))
        })
    }
}

/// Two registers of 4 as one of 8, so that a tile's columns never straddle panels.
#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy)]
pub(crate) struct Paired<S>(pub(crate) S);

#[cfg(target_arch = "aarch64")]
impl<S: Simd> Lanes for Paired<S> {
    type Register = [S::f32s; 2];
    const ROWS: usize = 4;

    #[inline(always)]
    fn split(slice: &[f32]) -> &[[S::f32s; 2]] {
        S::as_simd_f32s(slice).0.as_chunks().0
    }
    #[inline(always)]
    fn split_mut(slice: &mut [f32]) -> &mut [[S::f32s; 2]] {
        S::as_mut_simd_f32s(slice).0.as_chunks_mut().0
    }
    #[inline(always)]
    fn splat(self, x: f32) -> [S::f32s; 2] {
        [self.0.splat_f32s(x); 2]
    }
    #[inline(always)]
    fn mul_add(self, a: [S::f32s; 2], b: [S::f32s; 2], c: [S::f32s; 2]) -> [S::f32s; 2] {
        [
            self.0.mul_add_f32s(a[0], b[0], c[0]),
            self.0.mul_add_f32s(a[1], b[1], c[1]),
        ]
    }
    #[inline(always)]
    fn mul(self, a: [S::f32s; 2], b: [S::f32s; 2]) -> [S::f32s; 2] {
        [self.0.mul_f32s(a[0], b[0]), self.0.mul_f32s(a[1], b[1])]
    }
    #[inline(always)]
    fn add(self, a: [S::f32s; 2], b: [S::f32s; 2]) -> [S::f32s; 2] {
        [self.0.add_f32s(a[0], b[0]), self.0.add_f32s(a[1], b[1])]
    }
    #[inline(always)]
    fn sub(self, a: [S::f32s; 2], b: [S::f32s; 2]) -> [S::f32s; 2] {
        [self.0.sub_f32s(a[0], b[0]), self.0.sub_f32s(a[1], b[1])]
    }
    #[inline(always)]
    fn neg(self, a: [S::f32s; 2]) -> [S::f32s; 2] {
        a.map(|a| Fused(self.0).neg(a))
    }
    #[inline(always)]
    fn div(self, a: [S::f32s; 2], b: [S::f32s; 2]) -> [S::f32s; 2] {
        [self.0.div_f32s(a[0], b[0]), self.0.div_f32s(a[1], b[1])]
    }
    #[inline(always)]
    fn sqrt(self, a: [S::f32s; 2]) -> [S::f32s; 2] {
        [self.0.sqrt_f32s(a[0]), self.0.sqrt_f32s(a[1])]
    }
    #[inline(always)]
    fn and(self, a: [S::f32s; 2], b: [S::f32s; 2]) -> [S::f32s; 2] {
        [self.0.and_f32s(a[0], b[0]), self.0.and_f32s(a[1], b[1])]
    }
    #[inline(always)]
    fn rectify(self, a: [S::f32s; 2]) -> [S::f32s; 2] {
        a.map(|a| Fused(self.0).rectify(a))
    }
    #[inline(always)]
    fn gate(self, a: [S::f32s; 2], b: [S::f32s; 2]) -> [S::f32s; 2] {
        let one = Fused(self.0);
        [one.gate(a[0], b[0]), one.gate(a[1], b[1])]
    }
    #[inline(always)]
    fn scale(self, a: [S::f32s; 2], n: [S::f32s; 2]) -> [S::f32s; 2] {
        let one = Fused(self.0);
        [one.scale(a[0], n[0]), one.scale(a[1], n[1])]
    }
}
