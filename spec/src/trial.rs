//! A trial, fully resolved: everything a worker needs to know to train it, typed.
//!
//! This is what the *settings* of a sweep file (see `setting.rs`) mean once every axis has its value. It is derived from
//! [`Params`](crate::params::Params), which is what is stored, sent and hashed; it is never itself serialised.

mod learned;
mod model;
mod pruning;
mod subspace;

pub use learned::{DataSpec, Inputs, Labels, NoiseKind};
pub use model::{Blind, FeatureKind, is_closed_form};
pub use pruning::{Control, MaskSpec, PruneMethod, PruneScope, Pruning};
pub use subspace::{ProjectionKind, Search, SubspaceSpec, Threshold};

use crate::architecture::Architecture;
use crate::asked::Asked;
use crate::closed::Closed;
use crate::id::{ContentHash, Identity, PackKey};
use crate::robustness::RobustnessSpec;
use crate::state::words;

words!(
    /// The kind of question that a sweep asks.
    Experiment {
        /// Test loss against the number of parameters of networks trained by gradient descent.
        RiskCurve = "risk-curve",
        /// The same for least squares on random features, in closed form.
        RandomFeatures = "random-features",
        /// A network of 2n + d weights that takes any labels on n samples, built and verified.
        Expressivity = "expressivity",
        /// Networks pruned by the magnitude of their trained weights, set back and trained again.
        LotteryTicket = "lottery-ticket",
        /// Accuracy of networks trained in random subspaces, against the subspace's dimension.
        IntrinsicDimension = "intrinsic-dimension",
        /// Bits that it takes to send the labels to somebody who has the inputs.
        DescriptionLength = "description-length",
        /// How far fitted values follow their targets.
        DegreesOfFreedom = "degrees-of-freedom",
        /// What becomes of a trained network when one of its layers is set back or drawn anew.
        LayerRobustness = "layer-robustness",
        /// How soon networks fit labels and images that mean less and less, and what of it carries over to test samples.
        Memorization = "memorization",
    }
);

impl Experiment {
    /// Whether a model goes with it, by the word of `model.kind`.
    #[must_use]
    pub fn takes(self, kind: &str) -> bool {
        let features = FeatureKind::from_word(kind).is_some();
        match self {
            Self::RandomFeatures => features || Closed::kernel(kind).is_some(),
            Self::Expressivity => kind == "interpolator",
            Self::RiskCurve
            | Self::LotteryTicket
            | Self::IntrinsicDimension
            | Self::LayerRobustness
            | Self::Memorization
            | Self::DescriptionLength => !is_closed_form(kind),
            Self::DegreesOfFreedom => features || kind == "linear" || kind == "mlp",
        }
    }

    /// Whether it does more with a trial than train and measure it, or solves for it: then the trial is its own. Networks that
    /// are trained once are shared by all that ask for them.
    #[must_use]
    pub const fn owns_trials(self) -> bool {
        match self {
            Self::RandomFeatures
            | Self::Expressivity
            | Self::DescriptionLength
            | Self::DegreesOfFreedom => true,
            Self::RiskCurve
            | Self::LotteryTicket
            | Self::IntrinsicDimension
            | Self::LayerRobustness
            | Self::Memorization => false,
        }
    }
}

/// One point of a sweep with one seed.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialSpec {
    /// The kind of question; of networks that are trained once, [`Experiment::RiskCurve`] whatever the sweep asks.
    pub experiment: Experiment,
    /// What is learned from.
    pub data: DataSpec,
    /// What learns.
    pub model: ModelSpec,
    /// Which of its weights are kept.
    pub mask: MaskSpec,
    /// How it learns. Closed forms ignore it.
    pub train: TrainSpec,
    /// The random subspace that it is trained in; `None`: every parameter is trained itself.
    pub subspace: Option<SubspaceSpec>,
    /// When it is measured.
    pub evaluate: EvaluateSpec,
    /// What its experiment asks of it besides.
    pub asked: Asked,
    /// Which states of its layers are kept, and tested in the trained network; `None`: none.
    pub robustness: Option<RobustnessSpec>,
    /// Seed of initial weights, random features, projections and masks.
    pub seed: u64,
}

