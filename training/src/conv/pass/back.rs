//! The way back: gradients at every layer's sums, from the last to the first, and those of its weights.

use descent_spec::architecture::After;

use super::super::after::{Unrectify, groups, groups_mut};
use super::super::correlate::Correlate;
use super::super::gradient::{Gradient, sum};
use super::super::norm::{Extent, Unnormalise};
use super::super::tile::{Frame, GROUP, Steps, Tap, Walk};
use super::Pass;
use crate::kernel::{Lanes, Op};

impl Pass {
    /// From the gradient at the outputs to that of every weight.
    pub(crate) fn backward(&mut self, weights: &[f32], gradient: &mut [f32], batch: Extent) {
        for index in (0..self.units.len()).rev() {
            if index + 1 < self.units.len() {
                self.deltas(index, weights, gradient, batch);
            }
            self.weigh(index, gradient, batch);
            if index > 0 {
                self.descend(index, weights, batch);
                let factors = &self.units[index].factors;
                for (gradient, factor) in self.behind.iter_mut().zip(factors) {
                    *gradient *= factor;
                }
            }
        }
    }

    /// Gradients at a layer's sums, from those behind it.
    fn deltas(&mut self, index: usize, weights: &[f32], gradient: &mut [f32], batch: Extent) {
        let (before, after) = self.units.split_at_mut(index + 1);
        let (unit, next) = (&mut before[index], &after[0]);
        let place = unit.place.clone();
        let from = unit.sums_frame();
        let (channels, height, width) = unit.gives();
        if !place.layer.is_normalised() {
            self.isa.run(Unrectify {
                pools: place.layer.after == After::ReluPool,
                tiles: batch.tiles,
                sums: &unit.sums,
                from,
                gradient: &self.behind,
                extent: (height, width),
                deltas: &mut unit.deltas,
                to: unit.delta_frame,
            });
            return;
        }
        if place.layer.after.pools() {
            // Through the maxima first; what they leave out gets none.
            let numbers = batch.tiles * from.tile() * GROUP;
            self.kept[..numbers].fill(0.0);
            self.isa.run(Unrectify {
                pools: true,
                tiles: batch.tiles,
                sums: &unit.rectified,
                from,
                gradient: &self.behind,
                extent: (height, width),
                deltas: &mut self.kept,
                to: from,
            });
            std::mem::swap(&mut self.kept, &mut self.behind);
        }
        let averaged =
            !next.layer().is_convolution && next.frame.channels != channels * height * width;
        let (out, out_frame) = if place.layer.after.pools() {
            (&unit.rectified, from)
        } else if averaged {
            // Every place had the same share in the mean.
            let plane = height * width;
            let all = batch.tiles * channels;
            let behind = groups_mut(&mut self.behind);
            for line in (0..all).rev() {
                let share = behind[line].map(|g| g / plane as f32);
                behind[line * plane..][..plane].fill(share);
            }
            (&self.top, Frame::plain(channels, height, width))
        } else {
            (&next.input, next.frame.around(channels, height, width))
        };
        let (scale_gradient, rest) = gradient[place.scale.start..].split_at_mut(channels);
        self.isa.run(Unnormalise {
            batch,
            sums: &unit.sums,
            from,
            out,
            out_frame,
            statistics: &unit.statistics,
            scale: &weights[place.scale.clone()],
            gradient: &mut self.behind,
            deltas: &mut unit.deltas,
            to: unit.delta_frame,
            scale_gradient,
            shift_gradient: &mut rest[..channels],
        });
        if place.layer.after == After::NormAddRelu {
            let numbers = batch.tiles * from.tile() * GROUP;
            self.kept[..numbers].copy_from_slice(&self.behind[..numbers]);
        }
    }

