//! Batch normalisation (Ioffe & Szegedy 2015) with shortcuts and ReLU behind it, as PyTorch has it: training normalises by the
//! batch's own mean and variance and keeps running ones (momentum 0.1, variance without bias), measuring takes those.

use super::after::{Group, groups, groups_mut, relu};
use super::gradient::sum;
use super::tile::{Frame, GROUP};
use crate::kernel::{Lanes, Op};

/// Added to variances.
const EPSILON: f64 = 1e-5;
/// Share of the batch in the running statistics.
const MOMENTUM: f64 = 0.1;

/// The batch's samples: tiles, and how many samples the last one has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) tiles: usize,
    pub(crate) samples: usize,
}

impl Extent {
    pub(crate) const fn of(samples: usize) -> Self {
        Self {
            tiles: samples.div_ceil(GROUP),
            samples,
        }
    }

    /// Samples that there is room for.
    pub(crate) const fn room(self) -> usize {
        self.tiles * GROUP
    }

    /// 1 for lanes with a sample, 0 for others.
    #[inline(always)]
    fn lanes(self, tile: usize) -> Group {
        let mut lanes = [0.0; GROUP];
        let left = self.samples - tile * GROUP;
        lanes[..left.min(GROUP)].fill(1.0);
        lanes
    }
}

/// Takes a batch's statistics: mean and 1 / √(variance + ε) of every channel; moves the running ones.
pub(crate) struct Measure<'a> {
    pub(crate) batch: Extent,
    pub(crate) sums: &'a [f32],
    pub(crate) frame: Frame,
    pub(crate) statistics: &'a mut [[f32; 2]],
    pub(crate) means: &'a mut [f32],
    pub(crate) variances: &'a mut [f32],
}

impl Op for Measure<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let sums = groups(self.sums);
        let plane = self.frame.plane();
        let count = (self.batch.samples * plane) as f64;
        for channel in 0..self.frame.channels {
            let mut total = 0.0_f64;
            let mut spread = 0.0_f64;
            let mut mean = 0.0_f32;
            for pass in 0..2 {
                for tile in 0..self.batch.tiles {
                    let groups = &sums[(tile * self.frame.channels + channel) * plane..][..plane];
                    let mut held = [0.0_f32; GROUP];
                    for group in groups {
                        for lane in 0..GROUP {
                            let x = group[lane] - mean;
                            held[lane] += if pass == 0 { x } else { x * x };
                        }
                    }
                    let lanes = self.batch.lanes(tile);
                    for lane in 0..GROUP {
                        held[lane] = if lanes[lane] == 0.0 { 0.0 } else { held[lane] };
                    }
                    let held = f64::from(sum(&held));
                    if pass == 0 {
                        total += held;
                    } else {
                        spread += held;
                    }
                }
                mean = (total / count) as f32;
            }
            let variance = spread / count;
            self.statistics[channel] = [mean, (1.0 / libm::sqrt(variance + EPSILON)) as f32];
            let unbiased = spread / (count - 1.0).max(1.0);
            let moved =
                |old: f32, new: f64| ((1.0 - MOMENTUM) * f64::from(old) + MOMENTUM * new) as f32;
            self.means[channel] = moved(self.means[channel], f64::from(mean));
            self.variances[channel] = moved(self.variances[channel], unbiased);
        }
    }
}

/// The statistics of running ones.
pub(crate) fn running(means: &[f32], variances: &[f32], statistics: &mut [[f32; 2]]) {
    for ((to, &mean), &variance) in statistics.iter_mut().zip(means).zip(variances) {
        *to = [
            mean,
            (1.0 / libm::sqrt(f64::from(variance) + EPSILON)) as f32,
        ];
    }
}

/// A block's input, added behind the normalisation: every `stride`-th row and column, with channels of zeros around it where
/// the block has more of them.
pub(crate) struct Shortcut<'a> {
    pub(crate) input: &'a [f32],
    pub(crate) frame: Frame,
    pub(crate) stride: usize,
    /// Channels of zeros before the input's first.
    pub(crate) before: usize,
}

/// Outputs: max(0, scale · (x − mean) / deviation + shift + shortcut).
pub(crate) struct Normalise<'a> {
    pub(crate) tiles: usize,
    pub(crate) sums: &'a [f32],
    pub(crate) from: Frame,
    pub(crate) statistics: &'a [[f32; 2]],
    pub(crate) scale: &'a [f32],
    pub(crate) shift: &'a [f32],
    pub(crate) shortcut: Option<Shortcut<'a>>,
    pub(crate) out: &'a mut [f32],
    pub(crate) to: Frame,
}

