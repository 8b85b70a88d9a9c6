//! What came of a worker's life.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many attempts ended how, over one worker process's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Results that the coordinator took.
    pub completed: u64,
    /// Attempts reported as failed.
    pub failed: u64,
    /// Handed back unfinished: drained, or more than fits into memory.
    pub released: u64,
    /// Dropped on the coordinator's word: cancelled, or another attempt's by then.
    pub dropped: u64,
    /// Still undelivered at the end of the drain deadline or at an abort; the trials will be attempted again.
    pub undelivered: u64,
    /// Coordinator outages lived through.
    pub outages: u64,
}

/// Why a worker could not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The coordinator will never accept this worker: another version, a wrong token.
    #[error("the coordinator refuses this worker: {0}")]
    Refused(String),
    /// The coordinator did not answer within the patience for the first session.
    #[error("the coordinator is out of reach: {0}")]
    Unreachable(String),
    /// No device answers any more. Its trials were handed back without charge.
    #[error(
        "{device} is lost: {reason}; its trials were handed back and others can take them: look at the device, then start the worker again"
    )]
    DeviceLost {
        /// The device that was lost last.
        device: String,
        /// What it reported.
        reason: String,
    },
}

/// The report while it is counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) completed: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) released: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) outages: AtomicU64,
}

impl Tally {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn report(&self, undelivered: u64) -> Report {
        Report {
            completed: self.completed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            released: self.released.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            undelivered,
            outages: self.outages.load(Ordering::Relaxed),
        }
    }
}
