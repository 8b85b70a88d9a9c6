//! Fastfood: P as stacked blocks H·G·Π·H·B, of which only diagonals and permutations are ever stored.
//!
//! Le, Sarlós & Smola 2013. H is the Walsh-Hadamard matrix of the power of two m from d up, B a diagonal of signs, Π a
//! permutation, G a diagonal of normal numbers. H·H = m and |B| = 1, so every column of a whole block is √(m·Σg²) long: exactly,
//! not on average. Blocks are stacked until they cover D, the last one cut off, and each is divided by √(D·Σg²): then columns
//! are of unit length if m divides D, and otherwise up to what the last block's rows happen to hold.

use super::gauss;
use crate::kernel::{Hadamard, Isa, MIN_HADAMARD};
use crate::stream::Stream;

/// The sign bit, of a single-precision number and of a word in [`Fastfood::places`].
const SIGN: u32 = 1 << 31;

/// P of D rows and d columns in O(D) memory; its products take O(D·log d) time.
#[derive(Debug)]
pub(crate) struct Fastfood {
    /// Length m of a block.
    block: usize,
    /// For each block m words: Π, where each number comes from, and in the highest bit the signs of B.
    places: Vec<u32>,
    /// For each block m numbers: G, over √(D·Σg²).
    scale: Vec<f32>,
}

impl Fastfood {
    pub(crate) fn draw(dim: usize, parameters: usize, seed: u64) -> Self {
        let block = dim.next_power_of_two().max(MIN_HADAMARD);
        let blocks = parameters.div_ceil(block);
        let mut places = vec![0_u32; blocks * block];
        let mut scale = vec![0.0_f32; blocks * block];
        let both = places
            .chunks_exact_mut(block)
            .zip(scale.chunks_exact_mut(block));
        for (index, (places, scale)) in both.enumerate() {
            let mut stream = Stream::new(&format!("projection/{index}"), seed, 0);
            gauss::fill(&mut stream, scale);
            let square: f64 = scale.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
            let unit = 1.0 / libm::sqrt(square * parameters as f64);
            for g in scale {
                *g = (f64::from(*g) * unit) as f32;
            }
            for (place, word) in (0..).zip(&mut *places) {
                *word = place;
            }
            stream.shuffle(places);
            for word in places {
                *word |= stream.u32() & SIGN;
            }
        }
        Self {
            block,
            places,
            scale,
        }
    }

    pub(crate) fn scratch(&self) -> usize {
        2 * self.block
    }

    pub(crate) fn add(&self, isa: Isa, z: &[f32], theta: &mut [f32], scratch: &mut [f32]) {
        let (x, y) = scratch[..self.scratch()].split_at_mut(self.block);
        for ((places, scale), theta) in self.blocks().zip(theta.chunks_mut(self.block)) {
            for ((x, z), word) in x.iter_mut().zip(z).zip(places) {
                *x = f32::from_bits(z.to_bits() ^ word & SIGN);
            }
            x[z.len()..].fill(0.0);
            isa.run(Hadamard { values: x });
            for ((y, word), g) in y.iter_mut().zip(places).zip(scale) {
                *y = g * x[(word & !SIGN) as usize];
            }
            isa.run(Hadamard { values: y });
            for (theta, y) in theta.iter_mut().zip(y.iter()) {
                *theta += y;
            }
        }
    }

    pub(crate) fn pull(&self, isa: Isa, gradient: &[f32], pulled: &mut [f32], scratch: &mut [f32]) {
        let (x, y) = scratch[..self.scratch()].split_at_mut(self.block);
        pulled.fill(0.0);
        for ((places, scale), gradient) in self.blocks().zip(gradient.chunks(self.block)) {
            y[..gradient.len()].copy_from_slice(gradient);
            y[gradient.len()..].fill(0.0);
            isa.run(Hadamard { values: y });
            for ((y, word), g) in y.iter().zip(places).zip(scale) {
                x[(word & !SIGN) as usize] = g * y;
            }
            isa.run(Hadamard { values: x });
            for ((pulled, x), word) in pulled.iter_mut().zip(x.iter()).zip(places) {
                *pulled += f32::from_bits(x.to_bits() ^ word & SIGN);
            }
        }
    }

    fn blocks(&self) -> impl Iterator<Item = (&[u32], &[f32])> {
        let places = self.places.chunks_exact(self.block);
        places.zip(self.scale.chunks_exact(self.block))
    }
}
