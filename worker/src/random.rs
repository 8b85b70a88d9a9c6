//! Where session names, request names and jitter come from. Nothing here decides a trial's numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random bytes.
pub trait Random: Send + Sync + 'static {
    /// 128 random bits.
    fn bits(&self) -> [u8; 16];
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn bits(&self) -> [u8; 16] {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).expect("the operating system has random bytes to give");
        bits
    }
}

/// A reproducible source, for tests and simulations.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    drawn: AtomicU64,
}

impl SeededRandom {
    /// Equal seeds, equal bytes.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            drawn: AtomicU64::new(0),
        }
    }
}

impl Random for SeededRandom {
    fn bits(&self) -> [u8; 16] {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&drawn.to_le_bytes());
        let mut bits = [0; 16];
        hasher.finalize_xof().fill(&mut bits);
        bits
    }
}

/// A share in `[0, 1)`.
pub(crate) fn share(random: &dyn Random) -> f64 {
    let [a, b, c, d, ..] = random.bits();
    f64::from(u32::from_le_bytes([a, b, c, d])) / 4_294_967_296.0
}