impl TrialSpec {
    /// Whether going on from a checkpoint takes the parent's weights once more: what a stage derives from them (a mask, a
    /// dimension) is not in its checkpoints.
    #[must_use]
    pub fn returns_to_parent(&self) -> bool {
        matches!(self.mask, MaskSpec::Magnitude(pruning) if pruning.level > 0)
            || self
                .subspace
                .is_some_and(|subspace| subspace.search.is_some())
    }
}

/// What learns.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSpec {
    /// A fully connected ReLU network, biases everywhere, linear outputs.
    Mlp {
        /// Units of each hidden layer, from the inputs on; at least one layer.
        hidden: Vec<u32>,
        /// Distribution of the initial weights; biases start at 0.
        init: Init,
    },
    /// A fully connected ReLU network with a batch normalisation before every ReLU, in place of biases.
    NormalisedMlp {
        /// Units of each hidden layer, from the inputs on; at least one layer.
        hidden: Vec<u32>,
        /// Distribution of the initial weights.
        init: Init,
    },
    /// A convolution network, ReLU throughout, linear outputs.
    Conv {
        /// Its layers.
        architecture: Architecture,
        /// Channels of the first convolution; the other hidden layers scale with it.
        width: u32,
        /// Whether a batch normalisation stands before every ReLU, in place of biases.
        batch_norm: bool,
        /// Distribution of the initial weights; biases start at 0.
        init: Init,
    },
    /// Linear regression on `width` random features.
    Features {
        /// The kind.
        kind: FeatureKind,
        /// Number of features N.
        width: u32,
        /// Kernel bandwidth (Fourier only).
        bandwidth: f64,
        /// Ridge λ of ‖Φa − y‖² + λ‖a‖²; 0 is least squares, and beyond N = n the interpolant of minimum norm.
        ridge: f64,
    },
    /// Another closed form.
    Closed(Closed),
}

/// Distribution of initial weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Uniform on ±√(6 / (fan_in + fan_out)) (Glorot & Bengio 2010).
    GlorotUniform,
    /// Normal with variance 2 / (fan_in + fan_out).
    GlorotNormal,
    /// Normal with variance 2 / fan_in (He et al. 2015).
    HeNormal,
    /// Normal with this standard deviation.
    Normal {
        /// Standard deviation.
        sd: f64,
    },
}

words!(
    /// What is minimised.
    Loss {
        /// Σ over outputs of (f − onehot)², mean over the batch. *Reported* as the mean over outputs too.
        Squared = "squared",
        /// Softmax cross-entropy, mean over the batch, in nats.
        CrossEntropy = "cross-entropy",
    }
);

/// The rule that turns gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// v ← μv + g; w ← w − lr·v (PyTorch's form).
    Sgd {
        /// Learning rate.
        lr: f64,
        /// Momentum μ.
        momentum: f64,
    },
    /// Adam with bias correction (Kingma & Ba 2015).
    Adam {
        /// Learning rate.
        lr: f64,
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the root of the second moment.
        epsilon: f64,
    },
}

/// The learning rate's factor over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// 1 throughout.
    Constant,
    /// factor^⌊epoch / every⌋.
    Step {
        /// Multiplies the learning rate each time.
        factor: f64,
        /// Epochs between the multiplications.
        every: u32,
    },
    /// ½(1 + cos(π·step / steps)).
    Cosine,
}

words!(
    /// For which networks a rule holds. The threshold is n·K parameters: samples times outputs.
    Scope {
        /// For none.
        Never = "never",
        /// For networks of fewer than n·K parameters.
        BelowThreshold = "below-threshold",
        /// For all.
        Always = "always",
    }
);

