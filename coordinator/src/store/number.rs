//! Numbers on their way into a database, where neither NaN nor infinity has a place.

use descent_spec::outcome::Measurement;

/// The number, unless it is not finite.
pub(super) fn finite_only(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}

/// The measurement without its numbers that are not finite.
pub(super) fn finite(measurement: &Measurement) -> Measurement {
    Measurement {
        epoch: measurement.epoch,
        train_loss: finite_only(measurement.train_loss),
        train_error: finite_only(measurement.train_error),
        validation_loss: finite_only(measurement.validation_loss),
        validation_error: finite_only(measurement.validation_error),
        test_loss: finite_only(measurement.test_loss),
        test_error: finite_only(measurement.test_error),
        dead_units: measurement.dead_units,
    }
}