    /// The gradient of a layer's weights and biases.
    fn weigh(&mut self, index: usize, gradient: &mut [f32], batch: Extent) {
        let unit = &self.units[index];
        let place = &unit.place;
        if place.layer.has_bias {
            self.isa.run(Biases {
                tiles: batch.tiles,
                deltas: &unit.deltas,
                frame: unit.delta_frame,
                gradient: &mut gradient[place.bias.clone()],
            });
        }
        let gradient = &mut gradient[place.weight.clone()];
        if place.layer.is_convolution {
            self.isa.run(Gradient {
                x: &unit.input,
                deltas: &unit.deltas,
                channel_step: unit.delta_frame.plane(),
                channels: place.outputs(),
                taps: &unit.forward,
                walk: unit.way_along(batch.tiles),
                lanes: &mut self.lanes,
                gradient,
            });
            return;
        }
        // A product over samples: weights of a unit side by side in registers.
        let (inputs, outputs) = (unit.frame.channels, place.outputs());
        let wide = inputs.div_ceil(GROUP);
        let turned = &mut self.turned[..batch.samples * wide * GROUP];
        for (tile, samples) in turned.chunks_mut(GROUP * wide * GROUP).enumerate() {
            let from = &groups(&unit.input)[tile * inputs..][..inputs];
            for (lane, row) in samples.chunks_exact_mut(wide * GROUP).enumerate() {
                for (to, from) in row.iter_mut().zip(from) {
                    *to = from[lane];
                }
                row[inputs..].fill(0.0);
            }
        }
        self.samples.clear();
        self.samples.extend((0..batch.samples).map(|sample| {
            Tap {
                x: u32::try_from(sample * wide).expect("as many numbers as were allocated"),
                w: u32::try_from(sample / GROUP * outputs * GROUP + sample % GROUP)
                    .expect("as many numbers as were allocated"),
            }
        }));
        let whole = inputs.is_multiple_of(GROUP);
        let steps = Steps {
            first: 0,
            tile: 0,
            row: 0,
            place: 1,
        };
        self.isa.run(Correlate {
            x: turned,
            weights: &unit.deltas,
            taps: &self.samples,
            weight_step: GROUP,
            bias: None,
            channels: outputs,
            out: if whole { gradient } else { &mut self.rows },
            channel_step: wide,
            walk: Walk {
                tiles: 1,
                rows: 1,
                run: wide,
                x: steps,
                out: steps,
            },
        });
        if !whole {
            let rows = self.rows.chunks_exact(wide * GROUP);
            for (to, from) in gradient.chunks_exact_mut(inputs).zip(rows) {
                to.copy_from_slice(&from[..inputs]);
            }
        }
    }

    /// Gradients at a layer's inputs.
    fn descend(&mut self, index: usize, weights: &[f32], batch: Extent) {
        let unit = &self.units[index];
        let place = &unit.place;
        let walk = unit.way_back(batch.tiles);
        let inputs = unit.inputs_frame();
        let kernel = place.layer.kernel as usize;
        self.isa.run(Correlate {
            x: &unit.deltas,
            weights: &weights[place.weight.clone()],
            taps: &unit.backward,
            weight_step: kernel * kernel,
            bias: None,
            channels: inputs.channels,
            out: &mut self.behind,
            channel_step: inputs.plane(),
            walk,
        });
        let Some(second) = self.units.get(index + 1) else {
            return;
        };
        if second.layer().after != After::NormAddRelu || place.layer.after != After::NormRelu {
            return;
        }
        // What came around this layer and the next one.
        let (stride, from) = (place.layer.stride as usize, second.sums_frame());
        let before = from.channels.saturating_sub(inputs.channels) / 2;
        let (kept, behind) = (groups(&self.kept), groups_mut(&mut self.behind));
        for tile in 0..batch.tiles {
            for channel in 0..inputs.channels.min(from.channels) {
                for row in 0..from.height {
                    let kept = &kept[from.row(tile, channel + before, row)..][..from.width];
                    let first = inputs.row(tile, channel, row * stride);
                    for (column, kept) in kept.iter().enumerate() {
                        let to = &mut behind[first + column * stride];
                        for lane in 0..GROUP {
                            to[lane] += kept[lane];
                        }
                    }
                }
            }
        }
    }
}

/// Sums of gradients over places and samples.
struct Biases<'a> {
    tiles: usize,
    deltas: &'a [f32],
    frame: Frame,
    gradient: &'a mut [f32],
}

impl Op for Biases<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let deltas = groups(self.deltas);
        for (channel, to) in self.gradient.iter_mut().enumerate() {
            let mut sums = [0.0; GROUP];
            for tile in 0..self.tiles {
                // Borders are zeros.
                let first = tile * self.frame.tile() + channel * self.frame.plane();
                for group in &deltas[first..][..self.frame.plane()] {
                    for lane in 0..GROUP {
                        sums[lane] += group[lane];
                    }
                }
            }
            *to = sum(&sums);
        }
    }
}