impl Scope {
    /// Whether a rule of this scope holds for a network of so many parameters. `threshold` is n·K.
    #[must_use]
    pub const fn holds(self, parameters: u64, threshold: u64) -> bool {
        match self {
            Self::Never => false,
            Self::BelowThreshold => parameters < threshold,
            Self::Always => true,
        }
    }
}

words!(
    /// What ends training early.
    EarlyStop {
        /// Nothing.
        Never = "never",
        /// The loss on the validation samples.
        ValidationLoss = "validation-loss",
        /// The error on the validation samples.
        ValidationError = "validation-error",
    }
);

/// What is done to training images, anew in every step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AugmentSpec {
    /// How far they are moved at most, in pixels.
    pub shift: u32,
    /// Whether every other one is mirrored.
    pub flip: bool,
}

/// How it learns.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSpec {
    /// What is minimised.
    pub loss: Loss,
    /// The rule that turns gradients into steps.
    pub optimizer: Optimizer,
    /// Learning-rate schedule.
    pub schedule: Schedule,
    /// Which networks the schedule holds for.
    pub schedule_scope: Scope,
    /// λ of an added λ/2·‖w‖² on the weights, not on the biases.
    pub weight_decay: f64,
    /// Share of the units before a dense layer, inputs excepted, that each step leaves out, in `[0, 1)`.
    pub dropout: f64,
    /// What is done to training images.
    pub augment: AugmentSpec,
    /// What ends training early.
    pub early_stop: EarlyStop,
    /// Measured epochs without a smaller number after which it does.
    pub patience: u32,
    /// Samples per step; the last batch of an epoch may be smaller.
    pub batch: u32,
    /// Passes over the training samples.
    pub epochs: u32,
    /// Seed of the order of samples.
    pub order_seed: u64,
    /// Which networks start from the trained weights of the next narrower one.
    pub weight_reuse: Scope,
    /// Standard deviation of the weights that a narrower network does not have.
    pub reuse_sd: f64,
    /// Which networks stop at the first *measured* epoch without a training error.
    pub stop_at_zero_error: Scope,
}

words!(
    /// How measured epochs are spread.
    Spread {
        /// Evenly on a log scale.
        Log = "log",
        /// Every `every` epochs.
        Every = "every",
        /// Only at the end.
        End = "end",
        /// Only at the end; every `every` steps the validation loss alone is looked at.
        Steps = "steps",
    }
);

/// When a network is measured. The last epoch always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluateSpec {
    /// How the measured epochs are spread.
    pub spread: Spread,
    /// Number of measured epochs (log).
    pub points: u32,
    /// Distance in epochs (every) or steps (steps).
    pub every: u32,
}

impl EvaluateSpec {
    /// The measured epochs of a training of `epochs`, ascending and without repeats; the last is always `epochs`.
    #[must_use]
    pub fn epochs(&self, epochs: u32) -> Vec<u32> {
        let mut measured: Vec<u32> = match self.spread {
            Spread::End | Spread::Steps => Vec::new(),
            Spread::Every => (1..=epochs)
                .filter(|epoch| epoch.is_multiple_of(self.every.max(1)))
                .collect(),
            Spread::Log => {
                // Points are floor(epochs^(i/(points-1))): computed in integers' neighbourhood, so libm's last bit cannot matter.
                let last = f64::from(self.points.max(2) - 1);
                (0..self.points)
                    .map(|i| (f64::from(epochs).powf(f64::from(i) / last) + 1e-9).floor() as u32)
                    .collect()
            }
        };
        measured.push(epochs);
        measured.retain(|&epoch| epoch >= 1 && epoch <= epochs);
        measured.sort_unstable();
        measured.dedup();
        measured
    }
}

/// A trial as it is queued: its name, its settings and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialKey {
    /// Its name for ever.
    pub identity: Identity,
    /// What it must share with others to be trained beside them.
    pub pack_key: PackKey,
    /// Content of its data set.
    pub data: ContentHash,
    /// The trial whose final weights it starts from.
    pub parent: Option<Identity>,
}
