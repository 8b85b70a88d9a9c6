//! The product that every layer needs: sums of weighted neighbours, forwards and backwards.
//!
//! `out[c, place] = bias[c] + Σ_tap w[tap, c] · x[place + tap]`, taps ascending: one chain of multiply-adds per output and
//! sample, whatever lies beside it, so that bits depend neither on blocking nor on the width of registers.

use super::tile::{GROUP, Tap, Walk};
use crate::kernel::{Lanes, Op};

/// Groups of samples in, groups of samples out.
pub(crate) struct Correlate<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) weights: &'a [f32],
    pub(crate) taps: &'a [Tap],
    /// From one output channel's weight to the next one's, in numbers.
    pub(crate) weight_step: usize,
    /// One number per output channel; 0 where there is none.
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) channels: usize,
    pub(crate) out: &'a mut [f32],
    /// From one output channel to the next, in groups.
    pub(crate) channel_step: usize,
    /// Places of `x` and of `out`.
    pub(crate) walk: Walk,
}

impl Op for Correlate<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        // Wide registers come 32 at a time, narrow ones 16.
        match GROUP * size_of::<f32>() / size_of::<L::Register>() {
            1 => self.blocks::<L, 1, 8, 3>(lanes),
            _ => self.blocks::<L, 2, 4, 1>(lanes),
        }
    }
}

impl Correlate<'_> {
    #[inline(always)]
    fn blocks<L: Lanes, const V: usize, const C: usize, const P: usize>(mut self, lanes: L) {
        for tile in 0..self.walk.tiles {
            for row in 0..self.walk.rows {
                let mut channel = 0;
                while channel < self.channels {
                    let left = self.channels - channel;
                    channel += if C == 8 && left >= 8 {
                        self.channels::<L, V, 8, P>(lanes, tile, row, channel)
                    } else if C == 8 && left == 6 {
                        self.channels::<L, V, 6, P>(lanes, tile, row, channel)
                    } else if left >= 4 {
                        self.channels::<L, V, 4, P>(lanes, tile, row, channel)
                    } else if left >= 2 {
                        self.channels::<L, V, 2, P>(lanes, tile, row, channel)
                    } else {
                        self.channels::<L, V, 1, P>(lanes, tile, row, channel)
                    };
                }
            }
        }
    }

    #[inline(always)]
    fn channels<L: Lanes, const V: usize, const C: usize, const P: usize>(
        &mut self,
        lanes: L,
        tile: usize,
        row: usize,
        channel: usize,
    ) -> usize {
        let mut place = 0;
        while P == 3 && self.walk.run - place >= 3 {
            self.block::<L, V, C, 3>(lanes, tile, row, channel, place);
            place += 3;
        }
        while self.walk.run - place >= 2 {
            self.block::<L, V, C, 2>(lanes, tile, row, channel, place);
            place += 2;
        }
        if place < self.walk.run {
            self.block::<L, V, C, 1>(lanes, tile, row, channel, place);
        }
        C
    }

    #[inline(always)]
    fn block<L: Lanes, const V: usize, const C: usize, const P: usize>(
        &mut self,
        lanes: L,
        tile: usize,
        row: usize,
        channel: usize,
        place: usize,
    ) {
        let x = L::split(self.x);
        let first = self.walk.x.at(tile, row, place) * V;
        let step = self.walk.x.place * V;
        let mut sums = [[[lanes.splat(0.0); V]; P]; C];
        if let Some(bias) = self.bias {
            for c in 0..C {
                sums[c] = [[lanes.splat(bias[channel + c]); V]; P];
            }
        }
        let weights = &self.weights[channel * self.weight_step..];
        for tap in self.taps {
            let x = &x[first + tap.x as usize * V..][..(P - 1) * step + V];
            let mut neighbours = [[lanes.splat(0.0); V]; P];
            for p in 0..P {
                for v in 0..V {
                    neighbours[p][v] = x[p * step + v];
                }
            }
            let weights = &weights[tap.w as usize..][..(C - 1) * self.weight_step + 1];
            for c in 0..C {
                let weight = lanes.splat(weights[c * self.weight_step]);
                for p in 0..P {
                    for v in 0..V {
                        sums[c][p][v] = lanes.mul_add(weight, neighbours[p][v], sums[c][p][v]);
                    }
                }
            }
        }
        let out = L::split_mut(self.out);
        for (c, sums) in sums.iter().enumerate() {
            let channel = (channel + c) * self.channel_step;
            for (p, sums) in sums.iter().enumerate() {
                let at = (self.walk.out.at(tile, row, place + p) + channel) * V;
                out[at..at + V].copy_from_slice(sums);
            }
        }
    }
}
