//! The gradient of a convolution's weights: `g[c, k] = Σ_place Σ_sample d[c, place] · x[k, place]`.
//!
//! Lane by lane over the places, tile by tile, then over the lanes in a fixed tree: bits depend on nothing but the numbers.

use super::tile::{GROUP, Tap, Walk};
use crate::kernel::{Lanes, Op};

/// Channels whose sums are kept at a time.
pub(crate) const CHANNELS: usize = 8;

/// `d` are the gradients of the sums (as `walk.out` goes), `x` the inputs.
pub(crate) struct Gradient<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) deltas: &'a [f32],
    /// From one channel of `deltas` to the next, in groups.
    pub(crate) channel_step: usize,
    pub(crate) channels: usize,
    /// Of every weight of a channel.
    pub(crate) taps: &'a [Tap],
    pub(crate) walk: Walk,
    /// Scratch: groups of [`CHANNELS`] times as many as there are taps.
    pub(crate) lanes: &'a mut [f32],
    /// `[channels, taps]`.
    pub(crate) gradient: &'a mut [f32],
}

impl Op for Gradient<'_> {
    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        let mut channel = 0;
        while channel < self.channels {
            let left = self.channels - channel;
            let here = match GROUP * size_of::<f32>() / size_of::<L::Register>() {
                1 if left >= 8 => self.some::<L, 1, 8, 3>(lanes, channel),
                1 if left == 6 => self.some::<L, 1, 6, 3>(lanes, channel),
                1 if left >= 4 => self.some::<L, 1, 4, 3>(lanes, channel),
                1 if left >= 2 => self.some::<L, 1, 2, 3>(lanes, channel),
                1 => self.some::<L, 1, 1, 3>(lanes, channel),
                _ if left >= 4 => self.some::<L, 2, 4, 1>(lanes, channel),
                _ if left >= 2 => self.some::<L, 2, 2, 1>(lanes, channel),
                _ => self.some::<L, 2, 1, 1>(lanes, channel),
            };
            for c in 0..here {
                let taps = self.taps.len();
                let sums = self.lanes[c * taps * GROUP..][..taps * GROUP].as_chunks::<GROUP>();
                let to = &mut self.gradient[(channel + c) * taps..][..taps];
                for (to, sums) in to.iter_mut().zip(sums.0) {
                    *to = sum(sums);
                }
            }
            channel += here;
        }
    }
}

/// Adds up a group: halves onto halves.
#[inline(always)]
pub(crate) fn sum(group: &[f32; GROUP]) -> f32 {
    let mut sums = *group;
    let mut half = GROUP / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0]
}

impl Gradient<'_> {
    #[inline(always)]
    fn some<L: Lanes, const V: usize, const C: usize, const K: usize>(
        &mut self,
        lanes: L,
        channel: usize,
    ) -> usize {
        self.lanes[..C * self.taps.len() * GROUP].fill(0.0);
        for tile in 0..self.walk.tiles {
            for row in 0..self.walk.rows {
                let mut tap = 0;
                while K == 3 && self.taps.len() - tap >= 3 {
                    self.block::<L, V, C, 3>(lanes, tile, row, channel, tap);
                    tap += 3;
                }
                while self.taps.len() - tap >= 2 {
                    self.block::<L, V, C, 2>(lanes, tile, row, channel, tap);
                    tap += 2;
                }
                if tap < self.taps.len() {
                    self.block::<L, V, C, 1>(lanes, tile, row, channel, tap);
                }
            }
        }
        C
    }

    #[inline(always)]
    fn block<L: Lanes, const V: usize, const C: usize, const K: usize>(
        &mut self,
        lanes: L,
        tile: usize,
        row: usize,
        channel: usize,
        tap: usize,
    ) {
        let (x, deltas) = (L::split(self.x), L::split(self.deltas));
        let total = self.taps.len();
        let kept = L::split_mut(self.lanes);
        let mut sums = [[[lanes.splat(0.0); V]; K]; C];
        for c in 0..C {
            let kept = &kept[(c * total + tap) * V..][..K * V];
            for k in 0..K {
                for v in 0..V {
                    sums[c][k][v] = kept[k * V + v];
                }
            }
        }
        let first = self.walk.x.at(tile, row, 0);
        let mut at = [0; K];
        for (at, tap) in at.iter_mut().zip(&self.taps[tap..]) {
            *at = (first + tap.x as usize) * V;
        }
        let step = self.walk.x.place * V;
        let delta_step = self.walk.out.place * V;
        let channel_step = self.channel_step * V;
        let first = self.walk.out.at(tile, row, 0) * V + channel * channel_step;
        for place in 0..self.walk.run {
            let mut numbers = [[lanes.splat(0.0); V]; K];
            for k in 0..K {
                numbers[k].copy_from_slice(&x[at[k] + place * step..][..V]);
            }
            let deltas = &deltas[first + place * delta_step..][..(C - 1) * channel_step + V];
            for c in 0..C {
                for v in 0..V {
                    let delta = deltas[c * channel_step + v];
                    for k in 0..K {
                        sums[c][k][v] = lanes.mul_add(delta, numbers[k][v], sums[c][k][v]);
                    }
                }
            }
        }
        for c in 0..C {
            let kept = &mut kept[(c * total + tap) * V..][..K * V];
            for k in 0..K {
                for v in 0..V {
                    kept[k * V + v] = sums[c][k][v];
                }
            }
        }
    }
}
