//! Random numbers: named, counter-based streams whose values are the same on every machine, for ever.
//!
//! A stream is the extended output of BLAKE3 in key-derivation mode over its name, a seed and an index. The position in that
//! output is the counter: nothing else is state, so a place in a stream is one number. Floating-point draws go through the
//! `libm` crate, never through the system's mathematics, so that their bits do not depend on the platform.

use blake3::{Hasher, OutputReader};

/// Separates these streams from every other use of BLAKE3. Changing it changes every result.
const CONTEXT: &str = "descent 2026-11-23 named random stream";

/// Bytes drawn from the hash at a time; a multiple of its 64-byte blocks, wide enough for its vectorised form.
const BUFFER: usize = 1024;

/// One stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream {
    output: OutputReader,
    buffer: [u8; BUFFER],
    /// Bytes of `buffer` already handed out.
    used: usize,
}

impl Stream {
    /// The stream of this name, seed and index (such as a layer or an epoch), at its start.
    #[must_use]
    pub fn new(name: &str, seed: u64, index: u64) -> Self {
        let mut hasher = Hasher::new_derive_key(CONTEXT);
        // The two numbers have a fixed length and the name comes last, so no two triples share an input.
        hasher.update(&seed.to_le_bytes());
        hasher.update(&index.to_le_bytes());
        hasher.update(name.as_bytes());
        Self {
            output: hasher.finalize_xof(),
            buffer: [0; BUFFER],
            used: BUFFER,
        }
    }

    /// Bytes drawn so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.output.position() - (BUFFER - self.used) as u64
    }

    /// Goes to a place that [`Self::position`] named.
    pub fn seek(&mut self, position: u64) {
        self.output.set_position(position);
        self.used = BUFFER;
    }

    /// 32 uniform bits: 4 bytes of the stream, little-endian.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    /// 64 uniform bits: 8 bytes of the stream, little-endian.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A number below `n`, every one equally likely (Lemire 2019: multiply, and redraw the few that would be unfair).
    ///
    /// # Panics
    /// When `n` is 0: there is no such number.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "there is no number below 0");
        let unfair = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.u32()) * u64::from(n);
            if product as u32 >= unfair {
                return (product >> 32) as u32;
            }
        }
    }

    /// A number in `[0, 1)`: a multiple of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        (self.u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// A standard normal number (Box & Muller 1958, the cosine branch alone): always 16 bytes of the stream.
    pub fn normal(&mut self) -> f64 {
        // 1 - u lies in (0, 1]: the logarithm is finite.
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        radius * libm::cos(2.0 * std::f64::consts::PI * self.uniform())
    }

    /// Puts `items` in a random order, every one equally likely (Durstenfeld 1964).
    ///
    /// # Panics
    /// When there are 2³² items or more.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let bound = u32::try_from(last + 1).expect("fewer than 2^32 items");
            items.swap(last, self.below(bound) as usize);
        }
    }

    /// The stream's next bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        let left = (BUFFER - self.used).min(bytes.len());
        let (first, rest) = bytes.split_at_mut(left);
        first.copy_from_slice(&self.buffer[self.used..self.used + left]);
        self.used += left;
        // What fills no buffer is not worth going through one.
        self.output.fill(rest);
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let mut filled = 0;
        while filled < N {
            if self.used == BUFFER {
                self.output.fill(&mut self.buffer);
                self.used = 0;
            }
            let n = (N - filled).min(BUFFER - self.used);
            bytes[filled..filled + n].copy_from_slice(&self.buffer[self.used..self.used + n]);
            self.used += n;
            filled += n;
        }
        bytes
    }
}
