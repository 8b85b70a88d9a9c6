//! How measured numbers become reports, and when a training ends.

use descent_spec::details::Details;
use descent_spec::id::ContentHash;
use descent_spec::outcome::{Measurement, StopReason, TrialResult};
use descent_spec::trial::Loss;

use crate::mlp::{Dense, Plan};
use crate::notes::Notes;
use crate::pack::Event;
use crate::weights;

/// Sums over the samples of one split.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Summed over samples; squared losses over outputs too.
    pub(crate) loss: f64,
    pub(crate) wrong: u64,
    pub(crate) samples: u64,
}

impl Tally {
    /// Mean over samples, and for squared losses over outputs; `None` without samples. May not be finite.
    pub(crate) fn mean_loss(&self, plan: &Plan) -> Option<f64> {
        let per_sample = match plan.loss {
            Loss::Squared => plan.outputs as f64,
            Loss::CrossEntropy => 1.0,
        };
        (self.samples > 0).then(|| self.loss / (self.samples as f64 * per_sample))
    }

    /// Share of samples that are misclassified; `None` without samples.
    pub(crate) fn error(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.wrong as f64 / self.samples as f64)
    }
}

/// A measured member: where it stands.
pub(crate) struct Standing {
    measurement: Measurement,
    stop: Option<StopReason>,
}

/// An ended member.
pub(crate) struct Ending {
    measurement: Measurement,
    stop: StopReason,
    details: Option<Details>,
}

impl Standing {
    /// Judges a measurement, whose losses may not be finite; `out_of_patience`: early stopping has waited long enough.
    pub(crate) fn of(plan: &Plan, mut measurement: Measurement, out_of_patience: bool) -> Self {
        let losses = [
            &mut measurement.train_loss,
            &mut measurement.validation_loss,
            &mut measurement.test_loss,
        ];
        let mut diverged = false;
        for loss in losses {
            if loss.is_some_and(|loss| !loss.is_finite()) {
                *loss = None;
                diverged = true;
            }
        }
        let stop = if diverged {
            Some(StopReason::Diverged)
        } else if plan.stops_at_zero_error && measurement.train_error == Some(0.0) {
            Some(StopReason::ZeroError)
        } else if measurement.epoch >= plan.epochs {
            Some(StopReason::Epochs)
        } else if out_of_patience {
            Some(StopReason::Patience)
        } else {
            None
        };
        Self { measurement, stop }
    }

    pub(crate) fn event(&self, key: u64) -> Event {
        Event::Measured {
            key,
            measurement: self.measurement.clone(),
        }
    }

    pub(crate) fn ending(self) -> Option<Ending> {
        let measurement = self.measurement;
        self.stop.map(|stop| Ending {
            measurement,
            stop,
            details: None,
        })
    }
}

impl Ending {
    /// The end of a member that is no longer finite: no number is reported.
    pub(crate) fn diverged(epoch: u32) -> Self {
        Self {
            measurement: Measurement::of_epoch(epoch),
            stop: StopReason::Diverged,
            details: None,
        }
    }

    /// The end as that of the best network, whose measurement this is.
    pub(crate) fn at(self, measurement: Measurement) -> Self {
        Self {
            measurement,
            ..self
        }
    }

    /// The last measurement.
    pub(crate) const fn last(&self) -> &Measurement {
        &self.measurement
    }

    pub(crate) const fn epoch(&self) -> u32 {
        self.measurement.epoch
    }

    /// The end with what the experiment says beyond it.
    pub(crate) fn with_details(self, details: Option<Details>) -> Self {
        Self { details, ..self }
    }

    pub(crate) fn is_diverged(&self) -> bool {
        self.stop == StopReason::Diverged
    }

    /// The event that takes the member out, with its final weights if it has any.
    pub(crate) fn event(
        self,
        key: u64,
        plan: &Plan,
        on: &Place,
        layers: Option<&[Dense]>,
    ) -> Event {
        self.with_weights(
            key,
            plan,
            on,
            layers.map(|layers| weights::to_bytes(layers, &Notes::default())),
        )
    }

    /// The same with final weights as a file.
    pub(crate) fn with_weights(
        self,
        key: u64,
        plan: &Plan,
        on: &Place,
        weights: Option<Vec<u8>>,
    ) -> Event {
        let result = TrialResult {
            stop: self.stop,
            diverged: self.is_diverged(),
            last: self.measurement,
            coefficient_norm: None,
            parameters: plan.parameters,
            details: self.details,
            weights: weights.as_deref().map(ContentHash::of),
            device: on.device.clone(),
            instruction_set: on.instruction_set.clone(),
            train_ms: 0,
        };
        Event::Finished {
            key,
            result: Box::new(result),
            weights,
        }
    }
}

/// Where numbers were computed, as results say it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) device: String,
    pub(crate) instruction_set: String,
}
