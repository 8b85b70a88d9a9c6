//! Measurements, results and failures.

use descent_spec::details::Details;
use descent_spec::id::ContentHash;
use descent_spec::outcome::{Failure, Measurement, TrialResult};

use super::{InvalidField, digest, known, required};
use crate::v1;

/// A loss that is finite, or absent.
fn finite(number: Option<f64>, path: &str) -> Result<Option<f64>, InvalidField> {
    match number {
        Some(x) if !x.is_finite() => Err(InvalidField::new(
            path,
            "is not finite: leave it out and set `diverged`",
        )),
        _ => Ok(number),
    }
}

/// A share of samples in `[0, 1]`, or absent.
fn share(number: Option<f64>, path: &str) -> Result<Option<f64>, InvalidField> {
    match finite(number, path)? {
        Some(x) if !(0.0..=1.0).contains(&x) => {
            Err(InvalidField::new(path, format!("{x} is not in [0, 1]")))
        }
        _ => Ok(number),
    }
}

impl TryFrom<v1::Measurement> for Measurement {
    type Error = InvalidField;

    fn try_from(wire: v1::Measurement) -> Result<Self, InvalidField> {
        Ok(Self {
            epoch: wire.epoch,
            train_loss: finite(wire.train_loss, "train_loss")?,
            train_error: share(wire.train_error, "train_error")?,
            validation_loss: finite(wire.validation_loss, "validation_loss")?,
            validation_error: share(wire.validation_error, "validation_error")?,
            test_loss: finite(wire.test_loss, "test_loss")?,
            test_error: share(wire.test_error, "test_error")?,
            dead_units: wire.dead_units,
        })
    }
}

impl From<&Measurement> for v1::Measurement {
    fn from(domain: &Measurement) -> Self {
        let finite = |number: Option<f64>| number.filter(|x| x.is_finite());
        Self {
            epoch: domain.epoch,
            train_loss: finite(domain.train_loss),
            train_error: finite(domain.train_error),
            validation_loss: finite(domain.validation_loss),
            validation_error: finite(domain.validation_error),
            test_loss: finite(domain.test_loss),
            test_error: finite(domain.test_error),
            dead_units: domain.dead_units,
        }
    }
}

impl TryFrom<v1::TrialResult> for TrialResult {
    type Error = InvalidField;

    fn try_from(wire: v1::TrialResult) -> Result<Self, InvalidField> {
        for (text, path) in [
            (&wire.device, "device"),
            (&wire.instruction_set, "instruction_set"),
        ] {
            if text.is_empty() {
                return Err(InvalidField::missing(path));
            }
        }
        Ok(Self {
            stop: known::<v1::StopReason, _>(wire.stop, "stop")?,
            last: required(wire.last, "last")?,
            diverged: wire.diverged,
            coefficient_norm: finite(wire.coefficient_norm, "coefficient_norm")?,
            parameters: wire.parameters,
            details: if wire.details.is_empty() {
                None
            } else {
                let details = Details::from_json(&wire.details);
                Some(details.map_err(|error| InvalidField::new("details", error.to_string()))?)
            },
            weights: if wire.weights.is_empty() {
                None
            } else {
                Some(digest(&wire.weights, "weights", ContentHash)?)
            },
            device: wire.device,
            instruction_set: wire.instruction_set,
            train_ms: wire.train_ms,
        })
    }
}

impl From<&TrialResult> for v1::TrialResult {
    fn from(domain: &TrialResult) -> Self {
        Self {
            stop: v1::StopReason::from(domain.stop).into(),
            last: Some((&domain.last).into()),
            diverged: domain.diverged,
            coefficient_norm: domain.coefficient_norm.filter(|x| x.is_finite()),
            parameters: domain.parameters,
            details: domain
                .details
                .as_ref()
                .map_or_else(String::new, Details::to_json),
            weights: domain.weights.map_or_else(Vec::new, |hash| hash.0.to_vec()),
            device: domain.device.clone(),
            instruction_set: domain.instruction_set.clone(),
            train_ms: domain.train_ms,
        }
    }
}

impl TryFrom<v1::Failure> for Failure {
    type Error = InvalidField;

    fn try_from(wire: v1::Failure) -> Result<Self, InvalidField> {
        if wire.message.is_empty() {
            return Err(InvalidField::missing("message"));
        }
        Ok(Self {
            kind: known::<v1::FailureKind, _>(wire.kind, "kind")?,
            message: wire.message,
        })
    }
}

impl From<&Failure> for v1::Failure {
    fn from(domain: &Failure) -> Self {
        Self {
            kind: v1::FailureKind::from(domain.kind).into(),
            message: domain.message.clone(),
        }
    }
}
