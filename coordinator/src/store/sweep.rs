//! What sweeps are to a store: as submitted, as stored, and what may be done with a whole one.

use std::collections::BTreeMap;

use descent_spec::id::{SweepId, Timestamp};
use descent_spec::state::{SweepState, TrialState};

/// A sweep as it is submitted.
#[derive(Clone, Debug)]
pub struct NewSweep {
    /// Its name, unique in the database.
    pub name: String,
    /// Word of its experiment.
    pub experiment: String,
    /// Text of the sweep file.
    pub source: String,
    /// What the submitter found under each data set's name, as JSON.
    pub data: String,
    /// Points after exclusion.
    pub points: u64,
    /// Predicted floating-point operations of all points.
    pub cost_total: f64,
    /// Higher goes first.
    pub priority: i64,
    /// Alike failures of so many trials in a row pause it; 0: never.
    pub max_alike_failures: u32,
    /// Its axes: the columns of its own view.
    pub axes: Vec<Axis>,
}

/// An axis as a column of the sweep's own view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Its (dotted) name.
    pub name: String,
    /// What its values are.
    pub kind: AxisKind,
}

/// What the values of an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AxisKind {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Real,
    /// Anything else, as text.
    Text,
}

/// How to answer a sweep's name that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// Replace its source and expand anew; its trials stay until [`Store::drop_absent`](super::Store::drop_absent).
    Replace,
    /// The same, unless it is no longer in the edition that the submitter has seen.
    ReplaceEdition(u64),
    /// Refuse with [`StoreError::Conflict`](super::StoreError::Conflict).
    Refuse,
}

/// A sweep as stored.
#[derive(Clone, Debug)]
pub struct SweepRow {
    /// Its row number.
    pub id: SweepId,
    /// Its name.
    pub name: String,
    /// Word of its experiment.
    pub experiment: String,
    /// Text of its file.
    pub source: String,
    /// What the submitter found under each data set's name, as JSON.
    pub data: String,
    /// Grows with every submission that replaces it.
    pub edition: u64,
    /// Where it is.
    pub state: SweepState,
    /// Higher goes first.
    pub priority: i64,
    /// Points after exclusion, duplicates included.
    pub points: u64,
    /// Cursor of the expansion: raw points looked at.
    pub cursor: u64,
    /// Trials per state, kept with the rows: never counted.
    pub counts: BTreeMap<TrialState, u64>,
    /// Predicted floating-point operations of all trials.
    pub cost_total: f64,
    /// Those of terminal trials.
    pub cost_done: f64,
    /// When it was acknowledged.
    pub created_at: Timestamp,
    /// When its last trial became terminal.
    pub finished_at: Option<Timestamp>,
    /// Sessions that hold trials of it.
    pub workers: u32,
    /// Message of its first failed attempt.
    pub first_failure: Option<String>,
    /// Why it was paused, where nobody asked for it.
    pub pause_reason: Option<String>,
}

/// What to do with a whole sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// Hand out none of its trials (that no running sweep wants).
    Pause,
    /// Hand them out again.
    Resume,
    /// Cancel its trials that no other sweep wants.
    Cancel,
}

/// Which trials to make ready again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// Failed and poisoned ones.
    Failed,
    /// Cancelled and skipped ones.
    Missing,
}

impl Steer {
    /// Its word, as on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
        }
    }
}

impl Rerun {
    /// Its words, as on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failed => "rerun --failed",
            Self::Missing => "rerun --missing",
        }
    }
}
