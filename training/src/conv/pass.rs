//! A network's way forward and back over one batch, in buffers allocated once.

mod back;

use descent_spec::architecture::After;

use super::after::{Rectify, groups, groups_mut};
use super::correlate::Correlate;
use super::gradient::CHANNELS;
use super::network::Network;
use super::norm::{Extent, Measure, Normalise, Shortcut, running};
use super::tile::{Frame, GROUP, Tap};
use super::unit::Unit;
use crate::dropout::Dropping;
use crate::kernel::Isa;

/// Buffers of one network for batches of so many samples.
pub(crate) struct Pass {
    isa: Isa,
    units: Vec<Unit>,
    /// Activations whose means go into the dense layer; empty where a network takes none.
    top: Vec<f32>,
    /// Gradients behind the layer at hand, without borders, and those kept for a shortcut or on their way through maxima.
    behind: Vec<f32>,
    kept: Vec<f32>,
    /// Sums of weights' gradients, lane by lane.
    lanes: Vec<f32>,
    /// A dense layer's inputs, sample by sample, and its gradient in rows of whole groups.
    turned: Vec<f32>,
    rows: Vec<f32>,
    /// Every sample's place in a dense layer's gradients.
    samples: Vec<Tap>,
}

impl Pass {
    pub(crate) fn new(isa: Isa, network: &Network, samples: usize) -> Self {
        let tiles = samples.div_ceil(GROUP);
        let image = network.image;
        let mut extent = (
            image.channels as usize,
            image.height as usize,
            image.width as usize,
        );
        let mut units: Vec<Unit> = Vec::with_capacity(network.places.len());
        let mut top = 0;
        for place in &network.places {
            if !place.layer.is_convolution {
                let inputs = place.weight.len() / place.outputs().max(1);
                if extent.0 * extent.1 * extent.2 != inputs {
                    top = extent.0 * extent.1 * extent.2;
                }
                extent = (inputs, 1, 1);
            }
            let unit = Unit::new(place.clone(), extent, tiles);
            extent = unit.gives();
            units.push(unit);
        }
        let most = |size: &dyn Fn(&Unit) -> usize| units.iter().map(size).max().unwrap_or(0);
        let behind = most(&|unit| unit.inputs_frame().tile().max(unit.sums_frame().tile()));
        let keeps = units.iter().any(|unit| {
            let after = unit.layer().after;
            matches!(after, After::NormAddRelu | After::NormReluPool)
        });
        let dense = |unit: &Unit| !unit.layer().is_convolution;
        let wide = |unit: &Unit| unit.frame.channels.next_multiple_of(GROUP);
        let turned = most(&|unit| usize::from(dense(unit)) * wide(unit) * samples);
        let rows = most(&|unit| {
            let whole = unit.frame.channels.is_multiple_of(GROUP);
            usize::from(dense(unit) && !whole) * wide(unit) * unit.place.outputs()
        });
        let lanes = most(&|unit| usize::from(!dense(unit)) * unit.forward.len());
        Self {
            isa,
            top: vec![0.0; top * tiles * GROUP],
            behind: vec![0.0; behind * tiles * GROUP],
            kept: vec![0.0; usize::from(keeps) * behind * tiles * GROUP],
            lanes: vec![0.0; CHANNELS * lanes * GROUP],
            turned: vec![0.0; turned],
            rows: vec![0.0; rows],
            samples: Vec::new(),
            units,
        }
    }

