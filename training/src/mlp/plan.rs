//! What is fixed about one member: its shape, its rule, its length.

use descent_spec::asked::Asked;
use descent_spec::ladder::{self, Pool};
use descent_spec::robustness::RobustnessSpec;
use descent_spec::shape;
use descent_spec::trial::{
    EarlyStop, Init, Loss, MaskSpec, ModelSpec, Optimizer, Pruning, Schedule, Spread, SubspaceSpec,
    TrialSpec,
};

use crate::augment::Augment;
use crate::data::Prepared;
use crate::dropout::Dropout;
use crate::optimizer::Coefficients;
use crate::pack::TrainError;
use crate::stream::Stream;

/// A member's constants, derived from its description and its data.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) inputs: usize,
    /// Units of each hidden layer, at least one layer; none for networks that go layer by layer.
    pub(crate) hidden: Vec<usize>,
    pub(crate) outputs: usize,
    pub(crate) parameters: u64,
    pub(crate) init: Init,
    pub(crate) mask: MaskSpec,
    pub(crate) subspace: Option<SubspaceSpec>,
    pub(crate) seed: u64,
    pub(crate) reuse_sd: f64,
    pub(crate) loss: Loss,
    pub(crate) optimizer: Optimizer,
    pub(crate) schedule: Schedule,
    pub(crate) decay: f64,
    pub(crate) batch: usize,
    pub(crate) samples: usize,
    pub(crate) order_seed: u64,
    pub(crate) epochs: u32,
    /// Measured epochs, ascending; the last is `epochs`.
    pub(crate) measured: Vec<u32>,
    pub(crate) stops_at_zero_error: bool,
    /// Whether final weights have the coordinates of the subspace with them.
    pub(crate) keeps_coordinates: bool,
    /// Units left out of steps.
    pub(crate) dropout: Option<Dropout>,
    /// What is done to training images.
    pub(crate) augment: Option<Augment>,
    pub(crate) early_stop: EarlyStop,
    pub(crate) patience: u32,
    /// Which of its layers' states are tested in the trained network.
    pub(crate) robustness: Option<RobustnessSpec>,
    /// The epochs whose states are kept for that, ascending.
    pub(crate) kept: Vec<u32>,
    /// Steps between two looks at the validation samples.
    pub(crate) watch: Option<u64>,
    /// The step on the way whose state is kept for later stages.
    pub(crate) keeps_at: Option<u64>,
    /// Weights that are pruned together, and how many of them are kept.
    pub(crate) pools: Vec<Pool>,
}

/// Coefficients of a step that change from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// The learning rate, for Adam over 1 − β₁ᵗ.
    pub(crate) rate: f32,
    /// Adam's 1 / √(1 − β₂ᵗ).
    pub(crate) root: f32,
}

impl Plan {
    /// # Errors
    /// When the description asks for a network that cannot be.
    pub(crate) fn new(spec: &TrialSpec, data: &Prepared) -> Result<Self, TrainError> {
        let bad = |what: &str| Err(TrainError::BadSpec(what.to_owned()));
        let (hidden, init) = match &spec.model {
            ModelSpec::Mlp { hidden, init } => (hidden.as_slice(), *init),
            // Its layers are its own affair; all else is shared.
            ModelSpec::NormalisedMlp { init, .. } | ModelSpec::Conv { init, .. } => {
                (&[][..], *init)
            }
            ModelSpec::Features { .. } | ModelSpec::Closed(_) => {
                return bad("only networks are trained by gradient descent");
            }
        };
        let is_dense = matches!(spec.model, ModelSpec::Mlp { .. });
        if spec.asked != Asked::Nothing {
            return bad("a trial of several trainings is no single one");
        }
        let train = &spec.train;
        if (is_dense && hidden.is_empty())
            || hidden.contains(&0)
            || train.batch == 0
            || data.train_y.is_empty()
        {
            return bad("hidden layers, their units, batch and samples must be at least 1");
        }
        let count = |n: usize| {
            u32::try_from(n)
                .map_err(|_| TrainError::BadSpec(format!("{n} is too many for a network")))
        };
        let parameters = shape::parameters(
            &spec.model,
            count(data.inputs)?,
            data.image,
            count(data.outputs)?,
        );
        let beyond =
            |subspace: &SubspaceSpec| subspace.dim == 0 || u64::from(subspace.dim) > parameters;
        if spec.subspace.as_ref().is_some_and(beyond) {
            return bad(
                "a subspace has at least 1 dimension, and no more than the network has parameters",
            );
        }
        if spec.subspace.is_some() && parameters >= shape::SUBSPACE_PARAMETERS {
            return bad("a network in a subspace has fewer than 2³¹ parameters");
        }
        let samples = data.train_y.len();
        let threshold = samples as u64 * data.outputs as u64;
        let schedule = if train.schedule_scope.holds(parameters, threshold) {
            train.schedule
        } else {
            Schedule::Constant
        };
        Ok(Self {
            inputs: data.inputs,
            hidden: hidden.iter().map(|&units| units as usize).collect(),
            outputs: data.outputs,
            parameters,
            init,
            mask: spec.mask,
            subspace: spec.subspace,
            seed: spec.seed,
            reuse_sd: train.reuse_sd,
            loss: train.loss,
            optimizer: train.optimizer,
            schedule,
            decay: train.weight_decay,
            batch: (train.batch as usize).min(samples),
            samples,
            order_seed: train.order_seed,
            epochs: train.epochs,
            measured: spec.evaluate.epochs(train.epochs),
            dropout: Dropout::new(train.dropout, spec.seed),
            augment: Augment::new(train.augment, data.image, train.order_seed),
            early_stop: train.early_stop,
            patience: train.patience,
            kept: spec
                .robustness
                .as_ref()
                .map_or(Vec::new(), RobustnessSpec::kept),
            robustness: spec.robustness.clone(),
            stops_at_zero_error: train.stop_at_zero_error.holds(parameters, threshold),
            keeps_coordinates: false,
            watch: (spec.evaluate.spread == Spread::Steps)
                .then(|| u64::from(spec.evaluate.every.max(1))),
            keeps_at: match spec.mask {
                MaskSpec::Magnitude(pruning) if pruning.level == 0 && pruning.rewind > 0 => {
                    Some(pruning.rewind)
                }
                _ => None,
            },
            pools: match spec.mask {
                MaskSpec::Magnitude(pruning) => pruning.pools(&ladder::layers(
                    &spec.model,
                    count(data.inputs)?,
                    data.image,
                    count(data.outputs)?,
                )),
                MaskSpec::None | MaskSpec::Random { .. } => Vec::new(),
            },
        })
    }

