//! Early stopping: the best network so far, by what its validation samples say.

use std::sync::Arc;

use descent_spec::outcome::Measurement;
use descent_spec::trial::EarlyStop;
use serde::{Deserialize, Serialize};

use crate::mlp::Plan;

/// A network as it was when its validation loss or error was least.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Best<N> {
    pub(crate) measurement: Measurement,
    pub(crate) network: Arc<N>,
}

/// Prefix of its tensors in a checkpoint.
pub(crate) const PREFIX: &str = "best.";

/// What a plan looks at.
fn watched(plan: &Plan, measurement: &Measurement) -> Option<f64> {
    match plan.early_stop {
        EarlyStop::Never => None,
        EarlyStop::ValidationLoss => measurement.validation_loss,
        EarlyStop::ValidationError => measurement.validation_error,
    }
}

/// Takes a network in place of the best so far where it is better; the first of equals stays.
pub(crate) fn update<N>(
    plan: &Plan,
    best: &mut Option<Best<N>>,
    measurement: &Measurement,
    network: impl FnOnce() -> N,
) {
    let Some(value) = watched(plan, measurement).filter(|value| value.is_finite()) else {
        return;
    };
    let before = best
        .as_ref()
        .and_then(|best| watched(plan, &best.measurement));
    if before.is_none_or(|before| value < before) {
        *best = Some(Best {
            measurement: measurement.clone(),
            network: Arc::new(network()),
        });
    }
}

/// Whether no measured epoch was better for as long as a plan waits.
pub(crate) fn is_over<N>(plan: &Plan, best: Option<&Best<N>>, epoch: u32) -> bool {
    best.is_some_and(|best| {
        let since = |measured: &&u32| (best.measurement.epoch + 1..=epoch).contains(*measured);
        plan.measured.iter().filter(since).count() >= plan.patience as usize
    })
}

/// A measurement in a checkpoint: losses and errors by their bits, in the order of its fields.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    dead_units: Option<u32>,
    epoch: u32,
    numbers: [Option<u64>; 6],
}

impl From<&Measurement> for Stored {
    fn from(measured: &Measurement) -> Self {
        let numbers = [
            measured.train_loss,
            measured.train_error,
            measured.validation_loss,
            measured.validation_error,
            measured.test_loss,
            measured.test_error,
        ];
        Self {
            dead_units: measured.dead_units,
            epoch: measured.epoch,
            numbers: numbers.map(|number| number.map(f64::to_bits)),
        }
    }
}

impl From<Stored> for Measurement {
    fn from(stored: Stored) -> Self {
        let [
            train_loss,
            train_error,
            validation_loss,
            validation_error,
            test_loss,
            test_error,
        ] = stored.numbers.map(|number| number.map(f64::from_bits));
        Self {
            epoch: stored.epoch,
            train_loss,
            train_error,
            validation_loss,
            validation_error,
            test_loss,
            test_error,
            dead_units: stored.dead_units,
        }
    }
}
