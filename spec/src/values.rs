//! Settings with values, as given: not yet canonical. What files and axes fill, and what trials are resolved from.

mod asked;
mod held;
mod model;
mod staged;
mod trained;
mod typed;

use crate::architecture::Architecture;
use crate::setting::{Applies, Key};
use crate::trial::{
    AugmentSpec, DataSpec, EarlyStop, EvaluateSpec, Experiment, Inputs, Labels, Loss, MaskSpec,
    NoiseKind, Optimizer, Schedule, Scope, Spread, TrainSpec, TrialSpec, is_closed_form,
};
use crate::value::Value;

/// Settings that together describe no trial.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// A setting without a default is not given.
    #[error("`{0}` is not given and has no default")]
    Missing(&'static str),
    /// The experiment does not go with the model.
    #[error("experiment \"{experiment}\" does not go with model.kind \"{kind}\"")]
    Mismatch {
        /// The experiment's word.
        experiment: &'static str,
        /// The model's word.
        kind: &'static str,
    },
    /// A subspace around weights that another trial trained, which P says nothing about.
    #[error(
        "`subspace.dim` does not go with `train.weight_reuse`: a subspace lies around weights that are drawn"
    )]
    SubspaceReuse,
    /// A setting that the experiment has no use for at this value.
    #[error("{message}")]
    Conflict {
        /// The setting.
        key: Key,
        /// What is wrong with it.
        message: &'static str,
        /// The way out.
        help: &'static str,
    },
    /// Early stopping that has no samples to look at.
    #[error("`train.early_stop` looks at validation samples, and `data.validation` holds none out")]
    NothingHeldOut,
    /// An epoch that training does not reach.
    #[error("asks for epoch {epoch}, training ends after {epochs}")]
    AfterTheEnd {
        /// The setting.
        setting: Key,
        /// What it asks for.
        epoch: u32,
        /// The last epoch.
        epochs: u32,
    },
    /// A search without ends.
    #[error(
        "a search goes from `subspace.low` = {low} to `subspace.dim` = {dim}: the second is not the larger"
    )]
    SearchEnds {
        /// The smallest dimension.
        low: u32,
        /// The largest.
        dim: u32,
    },
}

/// One value, or none, for each setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Values([Option<Value>; Key::ALL.len()]);

impl Default for Values {
    fn default() -> Self {
        Self([const { None }; Key::ALL.len()])
    }
}

impl Values {
    /// The value as given, whether it means something or not.
    #[must_use]
    pub fn given(&self, key: Key) -> Option<&Value> {
        self.0[key as usize].as_ref()
    }

    /// Gives a value, which has passed the setting's [`kind`](crate::setting::Setting::kind).
    pub fn set(&mut self, key: Key, value: Value) {
        self.0[key as usize] = Some(value);
    }

    /// Takes a value back.
    pub fn clear(&mut self, key: Key) {
        self.0[key as usize] = None;
    }

    /// Whether the setting means something, the others being what they are.
    #[must_use]
    pub fn applies(&self, key: Key) -> bool {
        let holds = |condition: &crate::setting::Condition| {
            condition.holds(self.in_effect(condition.key).as_ref())
        };
        match key.setting().applies {
            Applies::Always => true,
            Applies::All(conditions) => conditions.iter().all(holds),
            Applies::Any(conditions) => conditions.iter().any(holds),
        }
    }

    /// The value that counts: the given one or the default; `None` where the setting means nothing, is "all", or is missing.
    #[must_use]
    pub fn in_effect(&self, key: Key) -> Option<Value> {
        self.applies(key).then(|| self.or_default(key)).flatten()
    }

    /// The given value, or the default.
    pub(crate) fn or_default(&self, key: Key) -> Option<Value> {
        self.given(key).cloned().or_else(|| self.default(key))
    }

