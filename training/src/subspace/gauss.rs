//! Normal numbers by the hundred million: Box and Muller's transform in single precision, without a branch or a table.
//!
//! Only sums, products, roots and integers take part, each rounded as IEEE 754 says: the bits are the same on every machine,
//! however the compiler groups the loop.

use crate::stream::Stream;

/// Numbers made at a time.
const BLOCK: usize = 512;

/// Fills `out` with standard normal numbers, 4 bytes of the stream each.
pub(super) fn fill(stream: &mut Stream, out: &mut [f32]) {
    let mut bytes = [0_u8; 4 * BLOCK];
    let mut words = [0_u32; BLOCK];
    for block in out.chunks_mut(BLOCK) {
        stream.fill(&mut bytes);
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let mut numbers = [0.0_f32; BLOCK];
        let (cosines, sines) = numbers.split_at_mut(BLOCK / 2);
        let (lengths, turns) = words.split_at(BLOCK / 2);
        let pairs = lengths.iter().zip(turns);
        for ((cosine, sine), (&length, &turn)) in cosines.iter_mut().zip(sines).zip(pairs) {
            let radius = (-2.0 * logarithm(length)).sqrt();
            let (c, s) = direction(turn);
            *cosine = radius * c;
            *sine = radius * s;
        }
        block.copy_from_slice(&numbers[..block.len()]);
    }
}

/// ln((x + ½) / 2³¹) for the upper 31 bits x of a word: at most 0, and at least −22.2.
#[inline(always)]
fn logarithm(word: u32) -> f32 {
    let share = ((word >> 1) as i32 as f32 + 0.5) * (1.0 / 2_147_483_648.0);
    // share = m·2ᵉ with m from √½ to √2.
    let bits = share.to_bits();
    let offset = bits.wrapping_sub(0x3f35_04f3);
    let exponent = (offset as i32) >> 23;
    let m = f32::from_bits((offset & 0x007f_ffff) + 0x3f35_04f3);
    // ln m = 2·artanh(s), s = (m − 1) / (m + 1), |s| < 0.1716: the series to s¹¹ errs by less than a rounding.
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let series = ((((2.0 / 11.0 * q + 2.0 / 9.0) * q + 2.0 / 7.0) * q + 2.0 / 5.0) * q + 2.0 / 3.0)
        * q
        + 2.0;
    let ln = exponent as f32 * std::f32::consts::LN_2 + s * series;
    // The largest word rounds up to 1.
    if ln < 0.0 { ln } else { 0.0 }
}

/// Cosine and sine of a full turn's share word / 2³².
#[inline(always)]
fn direction(word: u32) -> (f32, f32) {
    // Four quarters; within one, from −⅛ to ⅛ of a turn.
    let quarter = word >> 30;
    let within = ((word << 2) >> 1) as i32 - (1 << 30);
    let x = within as f32 * (std::f32::consts::FRAC_PI_4 / 1_073_741_824.0);
    let q = x * x;
    let sine =
        x + x * q * (-1.0 / 6.0 + q * (1.0 / 120.0 + q * (-1.0 / 5040.0 + q * (1.0 / 362_880.0))));
    let cosine = 1.0 + q * (-0.5 + q * (1.0 / 24.0 + q * (-1.0 / 720.0 + q * (1.0 / 40_320.0))));
    let (c, s) = if quarter & 1 == 0 {
        (cosine, sine)
    } else {
        (-sine, cosine)
    };
    if quarter & 2 == 0 { (c, s) } else { (-c, -s) }
}
