//! The coordinator as the worker sees it: one call each, in domain types. Whoever calls decides whether to repeat.

pub mod rpc;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use descent_spec::id::{AttemptNumber, ContentHash, PackKey, RequestId, SessionId, TrialId};
use descent_spec::lease::{
    Artifact, Claimed, Directive, Fence, Held, Purpose, SessionDirective, Verdict,
};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use descent_spec::state::TrialState;

/// What a caller can branch on: repeat, open anew, let go, give up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// No answer, or not now. The same call may be repeated.
    #[error("{0}")]
    Unavailable(String),
    /// The session is unknown or closed: open a new one.
    #[error("the session is closed")]
    SessionClosed,
    /// The attempt is no longer this worker's, or its trial is no longer wanted.
    #[error("the attempt is no longer this worker's")]
    Fenced,
    /// There is no such file, or not with this content.
    #[error("{0}")]
    Artifact(String),
    /// This worker will never be accepted: another version, a wrong token. Repeating gives the same refusal.
    #[error("{0}")]
    Refused(String),
    /// The request makes no sense to the coordinator: a bug on one side. Repeating gives the same answer.
    #[error("{0}")]
    Invalid(String),
}

/// How a worker introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The session's name, chosen by the worker.
    pub session: SessionId,
    /// A name for people.
    pub worker: String,
    /// Version and commit of the binary.
    pub version: String,
    /// Where it trains.
    pub device: String,
    /// Its instruction set.
    pub instruction_set: String,
    /// Packs trained side by side.
    pub slots: u32,
    /// What it may use.
    pub memory_bytes: u64,
    /// Data sets that it has.
    pub data: Vec<ContentHash>,
}

/// The answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Time between beats.
    pub heartbeat: Duration,
    /// How long the coordinator waits for a beat before others may take the trials.
    pub lease: Duration,
    /// The coordinator's version.
    pub coordinator: String,
}

/// What a slot asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who asks.
    pub session: SessionId,
    /// The same in every repetition.
    pub request: RequestId,
    /// At most so many trials.
    pub max_trials: u32,
    /// Memory that is free now.
    pub memory_bytes: u64,
    /// Data sets at hand now.
    pub data: Vec<ContentHash>,
    /// Kinds of packs whose samples are in memory already.
    pub samples: Vec<PackKey>,
    /// How long the coordinator may wait for trials.
    pub wait: Duration,
}

/// The answer to [`Ask`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Granted {
    /// Trials that can be trained together; none: ask again.
    pub trials: Vec<Claimed>,
    /// Names of data sets that waiting trials need and this worker lacks.
    pub missing_data: Vec<String>,
    /// Why this worker gets nothing for now; empty: it is not quarantined.
    pub quarantine: String,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// What to do with each trial held; trials not listed go on.
    pub trials: Vec<TrialDirective>,
    /// What to do with the session.
    pub session: SessionDirective,
}

/// What to do with one trial held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrialDirective {
    /// Which trial.
    pub trial: TrialId,
    /// Which attempt.
    pub attempt: AttemptNumber,
    /// What to do.
    pub directive: Directive,
}

/// A file to be stored.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Whose.
    pub fence: Fence,
    /// What it is to the trial.
    pub purpose: Purpose,
    /// Its hash and length.
    pub artifact: Artifact,
    /// Epochs completed.
    pub epoch: u32,
    /// Steps completed.
    pub step: u64,
    /// Its content.
    pub content: Arc<[u8]>,
}

/// The coordinator, reached somehow. Every call has its own deadline and answers [`LinkError::Unavailable`] when it passes.
#[async_trait]
pub trait Link: Send + Sync + 'static {
    /// Begins a session.
    async fn open_session(&self, hello: &Hello) -> Result<Welcome, LinkError>;
    /// Asks for trials.
    async fn lease(&self, ask: &Ask) -> Result<Granted, LinkError>;
    /// Renews the session's lease, listing what is held.
    async fn heartbeat(&self, session: SessionId, held: &[Held]) -> Result<Beat, LinkError>;
    /// Adds chunk `seq` (1, 2, 3 …) of an attempt's measurements.
    async fn append_metrics(
        &self,
        fence: Fence,
        seq: u64,
        measurements: &[Measurement],
    ) -> Result<(), LinkError>;
    /// Stores a file.
    async fn commit_artifact(&self, upload: &Upload) -> Result<(), LinkError>;
    /// Reads a stored file; its content has the hash that was asked for.
    async fn read_artifact(&self, hash: ContentHash) -> Result<Vec<u8>, LinkError>;
    /// Ends attempts with results; one verdict each, in order.
    async fn complete(
        &self,
        completions: &[(Fence, TrialResult)],
    ) -> Result<Vec<Verdict>, LinkError>;
    /// Ends an attempt with a failure; answers where the trial is now.
    async fn fail(&self, fence: Fence, failure: &Failure) -> Result<TrialState, LinkError>;
    /// Hands leases back; one verdict each, in order.
    async fn release(&self, fences: &[Fence]) -> Result<Vec<Verdict>, LinkError>;
    /// Ends the session.
    async fn close_session(&self, session: SessionId) -> Result<(), LinkError>;
}
