//! The durable queue behind one trait. SQLite, PostgreSQL and an in-memory store pass the same contract tests.
//!
//! Rules that every implementation keeps:
//! * A method is one atomic transaction; when it answers `Ok`, what it did is durable.
//! * Every write about an attempt names its [`Fence`]; a write whose fence is not the trial's current attempt changes nothing.
//! * `now` comes from the caller. A store reads no clock.
//! * Calls with a [`RequestId`] may be repeated; the second answer equals the first.

mod fault;
mod import;
mod lane;
pub mod memory;
mod naming;
mod number;
pub mod postgres;
pub(crate) mod schema;
pub mod sqlite;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::import::{Imported, ImportedResult};
pub use self::sqlite::{Holder, holder};
use async_trait::async_trait;
use descent_spec::id::{
    AttemptNumber, ContentHash, Identity, PackKey, RequestId, SessionId, SweepId, Timestamp,
    TrialId,
};
pub use descent_spec::lease::{Artifact, Claimed, Directive, Fence, Held, Purpose, Verdict};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use descent_spec::state::{SweepState, TrialState};

/// What a caller of the store can branch on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such sweep, trial or artifact.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// The thing is in a state that does not allow this.
    #[error("{0}")]
    Conflict(String),
    /// The session is unknown or closed: the worker opens a new one. (One that only expired comes back with its next beat.)
    #[error("session {0} is not open")]
    SessionClosed(SessionId),
    /// The metric chunk leaves a gap.
    #[error("metric chunk {found} does not follow {last}")]
    MetricGap {
        /// The last chunk stored.
        last: u64,
        /// The chunk offered.
        found: u64,
    },
    /// The database was made by a newer descent.
    #[error(
        "the database has schema {found}, this descent knows up to {known}: use the newer descent"
    )]
    NewerSchema {
        /// Version found.
        found: i64,
        /// Newest version known.
        known: i64,
    },
    /// Another coordinator has the database open.
    #[error(
        "{path} is in use by another coordinator ({holder}): stop that one, or talk to it with --coordinator"
    )]
    InUse {
        /// The database file.
        path: String,
        /// Process and address of the other one, as far as it left them.
        holder: String,
    },
    /// SQLite does not keep its promises on this file system.
    #[error(
        "{path} lies on a network file system ({kind}), where SQLite can lose data: put the database on a local disk, or use PostgreSQL (--db postgres://…)"
    )]
    NetworkFileSystem {
        /// The database file.
        path: String,
        /// The kind of file system.
        kind: String,
    },
    /// The file is something else.
    #[error("{0} is not a SQLite database of descent: name another file with --db")]
    NotADatabase(String),
    /// The address names no database that descent knows.
    #[error("`{0}` is no database address: use sqlite:PATH or postgres://USER@HOST/NAME")]
    BadAddress(String),
    /// The database did not take a query; what it says.
    #[error("{0}")]
    Query(String),
    /// The disk is full. Nothing was written.
    #[error(
        "the disk that holds the database is full: free some space and run again; nothing that was acknowledged is lost"
    )]
    DiskFull,
    /// The database cannot be written (permissions, read-only medium).
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    /// The database is out of reach for now; the same call may succeed later.
    #[error("the database is out of reach: {0}")]
    Unavailable(String),
    /// Other transactions were in the way, again and again. Nothing was written; the same call may succeed at once.
    #[error("other transactions were in the way: {0}")]
    Contention(String),
    /// Anything else that the database reported.
    #[error("database error: {0}")]
    Database(String),
}

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
    /// Replace its source and expand anew; its trials stay until [`Store::drop_absent`].
    Replace,
    /// Refuse with [`StoreError::Conflict`].
    Refuse,
}

/// One trial of an expansion slice.
#[derive(Clone, Debug)]
pub struct NewTrial {
    /// Index of the point in the sweep.
    pub point: u64,
    /// Its name.
    pub identity: Identity,
    /// What it must share with others to be trained beside them.
    pub pack_key: PackKey,
    /// Content of its data set.
    pub data: ContentHash,
    /// Device that the sweep asks for, such as `cuda`, or empty.
    pub device: String,
    /// Instruction set that the sweep asks for, or empty.
    pub instruction_set: String,
    /// The trial whose final weights it starts from. Exists already, or comes earlier in the slice.
    pub parent: Option<Identity>,
    /// Canonical settings, JSON.
    pub params: String,
    /// Settings that have columns of their own in the views.
    pub columns: TrialColumns,
    /// Axis values of this point, JSON object by axis name.
    pub axes: String,
    /// Position in the order of work: lower goes first.
    pub ord: i64,
    /// Time limit of one attempt, 0: none.
    pub time_limit_ms: u64,
    /// Failures after which the trial is given up.
    pub max_failures: u32,
    /// Time between checkpoints.
    pub checkpoint_ms: u32,
    /// Epochs between checkpoints, 0: by time only.
    pub checkpoint_epochs: u32,
    /// Whether the final weights are kept.
    pub keep_weights: bool,
}

