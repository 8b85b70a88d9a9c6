//! Arithmetic of shapes: how many parameters a model has, what training it costs, how much memory it takes.

mod subspace;

pub use self::subspace::SUBSPACE_PARAMETERS;

use self::subspace::{projection_flops, subspace_bytes};
use crate::architecture::Layer;
use crate::asked::{Asked, CodeSpec, FreedomSpec};
use crate::data::{Image, KnownData};
use crate::robustness::{changed_flops, with_kept};
use crate::trial::{DataSpec, EvaluateSpec, ModelSpec, Optimizer, Spread, SubspaceSpec, TrialSpec};

/// The samples that a trial sees, and their extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataShape {
    /// Numbers per sample.
    pub inputs: u32,
    /// Classes.
    pub outputs: u32,
    /// Samples trained on: n.
    pub train_samples: u32,
    /// Samples held out.
    pub validation_samples: u32,
    /// Samples tested on.
    pub test_samples: u32,
    /// What a sample looks like; `None` where samples are not images.
    pub image: Option<Image>,
}

/// A trial that asks for more samples than there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} asks for {asked} samples, the data set has {available}")]
pub struct TooFewSamples {
    /// The setting.
    pub what: &'static str,
    /// How many it asks for.
    pub asked: u64,
    /// How many there are.
    pub available: u32,
}

impl DataShape {
    /// What a trial sees of a data set.
    ///
    /// # Errors
    /// When it asks for more than there is.
    pub fn of(known: &KnownData, spec: &DataSpec) -> Result<Self, TooFewSamples> {
        let too_few = |what, asked, available| TooFewSamples {
            what,
            asked,
            available,
        };
        let held_out = u64::from(spec.validation);
        let train_samples = match spec.samples {
            Some(samples) => samples,
            None => known.train_samples.saturating_sub(spec.validation),
        };
        let asked = u64::from(train_samples) + held_out;
        if train_samples == 0 || asked > u64::from(known.train_samples) {
            let what = match (spec.samples, spec.validation) {
                (Some(_), 0) => "data.samples",
                (Some(_), _) => "data.samples with data.validation",
                (None, _) => "data.validation",
            };
            return Err(too_few(what, asked, known.train_samples));
        }
        let test_samples = spec.test_samples.unwrap_or(known.test_samples);
        if test_samples > known.test_samples {
            return Err(too_few(
                "data.test_samples",
                test_samples.into(),
                known.test_samples,
            ));
        }
        Ok(Self {
            inputs: known.inputs,
            outputs: known.outputs,
            train_samples,
            validation_samples: spec.validation,
            test_samples,
            image: known.image,
        })
    }

    /// The number of parameters around which a network can fit every training sample: n·K.
    #[must_use]
    pub fn threshold(&self) -> u64 {
        u64::from(self.train_samples) * u64::from(self.outputs)
    }

    fn measured_samples(&self) -> f64 {
        f64::from(self.train_samples)
            + f64::from(self.validation_samples)
            + f64::from(self.test_samples)
    }
}

/// Count of trained numbers, biases included. d inputs, L layers of H₁, H₂, … units, K outputs:
/// (d + 1)·H₁ + (H₁ + 1)·H₂ + … + (H_L + 1)·K; N random features: N·K; convolution networks: layer by layer, 0 for one that
/// cannot look at the image. Saturates. Masked weights count; those that a closed form has for each sample are counted by
/// [`Closed::parameters`](crate::closed::Closed::parameters) alone.
#[must_use]
pub fn parameters(model: &ModelSpec, inputs: u32, image: Option<Image>, outputs: u32) -> u64 {
    let (d, k) = (u64::from(inputs), u64::from(outputs));
    match model {
        ModelSpec::Mlp { hidden, .. } => {
            let mut count = 0_u64;
            let mut below = d;
            for units in hidden.iter().map(|&units| u64::from(units)).chain([k]) {
                count = count.saturating_add((below + 1).saturating_mul(units));
                below = units;
            }
            count
        }
        ModelSpec::NormalisedMlp { .. } | ModelSpec::Conv { .. } => {
            layers(model, inputs, image, outputs)
                .iter()
                .map(Layer::parameters)
                .fold(0, u64::saturating_add)
        }
        ModelSpec::Features { width, .. } => u64::from(*width).saturating_mul(k),
        ModelSpec::Closed(closed) => closed.parameters(inputs, 0, outputs),
    }
}

/// The layers of a network that is described by them; none where it cannot look at the image, which is found when a sweep is checked.
pub(crate) fn layers(
    model: &ModelSpec,
    inputs: u32,
    image: Option<Image>,
    outputs: u32,
) -> Vec<Layer> {
    model
        .layers(inputs, image, outputs)
        .and_then(Result::ok)
        .unwrap_or_default()
}

