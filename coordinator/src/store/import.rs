//! Results that come from another database: what may be taken in, and what must stay as it is.

use descent_spec::id::Identity;
use descent_spec::outcome::{Measurement, TrialResult};

/// A result from elsewhere, by the name that its trial has everywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedResult {
    /// The trial.
    pub identity: Identity,
    /// Its result there.
    pub result: TrialResult,
    /// What was measured on the way, by epoch; empty where that was not exported. A trial that has measurements keeps its own.
    pub measurements: Vec<Measurement>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Imported {
    /// The trial had no result and has this one now.
    Added,
    /// The trial has the same result already.
    Same,
    /// The trial has another result; it stays.
    Different,
    /// No sweep here has this trial.
    Unknown,
    /// A worker is training it; it stays the worker's.
    Leased,
    /// Another trial waits for its final weights, which an import does not bring; it is trained here.
    Needed,
}

impl Imported {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Same => "same",
            Self::Different => "different",
            Self::Unknown => "unknown",
            Self::Leased => "leased",
            Self::Needed => "needed",
        }
    }
}

/// Whether two results of one trial are the same measurement. How long it took, and the bits of weights that were
/// not recorded on one side, do not matter; everything that was measured does, to the last bit.
#[must_use]
pub(super) fn same(ours: &TrialResult, theirs: &TrialResult) -> bool {
    let weights = match (ours.weights, theirs.weights) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => true,
    };
    weights
        && ours.stop == theirs.stop
        && ours.last == theirs.last
        && ours.diverged == theirs.diverged
        && ours.coefficient_norm == theirs.coefficient_norm
        && ours.parameters == theirs.parameters
        && ours.details == theirs.details
}
