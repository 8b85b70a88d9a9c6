//! Work that changes hands: a worker's session, what it asks for and gets, and what follows when it fails or falls silent.

use descent_spec::id::{ContentHash, PackKey, RequestId, SessionId, Timestamp};
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
