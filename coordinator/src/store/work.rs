//! Work that changes hands: a worker's session, what it asks for and gets, and what follows when it fails or falls silent.

use std::collections::{BTreeMap, BTreeSet};

use descent_spec::id::{ContentHash, PackKey, RequestId, SessionId, Timestamp, TrialId};
use descent_spec::lease::Claimed;

/// A worker process that begins its life.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its name for this life.
    pub id: SessionId,
    /// A name for people.
    pub worker: String,
    /// Version and commit of its binary.
    pub version: String,
    /// Its device.
    pub device: String,
    /// Its instruction set.
    pub instruction_set: String,
    /// Packs that it trains side by side; 0: it does not count where trials are shared out.
    pub slots: u32,
    /// What all its packs together may use, in bytes.
    pub memory: u64,
    /// Data sets that it has.
    pub data: Vec<ContentHash>,
    /// Until when it counts as alive without another beat.
    pub lease_until: Timestamp,
}

/// What a worker can take now.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Who asks.
    pub session: SessionId,
    /// The same in every retry.
    pub request: RequestId,
    /// At most so many trials, all of one pack key.
    pub max_trials: u32,
    /// What it has free for them, in bytes.
    pub memory: u64,
    /// Data sets that it has.
    pub data: Vec<ContentHash>,
    /// Kinds of packs whose samples it holds already: they take nothing of what is free.
    pub samples: Vec<PackKey>,
}

/// The answer to a claim.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    /// Trials of one pack key, most urgent first.
    pub claimed: Vec<Claimed>,
    /// Data sets (content hashes) that ready trials need and the asker lacks; filled when nothing was claimed.
    pub missing_data: Vec<ContentHash>,
    /// Attempts that this claim ended, because their workers had fallen silent.
    pub lost: Vec<Lost>,
}

/// An attempt that was lost with its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its trial.
    pub trial: TrialId,
    /// Whose it was.
    pub session: SessionId,
    /// The name of that worker.
    pub worker: String,
    /// Whether the trial was given up with it.
    pub poisoned: bool,
}

/// How a failed attempt goes on. Decided by [`crate::core`], carried out by the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// Another attempt, not before this time.
    Retry {
        /// When.
        at: Timestamp,
    },
    /// No further attempt; trials that wait for it are skipped.
    GiveUp,
    /// Another attempt at once, and no charge: the worker is what is broken.
    Pardon,
}

/// A session that is not over, and its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRow {
    /// Its name for this life.
    pub session: SessionId,
    /// A name for people.
    pub worker: String,
    /// Its device.
    pub device: String,
    /// Its instruction set.
    pub instruction_set: String,
    /// Packs that it trains side by side.
    pub slots: u32,
    /// What all its packs together may use, in bytes.
    pub memory: u64,
    /// Data sets that it has.
    pub data: Vec<ContentHash>,
    /// Trials that it holds.
    pub trials: u64,
    /// When its life began.
    pub opened_at: Timestamp,
    /// End of its lease without another beat.
    pub lease_until: Timestamp,
    /// Whether that has passed.
    pub expired: bool,
    /// Whether it was asked to drain.
    pub draining: bool,
    /// Until when it gets no trials, and why.
    pub quarantine: Option<(Timestamp, String)>,
}

/// What sessions are to be told beyond their trials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// To drain.
    pub draining: BTreeSet<SessionId>,
    /// To hand back what they hold and wait, with the reason.
    pub quarantined: BTreeMap<SessionId, String>,
}

/// Trials that are not charged with what happened on a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pardon {
    /// One failure of each of these is taken back; those given up for it come back.
    pub failed: Vec<TrialId>,
    /// One lost attempt of each of these is taken back.
    pub lost: Vec<TrialId>,
}

/// What one round of maintenance did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Sessions found dead.
    pub sessions_expired: u64,
    /// Trials that became claimable because of it.
    pub trials_suspected: u64,
    /// Delayed trials whose time came.
    pub trials_promoted: u64,
    /// Sweeps that became finished.
    pub sweeps_finished: u64,
}