/// Floating-point operations of a trial, its measurements included. A multiplication and an addition count as two.
///
/// A network's step costs 2 operations per weight and sample forwards and 4 backwards, less the gradient of the inputs, which
/// nobody needs. A subspace adds its two products, P·z and Pᵀ·g. Least squares on N features of n samples costs 2·m·M²: M the larger and m the smaller of n and N, taken as
/// 2·M·m² + (2/3)·m³ for a factorisation.
#[must_use]
pub fn cost_flops(spec: &TrialSpec, shape: &DataShape) -> f64 {
    let measurements = match spec.model {
        ModelSpec::Mlp { .. } | ModelSpec::NormalisedMlp { .. } | ModelSpec::Conv { .. } => {
            measurement_count(&spec.evaluate, spec.train.epochs)
        }
        ModelSpec::Features { .. } | ModelSpec::Closed(_) => 1,
    };
    cost_with(spec, shape, measurements)
}

/// Number of measured epochs.
#[must_use]
pub(crate) fn measurement_count(evaluate: &EvaluateSpec, epochs: u32) -> u32 {
    match evaluate.spread {
        Spread::End | Spread::Steps => 1,
        Spread::Every => epochs.div_ceil(evaluate.every.max(1)),
        Spread::Log => u32::try_from(evaluate.epochs(epochs).len()).unwrap_or(u32::MAX),
    }
}

/// [`cost_flops`] for a known number of measurements: counting them is what takes time.
pub(crate) fn cost_with(spec: &TrialSpec, shape: &DataShape, measurements: u32) -> f64 {
    let once = cost_once(spec, shape, measurements);
    match spec.asked {
        Asked::Nothing => once,
        Asked::Code(code) => once + code_cost(spec, code, shape),
        // A closed form shares its factorisation between draws, which are more columns of targets.
        Asked::Freedom(freedom) if spec.model.is_closed_form() => {
            once * (2.0 + f64::from(freedom.draws) / 32.0)
        }
        Asked::Freedom(freedom) => once * (1.0 + f64::from(freedom.draws)),
    }
}

/// Operations of the trainings that code blocks; a last one, on all samples, is left out.
fn code_cost(spec: &TrialSpec, code: CodeSpec, shape: &DataShape) -> f64 {
    let ends = code.ends(shape.train_samples);
    let mut cost = 0.0;
    for block in ends.windows(2) {
        let held_out = code.held_out(block[0]);
        let (mut spec, mut shape) = (spec.clone(), *shape);
        shape.train_samples = block[0] - held_out;
        shape.validation_samples = held_out;
        shape.test_samples = block[1] - block[0];
        spec.train.epochs = code.epochs(shape.train_samples, spec.train.batch, spec.train.epochs);
        let measurements = match code.holdout > 0.0 {
            true => measurement_count(&spec.evaluate, spec.train.epochs),
            false => 1,
        };
        cost += cost_once(&spec, &shape, measurements);
    }
    cost
}

/// Operations of one training.
fn cost_once(spec: &TrialSpec, shape: &DataShape, measurements: u32) -> f64 {
    let (d, k) = (f64::from(shape.inputs), f64::from(shape.outputs));
    let n = f64::from(shape.train_samples);
    let measured = shape.measured_samples();
    match spec.model {
        ModelSpec::Mlp { ref hidden, .. } => {
            let (mut weights, mut below) = (0.0, d);
            for units in hidden.iter().map(|&units| f64::from(units)).chain([k]) {
                weights += below * units;
                below = units;
            }
            let first = d * f64::from(spec.model.width());
            let train = f64::from(spec.train.epochs) * n * (6.0 * weights - 2.0 * first);
            let projected = spec
                .subspace
                .map_or(0.0, |subspace| projected_flops(spec, subspace, shape));
            let changed = changed_flops(spec, shape, weights);
            train + projected + changed + f64::from(measurements) * measured * 2.0 * weights
        }
        ModelSpec::NormalisedMlp { .. } | ModelSpec::Conv { .. } => {
            let layers = layers(&spec.model, shape.inputs, shape.image, shape.outputs);
            let all: f64 = layers.iter().map(Layer::multiplications).sum();
            let first = layers.first().map_or(0.0, Layer::multiplications);
            let train = f64::from(spec.train.epochs) * n * (6.0 * all - 2.0 * first);
            let projected = spec
                .subspace
                .map_or(0.0, |subspace| projected_flops(spec, subspace, shape));
            let changed = changed_flops(spec, shape, all);
            train + projected + changed + f64::from(measurements) * measured * 2.0 * all
        }
        ModelSpec::Features { width, .. } => {
            let features = f64::from(width);
            let (small, large) = (n.min(features), n.max(features));
            let make = 2.0 * d * features * measured;
            let solve = 2.0 * large * small * small + 2.0 / 3.0 * small.powi(3);
            make + solve + 2.0 * features * k * measured
        }
        ModelSpec::Closed(closed) => closed.cost(shape),
    }
}

