//! Convolution networks: which layers they have, from which all arithmetic of their shapes follows.
//!
//! Layers are counted here once; training builds its networks from the same list.

use crate::data::Image;
use crate::state::words;

words!(
    /// A convolution network.
    Architecture {
        /// Two 5×5 convolutions without padding, each with ReLU and 2×2 max-pooling, then dense layers of 120 and 84 units: the
        /// network of LeCun et al. (1998) as Li et al. (2018) count it.
        LeNet5 = "lenet-5",
        /// Two 3×3 convolutions, 2×2 max-pooling, two dense layers of 256 units (Frankle & Carbin 2019).
        Conv2 = "conv-2",
        /// Twice two convolutions, the second pair twice as wide.
        Conv4 = "conv-4",
        /// Three times two convolutions, each pair twice as wide as the one before.
        Conv6 = "conv-6",
        /// Nine residual blocks with batch normalisation, three at each of three sizes, shortcuts without parameters (He et
        /// al. 2015, section 4.2).
        ResNet20 = "resnet-20",
    }
);

/// What stands behind a layer's sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing: the network's outputs.
    Nothing,
    /// max(0, ·).
    Relu,
    /// max(0, ·), then the maxima of 2×2 squares; a last odd row or column is left out.
    ReluPool,
    /// Batch normalisation, then max(0, ·).
    NormRelu,
    /// Batch normalisation, then max(0, ·), then the maxima of 2×2 squares.
    NormReluPool,
    /// Batch normalisation, then the shortcut from the last block's output is added, then max(0, ·).
    NormAddRelu,
}

impl After {
    /// Whether a batch normalisation comes first.
    #[must_use]
    pub const fn normalises(self) -> bool {
        matches!(
            self,
            Self::NormRelu | Self::NormReluPool | Self::NormAddRelu
        )
    }

    /// Whether maxima of 2×2 squares come last.
    #[must_use]
    pub const fn pools(self) -> bool {
        matches!(self, Self::ReluPool | Self::NormReluPool)
    }

    /// The same with a batch normalisation before the ReLU.
    const fn normalised(self) -> Self {
        match self {
            Self::Relu => Self::NormRelu,
            Self::ReluPool => Self::NormReluPool,
            other => other,
        }
    }
}

/// One layer with weights, convolution or dense. A dense layer has a kernel of 1 and one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Whether it is a convolution.
    pub is_convolution: bool,
    /// Channels in, or inputs.
    pub inputs: u64,
    /// Channels out, or units.
    pub outputs: u64,
    /// Rows and columns of the kernel.
    pub kernel: u32,
    /// Step from place to place.
    pub stride: u32,
    /// Zeros around the image.
    pub padding: u32,
    /// Rows and columns of its sums.
    pub places: (u32, u32),
    /// Whether it has biases; batch normalisation has its own instead.
    pub has_bias: bool,
    /// What follows.
    pub after: After,
}

impl Layer {
    /// Weights, biases not included.
    #[must_use]
    pub fn weights(&self) -> u64 {
        self.inputs
            .saturating_mul(self.outputs)
            .saturating_mul(u64::from(self.kernel) * u64::from(self.kernel))
    }

    /// Trained numbers: weights, biases, and the scale and shift of a normalisation.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let biases = u64::from(self.has_bias) + 2 * u64::from(self.is_normalised());
        self.weights()
            .saturating_add(self.outputs.saturating_mul(biases))
    }

    /// Whether a batch normalisation follows.
    #[must_use]
    pub const fn is_normalised(&self) -> bool {
        self.after.normalises()
    }

    /// Sums per sample.
    #[must_use]
    pub fn sums(&self) -> u64 {
        let places = u64::from(self.places.0) * u64::from(self.places.1);
        self.outputs.saturating_mul(places)
    }

    /// Multiplications per sample.
    #[must_use]
    pub fn multiplications(&self) -> f64 {
        self.weights() as f64 * f64::from(self.places.0) * f64::from(self.places.1)
    }
}

/// An image that is too small for an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{architecture} needs images of at least {least} × {least}, these have {} × {}", image.height, image.width)]
pub struct TooSmall {
    /// The architecture.
    pub architecture: Architecture,
    /// Rows and columns that it needs.
    pub least: u32,
    /// The image.
    pub image: Image,
}

impl Architecture {
    /// Channels of the first convolution in the published network.
    #[must_use]
    pub const fn width(self) -> u32 {
        match self {
            Self::LeNet5 => 6,
            Self::Conv2 | Self::Conv4 | Self::Conv6 => 64,
            Self::ResNet20 => 16,
        }
    }

