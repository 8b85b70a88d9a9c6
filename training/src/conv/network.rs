//! A network's trained numbers: their names, shapes and order, which are PyTorch's.

use std::ops::Range;

use descent_spec::architecture::{Architecture, Layer};
use descent_spec::data::Image;
use descent_spec::trial::ModelSpec;

use crate::pack::TrainError;

/// What a parameter is, which decides how it starts and whether it decays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    /// Weights of a layer: drawn, decaying, maskable.
    Weight { fan_in: usize, fan_out: usize },
    /// Starts at 0: a bias, or the shift of a normalisation.
    Bias,
    /// Starts at 1: the scale of a normalisation.
    Scale,
}

/// One trained tensor, and its place in the flat vector of all.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) range: Range<usize>,
    pub(crate) role: Role,
}

/// A layer's numbers in the flat vectors.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) layer: Layer,
    pub(crate) weight: Range<usize>,
    /// Biases, or the shifts of a normalisation.
    pub(crate) bias: Range<usize>,
    /// Scales of a normalisation; empty without one.
    pub(crate) scale: Range<usize>,
    /// Running means of a normalisation in the vector of running statistics, the variances right behind; empty without one.
    pub(crate) running: Range<usize>,
}

/// What is fixed about a network.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) image: Image,
    pub(crate) places: Vec<Place>,
    pub(crate) parameters: Vec<Parameter>,
    /// Names of running statistics, and their place in the vector of them.
    pub(crate) running: Vec<(String, Range<usize>)>,
}

impl Network {
    /// # Errors
    /// When samples are no images, or too small ones, and when the model has no layers.
    pub(crate) fn new(
        model: &ModelSpec,
        inputs: u32,
        image: Option<Image>,
        outputs: u32,
    ) -> Result<Self, TrainError> {
        let layers = model
            .layers(inputs, image, outputs)
            .ok_or_else(|| TrainError::BadSpec("this model has no layers".to_owned()))?
            .map_err(|error| TrainError::BadSpec(error.to_string()))?;
        let architecture = match model {
            ModelSpec::Conv { architecture, .. } => Some(*architecture),
            _ => None,
        };
        // Dense layers see numbers, whatever they show.
        let image = image.filter(|_| architecture.is_some()).unwrap_or(Image {
            channels: inputs,
            height: 1,
            width: 1,
        });
        let mut network = Self {
            image,
            places: Vec::with_capacity(layers.len()),
            parameters: Vec::new(),
            running: Vec::new(),
        };
        for (index, layer) in layers.into_iter().enumerate() {
            let (name, norm) = names(architecture, index);
            network.push(layer, &name, &norm)?;
        }
        Ok(network)
    }

    fn push(&mut self, layer: Layer, name: &str, norm: &str) -> Result<(), TrainError> {
        let size = |n: u64| {
            usize::try_from(n)
                .map_err(|_| TrainError::BadSpec(format!("{n} is too many for a network")))
        };
        let (inputs, outputs) = (size(layer.inputs)?, size(layer.outputs)?);
        let kernel = layer.kernel as usize;
        let shape = if layer.is_convolution {
            vec![outputs, inputs, kernel, kernel]
        } else {
            vec![outputs, inputs]
        };
        let role = Role::Weight {
            fan_in: inputs * kernel * kernel,
            fan_out: outputs * kernel * kernel,
        };
        let weight = self.parameter(format!("{name}.weight"), shape, role);
        let (mut bias, mut scale, mut running) = (0..0, 0..0, 0..0);
        if layer.has_bias {
            bias = self.parameter(format!("{name}.bias"), vec![outputs], Role::Bias);
        }
        if layer.is_normalised() {
            scale = self.parameter(format!("{norm}.weight"), vec![outputs], Role::Scale);
            bias = self.parameter(format!("{norm}.bias"), vec![outputs], Role::Bias);
            let first = self.running.last().map_or(0, |(_, range)| range.end);
            running = first..first + outputs;
            self.running
                .push((format!("{norm}.running_mean"), running.clone()));
            let variances = running.end..running.end + outputs;
            self.running
                .push((format!("{norm}.running_var"), variances));
        }
        self.places.push(Place {
            layer,
            weight,
            bias,
            scale,
            running,
        });
        Ok(())
    }

    fn parameter(&mut self, name: String, shape: Vec<usize>, role: Role) -> Range<usize> {
        let first = self.parameters();
        let range = first..first + shape.iter().product::<usize>();
        self.parameters.push(Parameter {
            name,
            shape,
            range: range.clone(),
            role,
        });
        range
    }

    /// Trained numbers.
    pub(crate) fn parameters(&self) -> usize {
        self.parameters.last().map_or(0, |last| last.range.end)
    }

    /// Running statistics.
    pub(crate) fn running(&self) -> usize {
        self.running.last().map_or(0, |(_, range)| range.end)
    }
}

/// Names of a layer and of its normalisation; residual networks have those of torchvision's.
fn names(architecture: Option<Architecture>, index: usize) -> (String, String) {
    match (architecture, index) {
        (Some(Architecture::ResNet20), 0) => ("conv1".to_owned(), "bn1".to_owned()),
        (Some(Architecture::ResNet20), 19) => ("fc".to_owned(), String::new()),
        (Some(Architecture::ResNet20), _) => {
            let (block, half) = ((index - 1) / 2, (index - 1) % 2 + 1);
            let within = format!("layer{}.{}", block / 3 + 1, block % 3);
            (format!("{within}.conv{half}"), format!("{within}.bn{half}"))
        }
        _ => (format!("layers.{index}"), format!("norms.{index}")),
    }
}
