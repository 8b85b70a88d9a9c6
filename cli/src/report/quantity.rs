//! A quantity: a published value, how far from it a measurement may lie and why, and the measurement.

use std::fmt;

use crate::figure::Spread;
use crate::output::number;

/// Something published, and what was measured of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantity {
    /// What it is.
    pub(crate) name: String,
    /// What is published, and how far from it agrees. Written down before the run.
    pub(crate) expected: Expected,
    /// Where it is published.
    pub(crate) source: &'static str,
    /// Why this tolerance.
    pub(crate) reason: &'static str,
    /// What was measured; `None`: the sweep has no trials that say.
    pub(crate) measured: Option<Measured>,
}

/// A published value with its tolerance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expected {
    /// This value, give or take.
    Near {
        /// The value.
        value: f64,
        /// The largest distance that agrees.
        tolerance: f64,
    },
    /// A range.
    Between(f64, f64),
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// A measured mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    /// The mean.
    pub(crate) mean: f64,
    /// Standard deviation (n − 1 in the denominator).
    pub(crate) sd: f64,
    /// How many values.
    pub(crate) n: usize,
}

impl Measured {
    /// Of some values; `None` for none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        Spread::of(values).map(|Spread { n, mean, sd, .. }| Self { mean, sd, n })
    }
}

/// Whether the measurement agrees with the published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Within the tolerance; the distance from the published value or bound.
    Agrees(Distance),
    /// Outside of it.
    Differs(Distance),
    /// Nothing was measured.
    Unknown,
}

/// How far a measurement lies from the published value or the nearest bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Distance {
    /// Measured minus published; 0 inside a range.
    pub(crate) by: f64,
    /// The same over the published value, where that is not 0.
    pub(crate) share: Option<f64>,
}

impl Quantity {
    /// Compares.
    pub(crate) fn verdict(&self) -> Verdict {
        let Some(measured) = self.measured.filter(|measured| measured.mean.is_finite()) else {
            return Verdict::Unknown;
        };
        let from = |value: f64| {
            let by = measured.mean - value;
            Distance {
                by,
                share: (value != 0.0).then(|| by / value.abs()),
            }
        };
        let (distance, holds) = match self.expected {
            Expected::Near { value, tolerance } => {
                let distance = from(value);
                (distance, distance.by.abs() <= tolerance)
            }
            Expected::Between(low, high) => {
                let nearest = measured.mean.clamp(low, high);
                let distance = from(nearest);
                (distance, measured.mean == nearest)
            }
            Expected::AtLeast(value) => (from(value), measured.mean >= value),
            Expected::AtMost(value) => (from(value), measured.mean <= value),
        };
        if holds {
            Verdict::Agrees(distance)
        } else {
            Verdict::Differs(distance)
        }
    }
}

impl Verdict {
    /// Whether it agrees, and by how much it differs.
    pub(crate) fn words(self) -> (&'static str, String) {
        match self {
            Self::Agrees(distance) => ("yes", distance.to_string()),
            Self::Differs(distance) => ("no", distance.to_string()),
            Self::Unknown => ("not measured", "–".to_owned()),
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.by < 0.0 { "−" } else { "+" };
        write!(f, "{sign}{}", number(self.by.abs()))?;
        match self.share {
            Some(share) => write!(f, " ({sign}{:.1} %)", 100.0 * share.abs()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Near { value, tolerance } => {
                write!(f, "{} ± {}", number(value), number(tolerance))
            }
            Self::Between(low, high) => write!(f, "{} … {}", number(low), number(high)),
            Self::AtLeast(value) => write!(f, "≥ {}", number(value)),
            Self::AtMost(value) => write!(f, "≤ {}", number(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(expected: Expected, mean: f64) -> (&'static str, String) {
        let quantity = Quantity {
            name: "q".to_owned(),
            expected,
            source: "",
            reason: "",
            measured: Measured::of(&[mean]),
        };
        quantity.verdict().words()
    }

    #[test]
    fn a_measurement_agrees_up_to_its_tolerance_and_says_by_how_much_it_differs() {
        let near = Expected::Near {
            value: 200.0,
            tolerance: 50.0,
        };
        assert_eq!(verdict(near, 250.0), ("yes", "+50 (+25.0 %)".to_owned()));
        assert_eq!(verdict(near, 149.0).0, "no");
        let between = Expected::Between(170.0, 300.0);
        assert_eq!(verdict(between, 200.0), ("yes", "+0 (+0.0 %)".to_owned()));
        assert_eq!(verdict(between, 330.0), ("no", "+30 (+10.0 %)".to_owned()));
        assert_eq!(verdict(Expected::AtLeast(1.0), 0.8).0, "no");
        assert_eq!(
            verdict(Expected::AtMost(0.0), 0.0),
            ("yes", "+0".to_owned())
        );
    }

    #[test]
    fn what_was_not_measured_is_said_to_be_so() {
        let quantity = Quantity {
            name: "q".to_owned(),
            expected: Expected::AtLeast(1.0),
            source: "",
            reason: "",
            measured: None,
        };
        assert_eq!(quantity.verdict().words().0, "not measured");
    }
}