    /// Hidden layers with weights.
    #[must_use]
    pub const fn depth(self) -> u32 {
        match self {
            Self::LeNet5 | Self::Conv2 => 4,
            Self::Conv4 => 6,
            Self::Conv6 => 8,
            Self::ResNet20 => 19,
        }
    }

    /// Whether it is built with batch normalisation, whatever is asked for.
    #[must_use]
    pub const fn is_normalised(self) -> bool {
        matches!(self, Self::ResNet20)
    }

    /// Rows and columns of the smallest image that it can look at.
    #[must_use]
    pub const fn least(self) -> u32 {
        match self {
            Self::LeNet5 => 16,
            Self::Conv2 => 2,
            Self::Conv4 => 4,
            Self::Conv6 => 8,
            Self::ResNet20 => 1,
        }
    }

    /// Whether it can look at an image.
    ///
    /// # Errors
    /// When the image is too small.
    pub const fn fits(self, image: Image) -> Result<(), TooSmall> {
        let least = self.least();
        if image.height < least || image.width < least {
            return Err(TooSmall {
                architecture: self,
                least,
                image,
            });
        }
        Ok(())
    }

    /// All layers with weights, in the order of the forward pass. `width` is the number of channels of the first convolution;
    /// every other hidden layer, dense ones too, scales with it, rounded to the nearest whole number and at least 1. With `batch_norm`, a batch
    /// normalisation stands before every ReLU in place of the layer's biases.
    ///
    /// # Errors
    /// When the image is too small.
    pub fn layers(
        self,
        width: u32,
        batch_norm: bool,
        image: Image,
        outputs: u32,
    ) -> Result<Vec<Layer>, TooSmall> {
        self.fits(image)?;
        let own = u64::from(self.width());
        let scaled = |units: u64| ((units * u64::from(width) + own / 2) / own).max(1);
        let mut body = Body::new(image, batch_norm);
        match self {
            Self::LeNet5 => {
                body.convolution(scaled(6), (5, 1, 0), After::ReluPool);
                body.convolution(scaled(16), (5, 1, 0), After::ReluPool);
                body.dense(&[scaled(120), scaled(84)], outputs);
            }
            Self::Conv2 | Self::Conv4 | Self::Conv6 => {
                let pairs: &[u64] = match self {
                    Self::Conv2 => &[64],
                    Self::Conv4 => &[64, 128],
                    _ => &[64, 128, 256],
                };
                for &channels in pairs {
                    body.convolution(scaled(channels), (3, 1, 1), After::Relu);
                    body.convolution(scaled(channels), (3, 1, 1), After::ReluPool);
                }
                body.dense(&[scaled(256), scaled(256)], outputs);
            }
            Self::ResNet20 => {
                body.convolution(scaled(16), (3, 1, 1), After::NormRelu);
                for (stage, channels) in [16, 32, 64].into_iter().enumerate() {
                    for block in 0..3 {
                        let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                        body.convolution(scaled(channels), (3, stride, 1), After::NormRelu);
                        body.convolution(scaled(channels), (3, 1, 1), After::NormAddRelu);
                    }
                }
                // The mean over all places goes into the dense layer.
                body.places = (1, 1);
                body.dense(&[], outputs);
            }
        }
        Ok(body.layers)
    }
}

/// The layers of a fully connected network with batch normalisation before every ReLU, in place of biases.
#[must_use]
pub fn normalised_mlp(hidden: &[u32], inputs: u32, outputs: u32) -> Vec<Layer> {
    let units: Vec<u64> = hidden.iter().map(|&units| units.into()).collect();
    let row = Image {
        channels: inputs,
        height: 1,
        width: 1,
    };
    let mut body = Body::new(row, true);
    body.dense(&units, outputs);
    body.layers
}

/// Layers so far, and the extent of what the last one gives.
struct Body {
    layers: Vec<Layer>,
    batch_norm: bool,
    channels: u64,
    places: (u32, u32),
}

impl Body {
    const fn new(image: Image, batch_norm: bool) -> Self {
        Self {
            layers: Vec::new(),
            batch_norm,
            channels: image.channels as u64,
            places: (image.height, image.width),
        }
    }

    fn convolution(
        &mut self,
        outputs: u64,
        (kernel, stride, padding): (u32, u32, u32),
        after: After,
    ) {
        let after = self.after(after);
        let extent = |size: u32| (size + 2 * padding - kernel) / stride + 1;
        let places = (extent(self.places.0), extent(self.places.1));
        self.layers.push(Layer {
            is_convolution: true,
            inputs: self.channels,
            outputs,
            kernel,
            stride,
            padding,
            places,
            has_bias: !after.normalises(),
            after,
        });
        self.channels = outputs;
        self.places = if after.pools() {
            (places.0 / 2, places.1 / 2)
        } else {
            places
        };
    }

