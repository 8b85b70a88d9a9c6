//! The right to work on trials: what coordinator, wire and worker say to each other about it.

use crate::id::{AttemptNumber, ContentHash, Identity, PackKey, SessionId, TrialId};

/// The right to write about one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// Who.
    pub session: SessionId,
    /// Which trial.
    pub trial: TrialId,
    /// Which execution of it.
    pub attempt: AttemptNumber,
}

/// Whether a fenced write was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Durable; also when the same write had been taken before.
    Accepted,
    /// The fence is not the trial's current attempt, or the trial is terminal otherwise. Nothing changed.
    Fenced,
}

/// A claimed trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The trial.
    pub trial: TrialId,
    /// Its new attempt.
    pub attempt: AttemptNumber,
    /// Its name.
    pub identity: Identity,
    /// Its pack key.
    pub pack_key: PackKey,
    /// Content of its data set.
    pub data: ContentHash,
    /// Canonical settings, JSON.
    pub params: String,
    /// Where to go on from.
    pub checkpoint: Option<Artifact>,
    /// Final weights of its parent.
    pub parent_weights: Option<Artifact>,
    /// Time limit of one attempt, 0: none.
    pub time_limit_ms: u64,
    /// Time between checkpoints.
    pub checkpoint_ms: u32,
    /// Epochs between checkpoints, 0: by time only.
    pub checkpoint_epochs: u32,
    /// Whether the final weights are to be stored: somebody asked for them, or a trial starts from them.
    pub keep_weights: bool,
    /// One sweep that wants it.
    pub sweep: String,
}

/// A stored file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// BLAKE3 of its content.
    pub hash: ContentHash,
    /// Its length.
    pub bytes: u64,
}

/// What a heartbeat says of one trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The trial.
    pub trial: TrialId,
    /// The attempt.
    pub attempt: AttemptNumber,
    /// Epochs completed.
    pub epoch: u32,
    /// Steps completed.
    pub step: u64,
}

/// What a worker shall do with a trial that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Go on.
    Continue,
    /// Stop: the trial is no longer wanted.
    Cancel,
    /// Stop: the attempt is no longer this worker's.
    Fenced,
    /// Go on, and commit a checkpoint soon.
    CheckpointNow,
    /// Commit a checkpoint and hand the trial back, without charge: for now nobody wants it trained, or not here.
    Release,
}

/// What a worker shall do with its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionDirective {
    /// Go on.
    None,
    /// Checkpoint, hand everything back, exit.
    Drain,
    /// Open a new session: this one is unknown or closed.
    Reopen,
}

/// What a committed file is to its trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Where the next attempt goes on from.
    Checkpoint,
    /// The final weights.
    Weights,
}