    /// The default beside the other settings: architectures have their own width, and some their normalisation.
    fn default(&self, key: Key) -> Option<Value> {
        let own = match key {
            Key::ModelWidth | Key::ModelBatchNorm => self.architecture(),
            _ => None,
        };
        match (own, key) {
            (Some(own), Key::ModelWidth) => Some(Value::Integer(own.width().into())),
            (Some(own), _) => Some(Value::Boolean(own.is_normalised())),
            (None, _) => key.setting().fallback.value(),
        }
    }

    /// The convolution network that `model.kind` names, if it names one.
    fn architecture(&self) -> Option<Architecture> {
        Architecture::from_word(self.or_default(Key::ModelKind)?.as_text()?)
    }

    /// What makes two trials different: settings that mean something and are not at their default, sorted by name.
    pub(crate) fn canonical(&self) -> Vec<(Key, Value)> {
        Key::ALL
            .iter()
            .filter_map(|&key| {
                let value = self.given(key)?;
                let default = self.default(key);
                let decides = default.as_ref() != Some(value)
                    && self.applies(key)
                    && (key != Key::Experiment || self.is_its_own());
                decides.then(|| (key, value.clone()))
            })
            .collect()
    }

    /// Whether the experiment solves for its trials or does more with them than train them. What is asked of a network that is
    /// trained once changes none of its numbers: what an experiment adds to training has settings of its own, so the question
    /// stays out of the canonical form.
    fn is_its_own(&self) -> bool {
        let word = self.or_default(Key::Experiment);
        word.as_ref()
            .and_then(Value::as_text)
            .and_then(Experiment::from_word)
            .is_some_and(Experiment::owns_trials)
    }

    /// The trial that these settings describe.
    ///
    /// # Errors
    /// When a setting without a default is missing, or the experiment does not go with the model,
    /// or the subspace with the start.
    pub fn resolve(&self) -> Result<TrialSpec, Unresolved> {
        let experiment_word = self.word(Key::Experiment)?;
        let experiment =
            Experiment::from_word(experiment_word).expect("the table lists every experiment");
        let kind = self.word(Key::ModelKind)?;
        if !experiment.takes(kind) {
            return Err(Unresolved::Mismatch {
                experiment: experiment_word,
                kind,
            });
        }
        let closed_form = is_closed_form(kind);
        let spec = TrialSpec {
            experiment,
            data: self.data()?,
            model: self.model(kind)?,
            mask: if closed_form {
                MaskSpec::None
            } else {
                self.mask()?
            },
            train: if closed_form {
                Self::untrained()
            } else {
                self.train()?
            },
            subspace: if closed_form { None } else { self.subspace()? },
            evaluate: if closed_form {
                EvaluateSpec {
                    spread: Spread::End,
                    points: 2,
                    every: 1,
                }
            } else {
                self.evaluate()?
            },
            asked: self.asked(experiment)?,
            robustness: if closed_form {
                None
            } else {
                self.robustness(experiment)?
            },
            seed: self.whole(Key::Seed)?,
        };
        asked::check(&spec)?;
        Ok(spec)
    }

    fn data(&self) -> Result<DataSpec, Unresolved> {
        Ok(DataSpec {
            dataset: match self.required(Key::DataDataset)? {
                Value::Text(name) => name.to_string(),
                other => unreachable!("the table makes `data.dataset` a text, not {other}"),
            },
            samples: self.optional_count(Key::DataSamples)?,
            validation: self.count(Key::DataValidation)?,
            test_samples: self.optional_count(Key::DataTestSamples)?,
            centre: self.required(Key::DataCentre)? == Value::Boolean(true),
            inputs: Inputs::from_word(self.word(Key::DataInputs)?)
                .expect("the table lists every kind of inputs"),
            labels: Labels::from_word(self.word(Key::DataLabels)?)
                .expect("the table lists every kind of labels"),
            label_noise: if self.applies(Key::DataLabelNoise) {
                self.number(Key::DataLabelNoise)?
            } else {
                0.0
            },
            noise_kind: if self.applies(Key::DataNoiseKind) {
                NoiseKind::from_word(self.word(Key::DataNoiseKind)?)
                    .expect("the table lists every kind of noise")
            } else {
                NoiseKind::Other
            },
            seed: if self.applies(Key::DataSeed) {
                self.whole(Key::DataSeed)?
            } else {
                0
            },
        })
    }