/// The settings of a trial that views show as typed columns.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialColumns {
    /// Units per hidden layer, or number of random features.
    pub width: i64,
    /// Number of hidden layers.
    pub depth: i64,
    /// Count of trained numbers.
    pub parameters: i64,
    /// Training samples.
    pub samples: i64,
    /// Classes.
    pub outputs: i64,
    /// Share of noisy labels.
    pub label_noise: f64,
    /// Ridge of closed forms.
    pub ridge: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Epochs asked for.
    pub epochs: i64,
    /// The trial's seed.
    pub seed: i64,
    /// Predicted floating-point operations.
    pub cost: f64,
}

/// A slice of a sweep's points, to be made trials of in one transaction.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The sweep.
    pub sweep: SweepId,
    /// Cursor that the slice starts from; when the stored one differs, the slice is stale and nothing happens.
    pub from: u64,
    /// Cursor after it.
    pub to: u64,
    /// Its trials, ancestors first.
    pub trials: Vec<NewTrial>,
    /// Whether nothing follows.
    pub last: bool,
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
    /// Data sets that it has.
    pub data: Vec<ContentHash>,
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

/// What [`Store::explain`] tells.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The trial.
    pub trial: TrialId,
    /// Its name.
    pub identity: Identity,
    /// Where it is.
    pub state: TrialState,
    /// Whether only paused sweeps want it.
    pub held_back: bool,
    /// Whether its lease expired and nobody has taken it since.
    pub suspect: bool,
    /// When a delayed trial may run again.
    pub run_after: Option<Timestamp>,
    /// Identity and state of the trial that it waits for.
    pub parent: Option<(Identity, TrialState)>,
    /// Canonical settings.
    pub params: String,
    /// Ready trials that go before it.
    pub ahead: u64,
    /// Its attempts, in order.
    pub attempts: Vec<AttemptRow>,
    /// Names of the sweeps that want it.
    pub sweeps: Vec<String>,
}

/// One execution of a trial.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// Its number.
    pub attempt: AttemptNumber,
    /// The worker's name.
    pub worker: String,
    /// When it was claimed.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// `active`, `suspect`, `succeeded`, `failed`, `lost`, `released`, `cancelled`.
    pub outcome: String,
    /// What went wrong.
    pub message: Option<String>,
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