    const fn after(&self, after: After) -> After {
        if self.batch_norm {
            after.normalised()
        } else {
            after
        }
    }

    fn dense(&mut self, hidden: &[u64], outputs: u32) {
        let places = u64::from(self.places.0) * u64::from(self.places.1);
        let mut inputs = self.channels.saturating_mul(places);
        let relu = self.after(After::Relu);
        let units = hidden.iter().map(|&units| (units, relu));
        for (units, after) in units.chain([(u64::from(outputs), After::Nothing)]) {
            self.layers.push(Layer {
                is_convolution: false,
                inputs,
                outputs: units,
                kernel: 1,
                stride: 1,
                padding: 0,
                places: (1, 1),
                has_bias: !after.normalises(),
                after,
            });
            inputs = units;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREY: Image = Image {
        channels: 1,
        height: 28,
        width: 28,
    };
    const COLOUR: Image = Image {
        channels: 3,
        height: 32,
        width: 32,
    };

    fn parameters(architecture: Architecture, width: u32, image: Image) -> u64 {
        let layers = architecture.layers(width, false, image, 10).unwrap();
        layers.iter().map(Layer::parameters).sum()
    }

    #[test]
    fn published_networks_have_the_published_numbers_of_parameters() {
        let own = |architecture: Architecture, image| {
            parameters(architecture, architecture.width(), image)
        };
        // Li et al. 2018: 44,426 on MNIST, 62,006 on CIFAR-10.
        assert_eq!(own(Architecture::LeNet5, GREY), 44_426);
        assert_eq!(own(Architecture::LeNet5, COLOUR), 62_006);
        // Frankle & Carbin 2019 count weights alone: 4.3M, 2.4M and (by the same arithmetic) 2.26M.
        let weights = |architecture: Architecture| -> u64 {
            let layers = architecture.layers(64, false, COLOUR, 10).unwrap();
            layers.iter().map(Layer::weights).sum()
        };
        assert_eq!(weights(Architecture::Conv2), 4_300_992);
        assert_eq!(weights(Architecture::Conv4), 2_425_024);
        assert_eq!(weights(Architecture::Conv6), 2_261_184);
        // He et al. 2015: 0.27M.
        assert_eq!(own(Architecture::ResNet20, COLOUR), 269_722);
    }

    #[test]
    fn every_hidden_layer_scales_with_the_width() {
        for architecture in Architecture::ALL.iter().copied() {
            let layers = |width| architecture.layers(width, false, COLOUR, 10).unwrap();
            let (own, double) = (
                layers(architecture.width()),
                layers(2 * architecture.width()),
            );
            assert_eq!(own.len(), architecture.depth() as usize + 1);
            for (own, double) in own.iter().zip(&double).take(own.len() - 1) {
                assert_eq!(double.outputs, 2 * own.outputs);
            }
            assert!(layers(1).iter().all(|layer| layer.outputs >= 1));
        }
    }

    #[test]
    fn the_smallest_images_are_enough_and_smaller_ones_are_not() {
        for architecture in Architecture::ALL.iter().copied() {
            let square = |size| Image {
                channels: 1,
                height: size,
                width: size,
            };
            let layers = architecture
                .layers(1, false, square(architecture.least()), 2)
                .unwrap();
            assert!(
                layers
                    .iter()
                    .all(|layer| layer.sums() > 0 && layer.inputs > 0)
            );
            let smaller = square(architecture.least() - 1);
            assert!(architecture.layers(1, false, smaller, 2).is_err());
        }
    }

    #[test]
    fn a_normalisation_takes_the_place_of_biases() {
        let plain = Architecture::LeNet5.layers(6, false, GREY, 10).unwrap();
        let normalised = Architecture::LeNet5.layers(6, true, GREY, 10).unwrap();
        for (plain, normalised) in plain.iter().zip(&normalised) {
            assert_eq!(plain.weights(), normalised.weights());
            assert_eq!(plain.places, normalised.places);
            let last = plain.after == After::Nothing;
            assert_eq!(normalised.is_normalised(), !last);
            let more = if last { 0 } else { plain.outputs };
            assert_eq!(normalised.parameters(), plain.parameters() + more);
        }
        let resnet = |batch_norm| Architecture::ResNet20.layers(16, batch_norm, GREY, 10);
        assert_eq!(resnet(true), resnet(false));
        let layers = normalised_mlp(&[30, 20], 784, 10);
        let parameters: u64 = layers.iter().map(Layer::parameters).sum();
        assert_eq!(parameters, 784 * 30 + 60 + 30 * 20 + 40 + 20 * 10 + 10);
    }
}
