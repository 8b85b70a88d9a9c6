//! Searching for the smallest subspace that reaches an accuracy: each step tries the middle, on a log scale, of what the one before
//! it left.

use serde::{Deserialize, Serialize};

use descent_spec::details::SubspaceSearch;
use descent_spec::outcome::Measurement;
use descent_spec::trial::{DataSpec, Labels, Search, Threshold, TrialSpec};

use crate::pack::TrainError;
use crate::weights::{self, Unpacked};

/// What is left of the dimensions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bracket {
    /// The largest dimension that fell short, or the smallest of all.
    low: u32,
    /// The smallest dimension that got there, or the largest of all.
    high: u32,
    /// The accuracy that is looked for.
    target: f64,
    /// The dimension that is tried.
    dim: u32,
    /// Whether the accuracy is that on the training samples.
    fits: bool,
    /// What it came to; `None` before it ended.
    accuracy: Option<f64>,
}

/// A bracket in a file, exact to the bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BracketBits {
    high: u32,
    low: u32,
    target: u64,
}

/// The middle of two numbers on a log scale, between them where there is a number between them.
fn middle(low: u32, high: u32) -> u32 {
    if high.saturating_sub(low) <= 1 {
        return high;
    }
    let middle = libm::round(libm::sqrt(f64::from(low) * f64::from(high))) as u32;
    middle.clamp(low + 1, high - 1)
}

/// Labels without a rule: what counts is how many of them are fitted.
fn fits(data: &DataSpec) -> bool {
    data.labels == Labels::Random
}

/// The accuracy that counts.
fn accuracy(fits: bool, last: &Measurement) -> Option<f64> {
    let error = if fits {
        last.train_error
    } else {
        last.test_error
    };
    error.map(|error| 1.0 - error)
}

impl Bracket {
    fn new(low: u32, high: u32, target: f64, fits: bool) -> Self {
        Self {
            low,
            high,
            target,
            dim: middle(low, high),
            fits,
            accuracy: None,
        }
    }

    /// Takes in what the dimension came to.
    pub(crate) fn judge(&mut self, last: &Measurement) {
        self.accuracy = accuracy(self.fits, last);
        if self
            .accuracy
            .is_some_and(|accuracy| accuracy >= self.target)
        {
            self.high = self.dim;
        } else {
            self.low = self.low.max(self.dim.min(self.high.saturating_sub(1)));
        }
    }

    pub(crate) fn details(&self) -> SubspaceSearch {
        SubspaceSearch {
            dim: self.dim,
            target: self.target,
            accuracy: self.accuracy,
            low: self.low,
            high: self.high,
        }
    }

    pub(crate) const fn bits(&self) -> BracketBits {
        BracketBits {
            high: self.high,
            low: self.low,
            target: self.target.to_bits(),
        }
    }
}

/// Decides the dimension of a step of a search, from the final weights of the step before. `measure` measures a network of these
/// settings with these weights. The settings become those of a plain trial in the dimension found.
///
/// # Errors
/// When the weights are missing or not those of such a trial.
pub(crate) fn decide(
    spec: &TrialSpec,
    parent: Option<&[u8]>,
    measure: impl FnOnce(&TrialSpec, &[u8]) -> Result<Measurement, TrainError>,
) -> Result<(TrialSpec, Option<Bracket>), TrainError> {
    let mut decided = spec.clone();
    let Some((subspace, search)) = decided
        .subspace
        .as_mut()
        .and_then(|subspace| subspace.search.take().map(|search| (subspace, search)))
    else {
        return Ok((decided, None));
    };
    let parent = parent.ok_or_else(|| {
        TrainError::Artifact("a search goes on from weights that are not here".to_owned())
    })?;
    let bracket = if search.step == 1 {
        let mut outside = spec.clone();
        outside.subspace = None;
        let last = match search.threshold {
            Threshold::Local => Some(measure(&outside, parent)?),
            Threshold::Global => None,
        };
        first(search, subspace.dim, fits(&spec.data), last.as_ref())
    } else {
        let left = weights::bracket(&Unpacked::open(parent)?)?;
        Bracket::new(
            left.low,
            left.high,
            f64::from_bits(left.target),
            fits(&spec.data),
        )
    };
    subspace.dim = bracket.dim;
    Ok((decided, Some(bracket)))
}

/// Where a search begins.
fn first(search: Search, high: u32, fits: bool, last: Option<&Measurement>) -> Bracket {
    let of = last.and_then(|last| accuracy(fits, last)).unwrap_or(1.0);
    Bracket::new(search.low, high, search.goal * of, fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(test_error: f64) -> Measurement {
        Measurement {
            train_error: Some(0.5),
            test_error: Some(test_error),
            ..Measurement::of_epoch(1)
        }
    }

    /// Accuracy rises with the dimension and reaches 0.9 at `true_dim`.
    fn found(true_dim: u32, low: u32, high: u32, steps: u32) -> (u32, u32) {
        let mut bracket = Bracket::new(low, high, 0.9, false);
        for step in 0..steps {
            let error = if bracket.dim >= true_dim { 0.05 } else { 0.2 };
            bracket.judge(&ended(error));
            let details = bracket.details();
            assert!(details.low < details.high, "step {step}: {details:?}");
            bracket = Bracket::new(details.low, details.high, 0.9, false);
        }
        (bracket.low, bracket.high)
    }

    #[test]
    fn every_step_halves_what_is_left() {
        for true_dim in [11, 300, 750, 751, 3999] {
            let (low, high) = found(true_dim, 10, 4000, 7);
            assert!(
                low < true_dim && true_dim <= high,
                "{low} {true_dim} {high}"
            );
            // (4000 / 10)^(1 / 128)
            assert!(f64::from(high) / f64::from(low) < 1.06 + 1.0 / f64::from(low));
        }
        // It comes down to the number itself, and stays.
        assert_eq!(found(750, 10, 4000, 32), (749, 750));
    }

    #[test]
    fn the_middle_lies_between() {
        assert_eq!(middle(10, 1000), 100);
        assert_eq!(middle(10, 12), 11);
        assert_eq!(middle(10, 11), 11);
        assert_eq!(middle(1, 2), 2);
        assert_eq!(middle(u32::MAX - 2, u32::MAX), u32::MAX - 1);
    }
}