/// Operations of a trial's steps between its subspace and its parameters.
fn projected_flops(spec: &TrialSpec, subspace: SubspaceSpec, shape: &DataShape) -> f64 {
    let parameters = parameters(&spec.model, shape.inputs, shape.image, shape.outputs);
    let steps = (f64::from(shape.train_samples) / f64::from(spec.train.batch.max(1))).ceil();
    f64::from(spec.train.epochs) * steps * projection_flops(subspace, parameters)
}

/// Samples by which a convolution network is measured: its buffers hold so many, however small its batches are.
pub const CONV_BLOCK: u32 = 64;

/// Bytes that one trial's own buffers take in a pack, its share of stacked activations included; the samples, which a pack
/// holds once, are in [`data_bytes`].
#[must_use]
pub fn memory_bytes(spec: &TrialSpec, shape: &DataShape) -> u64 {
    let once = memory_once(spec, shape);
    match spec.asked {
        Asked::Nothing | Asked::Code(_) => once,
        Asked::Freedom(freedom) if spec.model.is_closed_form() => {
            // Targets and fitted values of some draws at a time.
            let columns = u64::from(freedom.draws.min(FreedomSpec::DRAWS_AT_A_TIME))
                .saturating_mul(shape.outputs.into());
            let samples = u64::from(shape.train_samples);
            once.saturating_add(columns.saturating_mul(samples).saturating_mul(8 * 3))
        }
        // All fits go side by side, each with targets of its own.
        Asked::Freedom(freedom) => {
            let targets = u64::from(shape.train_samples).saturating_mul(shape.outputs.into());
            once.saturating_add(targets.saturating_mul(4))
                .saturating_mul(u64::from(freedom.draws) + 1)
        }
    }
}

/// Bytes that one training's buffers take.
fn memory_once(spec: &TrialSpec, shape: &DataShape) -> u64 {
    const F32: u64 = 4;
    const F64: u64 = 8;
    let parameters = parameters(&spec.model, shape.inputs, shape.image, shape.outputs);
    match spec.model {
        ModelSpec::Mlp { ref hidden, .. } => {
            let copies = with_kept(spec, copies(spec));
            let subspace = spec
                .subspace
                .map_or(0, |subspace| subspace_bytes(subspace, parameters));
            // Activations and their gradients of one batch; measuring goes through in batches of the same order.
            let batch = u64::from(spec.train.batch.min(shape.train_samples)).max(256);
            let units: u64 = hidden.iter().map(|&units| u64::from(units)).sum();
            let units = units + u64::from(shape.outputs);
            parameters
                .saturating_mul(copies)
                .saturating_add(batch.saturating_mul(units).saturating_mul(2))
                .saturating_mul(F32)
                .saturating_add(subspace)
        }
        ModelSpec::NormalisedMlp { .. } | ModelSpec::Conv { .. } => {
            // Every layer's inputs, sums and their gradients of one batch, in groups of 16 samples, and gradients on their way.
            let layers = layers(&spec.model, shape.inputs, shape.image, shape.outputs);
            let sums = || layers.iter().map(Layer::sums);
            let numbers = sums()
                .fold(0, u64::saturating_add)
                .saturating_mul(3)
                .saturating_add(sums().max().unwrap_or(0).saturating_mul(2));
            let batch = u64::from(spec.train.batch.min(shape.train_samples).max(CONV_BLOCK))
                .next_multiple_of(16);
            let subspace = spec
                .subspace
                .map_or(0, |subspace| subspace_bytes(subspace, parameters));
            parameters
                .saturating_mul(with_kept(spec, copies(spec)))
                .saturating_add(numbers.saturating_mul(batch))
                .saturating_mul(F32)
                .saturating_add(subspace)
        }
        ModelSpec::Features { width, .. } => {
            // The feature matrix, its factorisation and the Gram matrix of the smaller side, in double precision.
            let (n, features) = (u64::from(shape.train_samples), u64::from(width));
            let small = n.min(features);
            (2 * n * features)
                .saturating_add(small * small)
                .saturating_add(parameters)
                .saturating_mul(F64)
        }
        ModelSpec::Closed(closed) => closed.memory(shape),
    }
}

/// Numbers kept per weight: itself, its gradient, and one or two moments; in a subspace, moments are of z.
const fn copies(spec: &TrialSpec) -> u64 {
    match (spec.subspace, spec.train.optimizer) {
        (Some(_), _) => 2,
        (None, Optimizer::Sgd { .. }) => 3,
        (None, Optimizer::Adam { .. }) => 4,
    }
}

/// Bytes of the samples that a trial sees, as single-precision inputs and one byte per label.
#[must_use]
pub fn data_bytes(shape: &DataShape) -> u64 {
    let samples = u64::from(shape.train_samples)
        + u64::from(shape.validation_samples)
        + u64::from(shape.test_samples);
    samples * (u64::from(shape.inputs) * 4 + 1)
}