impl Op for Normalise<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let (sums, out) = (groups(self.sums), groups_mut(self.out));
        let zeros = [0.0; GROUP];
        for tile in 0..self.tiles {
            for channel in 0..self.from.channels {
                let [mean, inverse] = self.statistics[channel];
                let slope = self.scale[channel] * inverse;
                let shift = self.shift[channel];
                for row in 0..self.from.height {
                    let from = &sums[self.from.row(tile, channel, row)..][..self.from.width];
                    let to = &mut out[self.to.row(tile, channel, row)..][..self.from.width];
                    let beside = self.shortcut.as_ref().and_then(|shortcut| {
                        let channel = channel.checked_sub(shortcut.before)?;
                        let row = row * shortcut.stride;
                        (channel < shortcut.frame.channels).then(|| {
                            let input = groups(shortcut.input);
                            (
                                &input[shortcut.frame.row(tile, channel, row)..],
                                shortcut.stride,
                            )
                        })
                    });
                    for (column, (to, from)) in to.iter_mut().zip(from).enumerate() {
                        let added = match beside {
                            Some((input, stride)) => &input[column * stride],
                            None => &zeros,
                        };
                        for lane in 0..GROUP {
                            to[lane] = relu((from[lane] - mean) * slope + shift + added[lane]);
                        }
                    }
                }
            }
        }
    }
}

/// Gradients at the sums and at scale and shift, from those behind the ReLU, which are masked in place.
pub(crate) struct Unnormalise<'a> {
    pub(crate) batch: Extent,
    pub(crate) sums: &'a [f32],
    pub(crate) from: Frame,
    /// Outputs behind the ReLU.
    pub(crate) out: &'a [f32],
    pub(crate) out_frame: Frame,
    pub(crate) statistics: &'a [[f32; 2]],
    pub(crate) scale: &'a [f32],
    /// `[tiles][channels][rows][columns]`.
    pub(crate) gradient: &'a mut [f32],
    pub(crate) deltas: &'a mut [f32],
    pub(crate) to: Frame,
    pub(crate) scale_gradient: &'a mut [f32],
    pub(crate) shift_gradient: &'a mut [f32],
}

impl Op for Unnormalise<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let (sums, out) = (groups(self.sums), groups(self.out));
        let (gradient, deltas) = (groups_mut(self.gradient), groups_mut(self.deltas));
        let (rows, columns) = (self.from.height, self.from.width);
        let count = (self.batch.samples * rows * columns) as f64;
        for channel in 0..self.from.channels {
            let [mean, inverse] = self.statistics[channel];
            let (mut shifts, mut scales) = (0.0_f64, 0.0_f64);
            for tile in 0..self.batch.tiles {
                let (mut shift, mut scale) = ([0.0_f32; GROUP], [0.0_f32; GROUP]);
                for row in 0..rows {
                    let line = self.from.row(tile, channel, row);
                    let gradient = &mut gradient[line..][..columns];
                    let sums = &sums[line..][..columns];
                    let out = &out[self.out_frame.row(tile, channel, row)..][..columns];
                    for ((gradient, sums), out) in gradient.iter_mut().zip(sums).zip(out) {
                        for lane in 0..GROUP {
                            let g = if out[lane] > 0.0 { gradient[lane] } else { 0.0 };
                            gradient[lane] = g;
                            shift[lane] += g;
                            scale[lane] += g * ((sums[lane] - mean) * inverse);
                        }
                    }
                }
                shifts += f64::from(sum(&shift));
                scales += f64::from(sum(&scale));
            }
            self.shift_gradient[channel] = shifts as f32;
            self.scale_gradient[channel] = scales as f32;
            let (shift, scale) = ((shifts / count) as f32, (scales / count) as f32);
            let slope = self.scale[channel] * inverse;
            for tile in 0..self.batch.tiles {
                let lanes = self.batch.lanes(tile);
                for row in 0..rows {
                    let line = self.from.row(tile, channel, row);
                    let first = self.to.row(tile, channel, row);
                    for column in 0..columns {
                        let (gradient, sums) = (&gradient[line + column], &sums[line + column]);
                        let to = &mut deltas[first + column * self.to.stride];
                        for lane in 0..GROUP {
                            let x = (sums[lane] - mean) * inverse;
                            let g = slope * (gradient[lane] - shift - x * scale);
                            to[lane] = if lanes[lane] == 0.0 { 0.0 } else { g };
                        }
                    }
                }
            }
        }
    }
}
