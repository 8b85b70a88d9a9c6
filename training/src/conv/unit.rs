//! One layer's buffers and ways through them.

use descent_spec::architecture::{After, Layer};

use super::network::Place;
use super::norm::Extent;
use super::tile::{Frame, GROUP, Steps, Tap, Walk};
use crate::dropout::Dropping;

/// A layer with room for so many tiles of samples.
pub(crate) struct Unit {
    pub(crate) place: Place,
    /// Inputs, inside a border of zeros where the layer pads them.
    pub(crate) input: Vec<f32>,
    pub(crate) frame: Frame,
    /// What inputs were multiplied by, laid out as they are; empty where none are left out.
    pub(crate) factors: Vec<f32>,
    /// Weighted sums, `[tiles][channels][rows][columns]`.
    pub(crate) sums: Vec<f32>,
    /// What stands between a normalisation and the maxima of squares, laid out as the sums; empty elsewhere.
    pub(crate) rectified: Vec<f32>,
    /// Gradients at the sums, spread and bordered so that the same product leads back to the inputs.
    pub(crate) deltas: Vec<f32>,
    pub(crate) delta_frame: Frame,
    pub(crate) forward: Vec<Tap>,
    pub(crate) backward: Vec<Tap>,
    /// Mean and 1 / deviation of every channel's last batch; empty without normalisation.
    pub(crate) statistics: Vec<[f32; 2]>,
}

impl Unit {
    /// `image`: channels, rows and columns of what comes in.
    pub(crate) fn new(place: Place, image: (usize, usize, usize), tiles: usize) -> Self {
        let layer = place.layer;
        let (channels, height, width) = image;
        let (kernel, padding) = (layer.kernel as usize, layer.padding as usize);
        let frame = Frame {
            channels,
            height: height + 2 * padding,
            width: width + 2 * padding,
            border: padding,
            stride: 1,
        };
        let outputs = place.outputs();
        let delta_frame = Frame {
            channels: outputs,
            height: height + kernel - 1,
            width: width + kernel - 1,
            border: kernel - 1 - padding,
            stride: layer.stride as usize,
        };
        let tap = |x: usize, w: usize| Tap {
            x: u32::try_from(x).expect("an image has fewer than 2^32 numbers"),
            w: u32::try_from(w).expect("a layer has fewer than 2^32 weights"),
        };
        let area = kernel * kernel;
        let (mut forward, mut backward) = (Vec::new(), Vec::new());
        for input in 0..channels {
            for cell in 0..area {
                let x = input * frame.plane() + cell / kernel * frame.width + cell % kernel;
                forward.push(tap(x, input * area + cell));
            }
        }
        for output in 0..outputs {
            for cell in 0..area {
                // The kernel turned about: what an input touched.
                let turned = area - 1 - cell;
                let x = output * delta_frame.plane()
                    + turned / kernel * delta_frame.width
                    + turned % kernel;
                backward.push(tap(x, output * channels * area + cell));
            }
        }
        let rows = layer.places.0 as usize * layer.places.1 as usize;
        Self {
            input: vec![0.0; tiles * frame.tile() * GROUP],
            frame,
            factors: Vec::new(),
            sums: vec![0.0; tiles * outputs * rows * GROUP],
            rectified: if layer.after == After::NormReluPool {
                vec![0.0; tiles * outputs * rows * GROUP]
            } else {
                Vec::new()
            },
            deltas: vec![0.0; tiles * delta_frame.tile() * GROUP],
            delta_frame,
            forward,
            backward,
            statistics: if layer.is_normalised() {
                vec![[0.0; 2]; outputs]
            } else {
                Vec::new()
            },
            place,
        }
    }

    /// Leaves some inputs of a dense layer out, the others made larger.
    pub(crate) fn leave_out(&mut self, layer: usize, batch: Extent, dropping: Dropping) {
        let inputs = self.frame.channels;
        let mut drawn = Vec::new();
        dropping.factors(layer, batch.samples * inputs, &mut drawn);
        self.factors.clear();
        self.factors.resize(batch.tiles * inputs * GROUP, 0.0);
        for (sample, drawn) in drawn.chunks_exact(inputs).enumerate() {
            let first = sample / GROUP * inputs * GROUP + sample % GROUP;
            for (factor, &drawn) in self.factors[first..].iter_mut().step_by(GROUP).zip(drawn) {
                *factor = drawn;
            }
        }
        for (input, factor) in self.input.iter_mut().zip(&self.factors) {
            *input *= factor;
        }
    }

    pub(crate) const fn layer(&self) -> &Layer {
        &self.place.layer
    }

    /// Sums of the layer: channels, rows, columns.
    pub(crate) fn sums_frame(&self) -> Frame {
        Frame {
            channels: self.place.outputs(),
            height: self.layer().places.0 as usize,
            width: self.layer().places.1 as usize,
            border: 0,
            stride: 1,
        }
    }

    /// Channels, rows and columns of what the layer gives on.
    pub(crate) fn gives(&self) -> (usize, usize, usize) {
        let frame = self.sums_frame();
        if self.layer().after.pools() {
            (frame.channels, frame.height / 2, frame.width / 2)
        } else {
            (frame.channels, frame.height, frame.width)
        }
    }

    /// From inputs to sums.
    pub(crate) fn way_forward(&self, tiles: usize) -> Walk {
        let out = self.sums_frame();
        if !self.layer().is_convolution {
            return Walk::across(tiles, self.frame.channels, out.channels);
        }
        let stride = self.layer().stride as usize;
        Walk {
            tiles,
            rows: out.height,
            run: out.width,
            x: Steps {
                first: 0,
                tile: self.frame.tile(),
                row: stride * self.frame.width,
                place: stride,
            },
            out: out.steps(),
        }
    }

    /// From gradients at the sums to gradients at the inputs, which lie without a border.
    pub(crate) fn way_back(&self, tiles: usize) -> Walk {
        if !self.layer().is_convolution {
            return Walk::across(tiles, self.delta_frame.channels, self.frame.channels);
        }
        let inputs = self.inputs_frame();
        Walk {
            tiles,
            rows: inputs.height,
            run: inputs.width,
            x: Steps {
                first: 0,
                tile: self.delta_frame.tile(),
                row: self.delta_frame.width,
                place: 1,
            },
            out: inputs.steps(),
        }
    }

    /// Inputs and the gradients at the sums that they went into.
    pub(crate) fn way_along(&self, tiles: usize) -> Walk {
        Walk {
            out: self.delta_frame.steps(),
            ..self.way_forward(tiles)
        }
    }

    /// The inputs without their border.
    pub(crate) fn inputs_frame(&self) -> Frame {
        Frame {
            channels: self.frame.channels,
            height: self.frame.height - 2 * self.frame.border,
            width: self.frame.width - 2 * self.frame.border,
            border: 0,
            stride: 1,
        }
    }
}

impl Place {
    /// Channels out, or units.
    pub(crate) fn outputs(&self) -> usize {
        // The weights, which are as many times more, were counted in memory before.
        usize::try_from(self.layer.outputs).unwrap_or(usize::MAX)
    }
}

impl Walk {
    /// A dense layer: one place, and its tiles side by side.
    const fn across(tiles: usize, inputs: usize, outputs: usize) -> Self {
        const fn steps(place: usize) -> Steps {
            Steps {
                first: 0,
                tile: 0,
                row: 0,
                place,
            }
        }
        Self {
            tiles: 1,
            rows: 1,
            run: tiles,
            x: steps(inputs),
            out: steps(outputs),
        }
    }
}