    /// Rows (inputs and bias) and columns of every layer, the output layer last.
    pub(crate) fn shapes(&self) -> Vec<(usize, usize)> {
        self.each_shape().collect()
    }

    /// The same one by one.
    pub(crate) fn each_shape(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut rows = self.inputs + 1;
        let columns = self.hidden.iter().chain([&self.outputs]);
        columns.map(move |&columns| {
            let shape = (rows, columns);
            rows = columns + 1;
            shape
        })
    }

    /// Number of hidden layers.
    pub(crate) fn depth(&self) -> usize {
        self.hidden.len()
    }

    /// Units of the first hidden layer.
    pub(crate) fn first(&self) -> usize {
        self.hidden[0]
    }

    /// Optimizer state: how many numbers per weight. In a subspace, weights have none.
    pub(crate) const fn moments(&self) -> usize {
        if self.subspace.is_some() {
            0
        } else {
            self.numbers_per_moved()
        }
    }

    /// Optimizer state: how many numbers per number that the optimizer moves.
    pub(crate) const fn numbers_per_moved(&self) -> usize {
        match self.optimizer {
            Optimizer::Sgd { .. } => 1,
            Optimizer::Adam { .. } => 2,
        }
    }

    pub(crate) fn steps_per_epoch(&self) -> u64 {
        self.samples.div_ceil(self.batch) as u64
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps_per_epoch() * u64::from(self.epochs)
    }

    /// The level of pruning that it starts from another network at; `None` where it does not.
    pub(crate) fn pruned(&self) -> Option<&Pruning> {
        match &self.mask {
            MaskSpec::Magnitude(pruning) if pruning.level > 0 => Some(pruning),
            _ => None,
        }
    }

    /// Whether the validation samples are looked at after so many steps. The end is measured anyway.
    pub(crate) fn looks_at(&self, step: u64) -> bool {
        step < self.steps() && self.watch.is_some_and(|every| step.is_multiple_of(every))
    }

    /// The next step after so many at which something is to be done before training goes on.
    pub(crate) fn next_pause(&self, step: u64) -> Option<u64> {
        let look = self.watch.map(|every| (step / every + 1) * every);
        let keep = self.keeps_at.filter(|&at| at > step);
        look.into_iter().chain(keep).min()
    }

    /// Epochs completed after so many steps.
    pub(crate) fn epoch(&self, step: u64) -> u32 {
        u32::try_from(step / self.steps_per_epoch()).expect("no more steps than epochs hold")
    }

    /// Draws the order of the samples in an epoch. It depends on nothing but the order's seed and the epoch.
    pub(crate) fn order(&self, epoch: u32, order: &mut Vec<u32>) {
        order.clear();
        order.extend(0..u32::try_from(self.samples).expect("samples are counted in 32 bits"));
        Stream::new("order", self.order_seed, u64::from(epoch)).shuffle(order);
    }

    /// Whether coefficients change from step to step.
    pub(crate) fn has_moving_coefficients(&self) -> bool {
        self.schedule != Schedule::Constant || matches!(self.optimizer, Optimizer::Adam { .. })
    }

    /// What changes from step to step, for the step that follows `step` steps.
    pub(crate) fn pace(&self, step: u64) -> Pace {
        let Coefficients { rate, root, .. } = self.coefficients(step);
        Pace { rate, root }
    }

    /// What the optimizer multiplies with in the step that follows `step` steps.
    pub(crate) fn coefficients(&self, step: u64) -> Coefficients {
        Coefficients::new(self.optimizer, self.factor(step), self.decay, step)
    }

    /// The learning rate's factor for the step that follows `step` steps.
    pub(crate) fn factor(&self, step: u64) -> f64 {
        match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Step { factor, every } => {
                libm::pow(factor, f64::from(self.epoch(step) / every.max(1)))
            }
            Schedule::Cosine => {
                let done = step as f64 / self.steps() as f64;
                0.5 * (1.0 + libm::cos(std::f64::consts::PI * done))
            }
        }
    }
}