    /// Takes images in, row-major.
    pub(crate) fn gather<'x>(
        &mut self,
        images: impl ExactSizeIterator<Item = &'x [f32]>,
    ) -> Extent {
        let batch = Extent::of(images.len());
        let unit = &mut self.units[0];
        let (frame, inputs) = (unit.frame, unit.inputs_frame());
        let to = groups_mut(&mut unit.input);
        let mut put = |sample: usize, image: Option<&[f32]>| {
            let (tile, lane) = (sample / GROUP, sample % GROUP);
            for channel in 0..inputs.channels {
                for row in 0..inputs.height {
                    let to = &mut to[frame.row(tile, channel, row)..][..inputs.width];
                    let line = (channel * inputs.height + row) * inputs.width;
                    let from = image.map(|image| &image[line..][..inputs.width]);
                    for (column, to) in to.iter_mut().enumerate() {
                        to[lane] = from.map_or(0.0, |from| from[column]);
                    }
                }
            }
        };
        let mut sample = 0;
        for image in images {
            put(sample, Some(image));
            sample += 1;
        }
        while !sample.is_multiple_of(GROUP) {
            put(sample, None);
            sample += 1;
        }
        batch
    }

    /// From inputs to outputs. `statistics` are the running ones: moved where `trains`, else taken. With `dropping`, some inputs of
    /// dense layers are left out.
    pub(crate) fn forward(
        &mut self,
        weights: &[f32],
        statistics: &mut [f32],
        batch: Extent,
        trains: bool,
        dropping: Option<Dropping>,
    ) {
        for index in 0..self.units.len() {
            let (before, after) = self.units.split_at_mut(index + 1);
            let (unit, earlier) = before.split_last_mut().expect("index lies within");
            let place = unit.place.clone();
            let walk = unit.way_forward(batch.tiles);
            let sums_frame = unit.sums_frame();
            self.isa.run(Correlate {
                x: &unit.input,
                weights: &weights[place.weight.clone()],
                taps: &unit.forward,
                weight_step: unit.forward.len(),
                bias: place.layer.has_bias.then(|| &weights[place.bias.clone()]),
                channels: place.outputs(),
                out: &mut unit.sums,
                channel_step: sums_frame.plane(),
                walk,
            });
            let (channels, height, width) = unit.gives();
            let Some(next) = after.first_mut() else {
                return;
            };
            // Means are taken of what would else be the next layer's inputs.
            let averages =
                !next.layer().is_convolution && next.frame.channels != channels * height * width;
            let (out, to) = if averages {
                (&mut self.top, Frame::plain(channels, height, width))
            } else {
                let to = next.frame.around(channels, height, width);
                (&mut next.input, to)
            };
            match place.layer.after {
                After::Nothing => {}
                After::Relu | After::ReluPool => self.isa.run(Rectify {
                    pools: place.layer.after == After::ReluPool,
                    tiles: batch.tiles,
                    sums: &unit.sums,
                    from: sums_frame,
                    out,
                    to,
                    extent: (height, width),
                }),
                After::NormRelu | After::NormReluPool | After::NormAddRelu => {
                    let (means, rest) = statistics[place.running.start..].split_at_mut(channels);
                    let variances = &mut rest[..channels];
                    if trains {
                        self.isa.run(Measure {
                            batch,
                            sums: &unit.sums,
                            frame: sums_frame,
                            statistics: &mut unit.statistics,
                            means,
                            variances,
                        });
                    } else {
                        running(means, variances, &mut unit.statistics);
                    }
                    let shortcut = (place.layer.after == After::NormAddRelu).then(|| {
                        let first = earlier.last().expect("a block has two layers");
                        Shortcut {
                            input: &first.input,
                            frame: first.frame,
                            stride: first.layer().stride as usize,
                            before: channels.saturating_sub(first.frame.channels) / 2,
                        }
                    });
                    let pools = place.layer.after.pools();
                    let normalise = |out, to| {
                        self.isa.run(Normalise {
                            tiles: batch.tiles,
                            sums: &unit.sums,
                            from: sums_frame,
                            statistics: &unit.statistics,
                            scale: &weights[place.scale.clone()],
                            shift: &weights[place.bias.clone()],
                            shortcut,
                            out,
                            to,
                        });
                    };
                    if pools {
                        normalise(&mut unit.rectified, sums_frame);
                        self.isa.run(Rectify {
                            pools,
                            tiles: batch.tiles,
                            sums: &unit.rectified,
                            from: sums_frame,
                            out,
                            to,
                            extent: (height, width),
                        });
                    } else {
                        normalise(out, to);
                    }
                }
            }
            if averages {
                let plane = height * width;
                let means = groups_mut(&mut next.input).iter_mut();
                for (mean, plane) in means.zip(groups(&self.top).chunks_exact(plane)) {
                    let mut sums = [0.0; GROUP];
                    for group in plane {
                        for lane in 0..GROUP {
                            sums[lane] += group[lane];
                        }
                    }
                    *mean = sums.map(|sum| sum / plane.len() as f32);
                }
            }
            next.factors.clear();
            if let Some(dropping) = dropping.filter(|_| !next.layer().is_convolution) {
                next.leave_out(index + 1, batch, dropping);
            }
        }
    }

    /// Outputs of a sample.
    pub(crate) fn outputs(&self, sample: usize, outputs: &mut [f32]) {
        let unit = self.units.last().expect("a network has layers");
        let first = sample / GROUP * outputs.len();
        for (output, group) in outputs.iter_mut().zip(&groups(&unit.sums)[first..]) {
            *output = group[sample % GROUP];
        }
    }

    /// Sets the gradient at the outputs of a sample; to 0 with none.
    pub(crate) fn set_deltas(&mut self, sample: usize, deltas: Option<&[f32]>) {
        let unit = self.units.last_mut().expect("a network has layers");
        let outputs = unit.place.outputs();
        let to = &mut groups_mut(&mut unit.deltas)[sample / GROUP * outputs..][..outputs];
        for (output, group) in to.iter_mut().enumerate() {
            group[sample % GROUP] = deltas.map_or(0.0, |deltas| deltas[output]);
        }
    }
}