/// The durable queue.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // --- sweeps ---

    /// Acknowledges a sweep as one row in state `expanding`, its cursor at 0.
    async fn submit(
        &self,
        request: RequestId,
        sweep: &NewSweep,
        exists: IfExists,
        now: Timestamp,
    ) -> Result<SweepId, StoreError>;
    /// Makes trials of a slice of points: inserts what is new, links what exists, keeps counters.
    /// A trial whose parent has succeeded (or that has none) is `ready`; a new trial whose parent is failed is `skipped`.
    async fn expand(&self, slice: &Slice, now: Timestamp) -> Result<(), StoreError>;
    /// After an edited sweep was expanded anew: unlinks trials whose identity was not among its points (cancels those nobody else wants).
    async fn drop_absent(&self, sweep: SweepId, now: Timestamp) -> Result<u64, StoreError>;
    /// The sweep of this name.
    async fn sweep(&self, name: &str) -> Result<Option<SweepRow>, StoreError>;
    /// Sweeps with a larger id, ascending, at most `limit`.
    async fn sweeps(&self, after: SweepId, limit: u32) -> Result<Vec<SweepRow>, StoreError>;
    /// Sweeps still to be expanded, oldest and most urgent first.
    async fn expanding(&self) -> Result<Vec<SweepRow>, StoreError>;
    /// Pauses, resumes or cancels.
    async fn steer(
        &self,
        request: RequestId,
        name: &str,
        steer: Steer,
        now: Timestamp,
    ) -> Result<SweepRow, StoreError>;
    /// Removes a sweep and all that only it wanted.
    async fn delete(
        &self,
        request: RequestId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Makes trials of a sweep ready (or blocked) again; answers how many. Attempt numbers go on; budgets start anew.
    async fn rerun(
        &self,
        request: RequestId,
        name: &str,
        which: Rerun,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
    /// Trials that sweeps at work have ready, from their counters; a trial that two sweeps share counts twice.
    async fn ready(&self) -> Result<u64, StoreError> {
        const PAGE: u32 = 100;
        let mut ready = 0;
        let mut after = SweepId(0);
        loop {
            let page = self.sweeps(after, PAGE).await?;
            ready += page
                .iter()
                .filter(|row| matches!(row.state, SweepState::Expanding | SweepState::Running))
                .filter_map(|row| row.counts.get(&TrialState::Ready))
                .sum::<u64>();
            match page.last() {
                Some(row) if page.len() == PAGE as usize => after = row.id,
                _ => return Ok(ready),
            }
        }
    }
    /// Which of these identities have a result already.
    async fn finished(&self, identities: &[Identity]) -> Result<Vec<Identity>, StoreError>;

    // --- workers ---

    /// Begins a session. Repeating it with the same id is harmless.
    async fn open_session(&self, session: &NewSession, now: Timestamp) -> Result<(), StoreError>;
    /// Renews the session and answers what to do with each trial held. Trials that became suspect but have not been
    /// claimed since are leased again. Trials leased to the session but not listed, for longer than `grace_ms`, are released.
    async fn heartbeat(
        &self,
        session: SessionId,
        held: &[Held],
        lease_until: Timestamp,
        grace_ms: i64,
        now: Timestamp,
    ) -> Result<Vec<Directive>, StoreError>;
    /// Takes the most urgent claimable trial that fits and fills up with trials of its pack key; each gets its next attempt.
    /// A repeated request gets the same trials again; an answer without trials is not remembered, so that a waiting call may ask again.
    /// An expired lease is revoked here, and only here: the previous attempt ends as `lost`.
    async fn claim(&self, ask: &Ask, now: Timestamp) -> Result<Claim, StoreError>;
    /// Adds measurements; chunks are numbered without gaps within the attempt. Answers the last stored number.
    async fn append_metrics(
        &self,
        fence: Fence,
        seq: u64,
        measurements: &[Measurement],
        now: Timestamp,
    ) -> Result<(Verdict, u64), StoreError>;
    /// Records a stored file as the trial's checkpoint or final weights.
    async fn commit_artifact(
        &self,
        fence: Fence,
        purpose: Purpose,
        artifact: Artifact,
        epoch: u32,
        step: u64,
        now: Timestamp,
    ) -> Result<Verdict, StoreError>;
    /// Ends attempts with results: result rows, trial states, attempt rows, dependants released, in one transaction.
    async fn complete(
        &self,
        completions: &[(Fence, TrialResult)],
        now: Timestamp,
    ) -> Result<Vec<Verdict>, StoreError>;
    /// Gives trials results that were measured elsewhere; says for each what became of it. A result that a trial has already is never
    /// changed, and a trial that a worker holds, or whose weights another trial waits for, is left alone.
    async fn import_results(
        &self,
        results: &[ImportedResult],
        now: Timestamp,
    ) -> Result<Vec<Imported>, StoreError>;
    /// How often the trial has failed, and how often it may; `None` when the fence does not hold.
    async fn budget(&self, fence: Fence) -> Result<Option<(u32, u32)>, StoreError>;
    /// Ends an attempt with a failure. Answers the trial's state, or `None` when the fence does not hold.
    async fn fail(
        &self,
        fence: Fence,
        failure: &Failure,
        after: AfterFailure,
        now: Timestamp,
    ) -> Result<Option<TrialState>, StoreError>;
    /// Hands leases back without charge.
    async fn release(&self, fences: &[Fence], now: Timestamp) -> Result<Vec<Verdict>, StoreError>;
    /// Ends a session and releases what it holds.
    async fn close_session(&self, session: SessionId, now: Timestamp) -> Result<(), StoreError>;

    // --- the rest ---

    /// Expires the open sessions of a worker of which the caller knows that its process is dead, so that nobody waits for
    /// their leases to run out. Soft, as any expiry. Answers how many trials became claimable.
    async fn disown(&self, worker: &str, now: Timestamp) -> Result<u64, StoreError>;
    /// One round: expire sessions, make their trials claimable (soft: the attempt number stays), promote delayed trials,
    /// finish sweeps. Harmless when two do it at once.
    async fn maintain(&self, now: Timestamp) -> Result<Maintained, StoreError>;
    /// After a start or an outage: every open session gets a full lease, so that nobody is expired for the outage.
    async fn grant_grace(&self, lease_until: Timestamp) -> Result<(), StoreError>;
    /// Why a trial is where it is. `trial`: row number, identity, or a unique beginning of it (at least 4 digits).
    async fn explain(&self, trial: &str) -> Result<Explanation, StoreError>;
    /// Hashes that some trial, checkpoint or result refers to: all others may be collected.
    async fn artifacts_in_use(&self) -> Result<Vec<ContentHash>, StoreError>;
    /// Leaves the coordinator's address where commands on the same machine find it. No-op where nothing is beside the database.
    async fn announce(&self, address: &str) -> Result<(), StoreError>;
    /// Finishes pending writes and closes.
    async fn close(&self);
}

/// Opens the store that an address names, brings its schema up to date and takes hold of it.
///
/// `sqlite:PATH` (made when it is not there), `postgres://…`, or `memory:` (gone with the process).
///
/// # Errors
/// [`StoreError`], each with its way out; nothing is changed then.
pub async fn open_store(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        Some(("memory", _)) => Ok(Arc::new(memory::MemoryStore::default())),
        Some(("sqlite", path)) if !path.is_empty() => {
            let config = sqlite::SqliteConfig::new(schema::sqlite_path(path));
            Ok(Arc::new(sqlite::SqliteStore::open(config).await?))
        }
        Some(("postgres" | "postgresql", _)) => {
            Ok(Arc::new(postgres::PostgresStore::open(url).await?))
        }
        _ => Err(StoreError::BadAddress(url.to_owned())),
    }
}
