//! A dense projection: independent normal numbers, each column divided by its length.
//!
//! P is read once for either product, and nothing else takes time: 4·D·d bytes from memory. Rows stand in tiles of 16, so that
//! both products are chains in the lanes of a register whatever its width: P·z over the columns, Pᵀ·g over the tiles.

use super::gauss;
use crate::kernel::{Isa, Lanes, Op};
use crate::stream::Stream;

/// Rows of a tile.
const ROWS: usize = 16;
/// Tiles that Pᵀ·g takes at a time, so that its sums are fetched less often.
const AT_ONCE: usize = 4;

/// P as `[⌈D / 16⌉][d][16]`; rows past the last are 0.
#[derive(Debug)]
pub(crate) struct Dense {
    dim: usize,
    tiles: Vec<f32>,
}

impl Dense {
    pub(crate) fn draw(dim: usize, parameters: usize, seed: u64) -> Self {
        let mut tiles = vec![0.0; parameters.next_multiple_of(ROWS) * dim];
        let mut column = vec![0.0; parameters];
        for index in 0..dim {
            let mut stream = Stream::new(&format!("projection/{index}"), seed, 0);
            gauss::fill(&mut stream, &mut column);
            let square: f64 = column.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            let scale = (1.0 / libm::sqrt(square)) as f32;
            let places = tiles[index * ROWS..].chunks_mut(dim * ROWS);
            for (tile, column) in places.zip(column.chunks(ROWS)) {
                for (to, from) in tile.iter_mut().zip(column) {
                    *to = from * scale;
                }
            }
        }
        Self { dim, tiles }
    }

    pub(crate) fn scratch(&self) -> usize {
        self.dim * ROWS
    }

    pub(crate) fn add(&self, isa: Isa, z: &[f32], theta: &mut [f32]) {
        isa.run(Add {
            tiles: &self.tiles,
            z,
            theta,
        });
    }

    pub(crate) fn pull(&self, isa: Isa, gradient: &[f32], pulled: &mut [f32], scratch: &mut [f32]) {
        let sums = &mut scratch[..self.scratch()];
        isa.run(Pull {
            tiles: &self.tiles,
            dim: self.dim,
            gradient,
            sums,
        });
        for (pulled, lanes) in pulled.iter_mut().zip(sums.as_chunks::<ROWS>().0) {
            *pulled = lanes.iter().sum();
        }
    }
}

struct Add<'a> {
    tiles: &'a [f32],
    z: &'a [f32],
    theta: &'a mut [f32],
}

impl Op for Add<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        if size_of::<L::Register>() == ROWS * size_of::<f32>() {
            self.tiles::<L, 1>(lanes);
        } else {
            self.tiles::<L, 2>(lanes);
        }
    }
}

impl Add<'_> {
    #[inline(always)]
    fn tiles<L: Lanes, const V: usize>(self, lanes: L) {
        let tiles = self.tiles.chunks_exact(self.z.len() * ROWS);
        for (tile, theta) in tiles.zip(self.theta.chunks_mut(ROWS)) {
            let mut sums = [lanes.splat(0.0); V];
            for (column, &z) in L::split(tile).chunks_exact(V).zip(self.z) {
                let z = lanes.splat(z);
                for v in 0..V {
                    sums[v] = lanes.mul_add(z, column[v], sums[v]);
                }
            }
            let mut moves = [0.0; ROWS];
            L::split_mut(&mut moves).copy_from_slice(&sums);
            for (theta, moved) in theta.iter_mut().zip(moves) {
                *theta += moved;
            }
        }
    }
}

struct Pull<'a> {
    tiles: &'a [f32],
    dim: usize,
    gradient: &'a [f32],
    sums: &'a mut [f32],
}

impl Op for Pull<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        self.sums.fill(0.0);
        if size_of::<L::Register>() == ROWS * size_of::<f32>() {
            self.tiles::<L, 1>(lanes);
        } else {
            self.tiles::<L, 2>(lanes);
        }
    }
}

impl Pull<'_> {
    #[inline(always)]
    fn tiles<L: Lanes, const V: usize>(self, lanes: L) {
        let size = self.dim * ROWS;
        let mut tiles = self.tiles.chunks_exact(AT_ONCE * size);
        let mut gradients = self.gradient.chunks(AT_ONCE * ROWS);
        // The last few tiles are left to the loop below, the last gradients being too few.
        for four in &mut tiles {
            let gradient = gradients.next().unwrap_or_default();
            let [a, b, c, d]: [&[L::Register]; AT_ONCE] =
                std::array::from_fn(|t| L::split(&four[t * size..(t + 1) * size]));
            let mut padded = [0.0; AT_ONCE * ROWS];
            padded[..gradient.len()].copy_from_slice(gradient);
            let g = L::split(&padded);
            for (j, sums) in L::split_mut(self.sums).chunks_exact_mut(V).enumerate() {
                for v in 0..V {
                    let i = j * V + v;
                    let sum = lanes.mul_add(g[v], a[i], sums[v]);
                    let sum = lanes.mul_add(g[V + v], b[i], sum);
                    let sum = lanes.mul_add(g[2 * V + v], c[i], sum);
                    sums[v] = lanes.mul_add(g[3 * V + v], d[i], sum);
                }
            }
        }
        let rest = gradients.flat_map(|some| some.chunks(ROWS));
        for (tile, gradient) in tiles.remainder().chunks_exact(size).zip(rest) {
            let mut padded = [0.0; ROWS];
            padded[..gradient.len()].copy_from_slice(gradient);
            let g = L::split(&padded);
            let columns = L::split(tile).chunks_exact(V);
            for (sums, column) in L::split_mut(self.sums).chunks_exact_mut(V).zip(columns) {
                for v in 0..V {
                    sums[v] = lanes.mul_add(g[v], column[v], sums[v]);
                }
            }
        }
    }
}
