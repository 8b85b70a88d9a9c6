//! The exponential function on registers: the same bits wherever sums are fused.

use super::Lanes;

/// exp(x) for x from −∞ to 0, to 2 units in the last place; below −87, exp(−87), which is 1.6e-38.
///
/// exp(x) = 2ⁿ·exp(r) with n the whole number nearest x/ln 2, ln 2 in two parts (Cody & Waite 1980), and the Taylor polynomial
/// of degree 7 for exp(r): |r| ≤ ln 2 / 2, so what is left out is below 6e-9.
#[inline(always)]
pub(super) fn exp<L: Lanes>(lanes: L, x: L::Register) -> L::Register {
    // max(x, −87) by way of relu; x is not above 0.
    let x = lanes.add(
        lanes.rectify(lanes.add(x, lanes.splat(87.0))),
        lanes.splat(-87.0),
    );
    let rounder = lanes.splat(super::lanes::ROUNDER);
    let n = lanes.mul_add(x, lanes.splat(std::f32::consts::LOG2_E), rounder);
    let n = lanes.sub(n, rounder);
    let r = lanes.mul_add(n, lanes.splat(-0.693_359_4), x);
    let r = lanes.mul_add(n, lanes.splat(2.121_944_4e-4), r);
    const TAYLOR: [f32; 7] = [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let mut sum = lanes.splat(1.0 / 5040.0);
    for term in TAYLOR {
        sum = lanes.mul_add(sum, r, lanes.splat(term));
    }
    lanes.scale(sum, n)
}
