//! The durable queue behind one trait. SQLite, PostgreSQL and an in-memory store pass the same contract tests.
//!
//! Rules that every implementation keeps:
//! * A method is one atomic transaction; when it answers `Ok`, what it did is durable.
//! * Every write about an attempt names its [`Fence`]; a write whose fence is not the trial's current attempt changes nothing.
//! * `now` comes from the caller. A store reads no clock.
//! * Calls with a [`RequestId`] may be repeated; the second answer equals the first.

mod error;
mod fault;
mod import;
mod lane;
pub mod memory;
mod naming;
mod number;
pub mod postgres;
pub(crate) mod schema;
pub mod sqlite;
mod sweep;
mod trial;
mod work;

use std::sync::Arc;

pub use self::error::StoreError;
pub use self::import::{Imported, ImportedResult};
pub use self::sqlite::{Holder, holder};
pub use self::sweep::{Axis, AxisKind, IfExists, NewSweep, Rerun, Steer, SweepRow};
pub use self::trial::{AttemptRow, Explanation, Needs, NewTrial, Slice, TrialColumns};
pub use self::work::{
    AfterFailure, Ask, Claim, Lost, Maintained, NewSession, Orders, Pardon, WorkerRow,
};
pub use crate::core::progress::Limits;
use async_trait::async_trait;
use descent_spec::id::{ContentHash, Identity, RequestId, SessionId, SweepId, Timestamp, TrialId};
pub use descent_spec::lease::{Artifact, Claimed, Directive, Fence, Held, Purpose, Verdict};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use descent_spec::state::TrialState;

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
    /// After this edition of a sweep was expanded: unlinks trials whose identity was not among its points (cancels those nobody
    /// else wants). Nothing happens when the sweep was replaced since.
    async fn drop_absent(
        &self,
        sweep: SweepId,
        edition: u64,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
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
    /// Removes a sweep and all that only it wanted. Of a large sweep, rows stay behind for [`Store::bury`]; nobody's any more, and in
    /// no view.
    async fn delete(
        &self,
        request: RequestId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Removes rows of trials that went with a deleted sweep, this many at most; answers how many there were, 0: nothing is left.
    async fn bury(&self, most: u32) -> Result<u64, StoreError>;
    /// Makes trials of a sweep ready (or blocked) again; answers how many. Attempt numbers go on; budgets start anew.
    async fn rerun(
        &self,
        request: RequestId,
        name: &str,
        which: Rerun,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
    /// Which of these identities have a result already.
    async fn finished(&self, identities: &[Identity]) -> Result<Vec<Identity>, StoreError>;

    // --- workers ---

    /// Begins a session. Repeating it with the same id is harmless.
    async fn open_session(&self, session: &NewSession, now: Timestamp) -> Result<(), StoreError>;
    /// Renews the session and answers what to do with each trial held; one that only paused sweeps want is to be handed back. Trials that became suspect but have not been
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
    /// An expired lease is revoked here, and only here: the previous attempt ends as `lost`, and the trial is poisoned where that was
    /// once too often ([`crate::core::poison`]). A session that drains, or whose worker is quarantined, gets nothing.
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
    /// Ends an attempt with a failure. Answers the trial's state, or `None` when the fence does not hold. Sweeps of which too many
    /// trials in a row have failed alike are paused in the same transaction ([`crate::core::breaker`]).
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

    /// What these trials may take.
    async fn limits(&self, trials: &[TrialId]) -> Result<Vec<Limits>, StoreError>;
    /// Open and expired sessions, oldest first.
    async fn workers(&self, now: Timestamp) -> Result<Vec<WorkerRow>, StoreError>;
    /// What sessions are to be told beyond their trials.
    async fn orders(&self, now: Timestamp) -> Result<Orders, StoreError>;
    /// Asks a worker's sessions that are not closed to drain; answers how many there are.
    async fn drain(&self, worker: &str) -> Result<u64, StoreError>;
    /// Keeps a worker, by name, from trials until a time, or until one of its sessions is closed in order; and takes back what its
    /// trials were charged with there.
    async fn quarantine(
        &self,
        worker: &str,
        until: Timestamp,
        reason: &str,
        pardon: &Pardon,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    // --- the rest ---

    /// Expires the open sessions of a worker of which the caller knows that its process is dead, so that nobody waits for
    /// their leases to run out. Soft, as any expiry. Answers how many trials became claimable.
    async fn disown(&self, worker: &str, now: Timestamp) -> Result<u64, StoreError>;
    /// One round: expire sessions, make their trials claimable (soft: the attempt number stays), promote delayed trials,
    /// finish sweeps. Harmless when two do it at once.
    async fn maintain(&self, now: Timestamp) -> Result<Maintained, StoreError>;
    /// After a start or an outage: every open session gets a full lease, so that nobody is expired for the outage, and no more than
    /// that, so that nobody is waited for until a clock that was set back has caught up.
    async fn grant_grace(&self, lease_until: Timestamp) -> Result<(), StoreError>;
    /// Takes or keeps the upkeep of a shared database for `ms` milliseconds of its clock. `None`: another holder has it. Else the
    /// term, which grows whenever the upkeep changes hands. Who shares the database with nobody always has it.
    async fn lead(&self, _holder: &str, _ms: i64) -> Result<Option<i64>, StoreError> {
        Ok(Some(0))
    }
    /// Gives the upkeep up, so that another coordinator need not wait for the end of its time.
    async fn resign(&self, _holder: &str) -> Result<(), StoreError> {
        Ok(())
    }
    /// What time it is by the clock that all coordinators of this database share; `None`: there is one coordinator, and its own
    /// clock counts.
    async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }
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
    open(url, false).await
}

/// [`open_store`] of a database that a coordinator has which hangs and cannot be stopped: it is shut out. A database
/// that several may use is simply opened.
///
/// # Errors
/// As [`open_store`].
pub async fn take_over_store(url: &str) -> Result<Arc<dyn Store>, StoreError> {
    open(url, true).await
}

async fn open(url: &str, take_over: bool) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':') {
        Some(("memory", _)) => Ok(Arc::new(memory::MemoryStore::default())),
        Some(("sqlite", path)) if !path.is_empty() => {
            let mut config = sqlite::SqliteConfig::new(schema::sqlite_path(path));
            config.take_over = take_over;
            Ok(Arc::new(sqlite::SqliteStore::open(config).await?))
        }
        Some(("postgres" | "postgresql", _)) => {
            Ok(Arc::new(postgres::PostgresStore::open(url).await?))
        }
        _ => Err(StoreError::BadAddress(url.to_owned())),
    }
}
