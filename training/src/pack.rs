//! Packs: trials trained side by side, pulled forward in slices of steps.
//!
//! A pack is driven, it does not drive: between two calls of [`Pack::advance`] its owner looks at the clock, at the network
//! and at signals. Nothing in here reads a clock, waits, or knows who asks.

use descent_spec::id::ContentHash;
use descent_spec::outcome::{FailureKind, Measurement, TrialResult};
use descent_spec::trial::TrialSpec;

/// One trial to be trained.
pub struct Member {
    /// The owner's name for it; unique within the pack.
    pub key: u64,
    /// What to train.
    pub spec: TrialSpec,
    /// Content hash of its data set.
    pub data: ContentHash,
    /// Where to go on from: the bytes of [`Pack::checkpoint`].
    pub checkpoint: Option<Vec<u8>>,
    /// Final weights of the trial that it starts from, as safetensors.
    pub parent_weights: Option<Vec<u8>>,
}

/// Something that happened to a member.
#[derive(Debug)]
pub enum Event {
    /// It was measured.
    Measured {
        /// The member.
        key: u64,
        /// The numbers.
        measurement: Measurement,
    },
    /// It ended and has left the pack.
    Finished {
        /// The member.
        key: u64,
        /// Its result. `train_ms` is left at 0: the owner has the clock.
        result: Box<TrialResult>,
        /// Final weights as safetensors; `None` where the result has none.
        weights: Option<Vec<u8>>,
    },
    /// It cannot go on and has left the pack; the others do.
    Failed {
        /// The member.
        key: u64,
        /// Why.
        error: TrainError,
    },
}

/// How far a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The member.
    pub key: u64,
    /// Epochs completed.
    pub epoch: u32,
    /// Steps completed.
    pub step: u64,
}

/// Why a trial cannot be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The description makes no sense for this data.
    #[error("{0}")]
    BadSpec(String),
    /// The data is missing or differs.
    #[error("{0}")]
    Data(String),
    /// A checkpoint or a parent's weights cannot be read.
    #[error("{0}")]
    Artifact(String),
    /// Not enough memory.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// The device reported an error.
    #[error("device error: {0}")]
    Device(String),
}

impl TrainError {
    /// The kind of failure that the coordinator is told.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::BadSpec(_) => FailureKind::BadSpec,
            Self::Data(_) => FailureKind::Data,
            Self::Artifact(_) => FailureKind::Artifact,
            Self::OutOfMemory(_) => FailureKind::OutOfMemory,
            Self::Device(_) => FailureKind::Device,
        }
    }
}

/// Steps that packs of many networks take in one go: each network several in turn, while its weights are in the cache. Advancing
/// by multiples wastes nothing.
pub const ROUND_STEPS: u32 = 8;

/// Trials in training.
pub trait Pack: Send {
    /// Trains every member by up to `steps` steps (whole steps; fewer at the end) and says what happened, in order.
    fn advance(&mut self, steps: u32) -> Vec<Event>;
    /// The members still in training.
    fn progress(&self) -> Vec<Progress>;
    /// Everything that going on exactly takes: weights, optimizer, position, stopping state. `None`: no such member, or one that saves nothing and starts over.
    fn checkpoint(&self, key: u64) -> Option<Vec<u8>>;
    /// Takes a member out. The others' bits do not change.
    fn remove(&mut self, key: u64);
}
