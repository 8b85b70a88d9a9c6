//! What an experiment asks of a trial besides one training, and what does not go with it.

use super::{Unresolved, Values};
use crate::asked::{Asked, CodeSpec, FreedomSpec, Probes};
use crate::setting::Key;
use crate::trial::{EarlyStop, Experiment, Loss, ModelSpec, Scope, Spread, TrialSpec};

impl Values {
    pub(super) fn asked(&self, experiment: Experiment) -> Result<Asked, Unresolved> {
        Ok(match experiment {
            Experiment::DescriptionLength => Asked::Code(CodeSpec {
                first: self.count(Key::CodeFirst)?,
                holdout: self.number(Key::CodeHoldout)?,
                patience: if self.applies(Key::CodePatience) {
                    self.count(Key::CodePatience)?
                } else {
                    0
                },
                steps: self.count(Key::CodeSteps)?,
            }),
            Experiment::DegreesOfFreedom => Asked::Freedom(FreedomSpec {
                epsilon: self.number(Key::FreedomEpsilon)?,
                draws: self.count(Key::FreedomDraws)?,
                probes: Probes::from_word(self.word(Key::FreedomProbes)?)
                    .expect("the table lists every kind of probes"),
            }),
            _ => Asked::Nothing,
        })
    }
}

/// Holds that what is asked of a trial goes with its other settings.
pub(super) fn check(spec: &TrialSpec) -> Result<(), Unresolved> {
    let conflict = |key, message, help| Err(Unresolved::Conflict { key, message, help });
    if spec.asked != Asked::Nothing && spec.train.early_stop != EarlyStop::Never {
        return conflict(
            Key::TrainEarlyStop,
            "the experiment says itself when its trainings end",
            "write early_stop = \"never\" under [train]",
        );
    }
    if spec.asked != Asked::Nothing && spec.robustness.is_some() {
        return conflict(
            Key::RobustnessCheckpoints,
            "layers are set back in networks that are trained once",
            "leave [robustness] out",
        );
    }
    match spec.asked {
        Asked::Nothing => Ok(()),
        Asked::Code(_) => codes(spec),
        // A closed form has no steps that could differ.
        Asked::Freedom(_) => repeats(spec),
    }
}

/// Holds that a trial can send its labels: with probabilities, by a receiver who needs nobody else's network.
fn codes(spec: &TrialSpec) -> Result<(), Unresolved> {
    let conflict = |key, message, help| Err(Unresolved::Conflict { key, message, help });
    if spec.train.loss != Loss::CrossEntropy {
        return conflict(
            Key::TrainLoss,
            "labels are coded with class probabilities, which squared losses do not train",
            "write loss = \"cross-entropy\" under [train]",
        );
    }
    if spec.train.weight_reuse != Scope::Never {
        return conflict(
            Key::TrainWeightReuse,
            "every block's network is trained from the start, on the samples sent before it",
            "write weight_reuse = \"never\" under [train]",
        );
    }
    match spec.asked {
        Asked::Code(code) if code.holdout > 0.0 && spec.evaluate.spread == Spread::End => conflict(
            Key::CodeHoldout,
            "held-out samples choose among measured epochs, and only the last is measured",
            "write spread = \"log\" under [evaluate]",
        ),
        _ => Ok(()),
    }
}

/// Holds that a trial's fit can be repeated on real-valued targets, by the same rule.
fn repeats(spec: &TrialSpec) -> Result<(), Unresolved> {
    let conflict = |key, message, help| Err(Unresolved::Conflict { key, message, help });
    let train = &spec.train;
    if train.loss != Loss::Squared {
        return conflict(
            Key::TrainLoss,
            "degrees of freedom are those of a fit to real-valued targets",
            "write loss = \"squared\" under [train]",
        );
    }
    if train.stop_at_zero_error != Scope::Never {
        return conflict(
            Key::TrainStopAtZeroError,
            "the fit is repeated step by step, and must not end earlier on other targets",
            "write stop_at_zero_error = \"never\" under [train]",
        );
    }
    if matches!(spec.model, ModelSpec::NormalisedMlp { .. }) {
        return conflict(
            Key::ModelBatchNorm,
            "targets with real values are fitted by networks without normalisation only",
            "write batch_norm = false under [model]",
        );
    }
    if train.weight_reuse != Scope::Never {
        return conflict(
            Key::TrainWeightReuse,
            "weights that were fitted to the targets before would move with them, and stay where they are",
            "write weight_reuse = \"never\" under [train]",
        );
    }
    Ok(())
}