    fn train(&self) -> Result<TrainSpec, Unresolved> {
        let lr = self.number(Key::TrainOptimizerLr)?;
        Ok(TrainSpec {
            loss: Loss::from_word(self.word(Key::TrainLoss)?).expect("the table lists every loss"),
            optimizer: match self.word(Key::TrainOptimizerKind)? {
                "sgd" => Optimizer::Sgd {
                    lr,
                    momentum: self.number(Key::TrainOptimizerMomentum)?,
                },
                "adam" => Optimizer::Adam {
                    lr,
                    beta1: self.number(Key::TrainOptimizerBeta1)?,
                    beta2: self.number(Key::TrainOptimizerBeta2)?,
                    epsilon: self.number(Key::TrainOptimizerEpsilon)?,
                },
                other => unreachable!("the table does not list the optimizer `{other}`"),
            },
            schedule: match self.word(Key::TrainScheduleKind)? {
                "constant" => Schedule::Constant,
                "step" => Schedule::Step {
                    factor: self.number(Key::TrainScheduleFactor)?,
                    every: self.count(Key::TrainScheduleEvery)?,
                },
                "cosine" => Schedule::Cosine,
                other => unreachable!("the table does not list the schedule `{other}`"),
            },
            schedule_scope: self.scope(Key::TrainScheduleScope)?,
            weight_decay: self.number(Key::TrainWeightDecay)?,
            dropout: self.number(Key::TrainDropout)?,
            augment: AugmentSpec {
                shift: self.count(Key::TrainAugmentShift)?,
                flip: self.required(Key::TrainAugmentFlip)? == Value::Boolean(true),
            },
            early_stop: self.early_stop()?,
            patience: self.count(Key::TrainPatience)?,
            batch: self.count(Key::TrainBatch)?,
            epochs: self.count(Key::TrainEpochs)?,
            order_seed: self.whole(Key::TrainOrderSeed)?,
            weight_reuse: self.scope(Key::TrainWeightReuse)?,
            reuse_sd: self.number(Key::TrainReuseSd)?,
            stop_at_zero_error: self.scope(Key::TrainStopAtZeroError)?,
        })
    }

    /// What closed forms carry in place of training settings: constants, so that equal trials compare equal.
    fn untrained() -> TrainSpec {
        TrainSpec {
            loss: Loss::Squared,
            optimizer: Optimizer::Sgd {
                lr: 0.0,
                momentum: 0.0,
            },
            schedule: Schedule::Constant,
            schedule_scope: Scope::Always,
            weight_decay: 0.0,
            dropout: 0.0,
            augment: AugmentSpec::default(),
            early_stop: EarlyStop::Never,
            patience: 1,
            batch: 1,
            epochs: 0,
            order_seed: 0,
            weight_reuse: Scope::Never,
            reuse_sd: 0.0,
            stop_at_zero_error: Scope::Never,
        }
    }

    fn evaluate(&self) -> Result<EvaluateSpec, Unresolved> {
        let spread = Spread::from_word(self.word(Key::EvaluateSpread)?)
            .expect("the table lists every spread");
        if spread == Spread::Steps && self.count(Key::DataValidation)? == 0 {
            return Err(Unresolved::Conflict {
                key: Key::EvaluateSpread,
                message: "`steps` looks at the validation loss, and `data.validation` holds no sample out",
                help: "write validation = 500 under [data]",
            });
        }
        Ok(EvaluateSpec {
            spread,
            points: if spread == Spread::Log {
                self.count(Key::EvaluatePoints)?
            } else {
                2
            },
            every: if matches!(spread, Spread::Every | Spread::Steps) {
                self.count(Key::EvaluateEvery)?
            } else {
                1
            },
        })
    }
}
