//! The trait over the operations: each write in its own transaction, on the lane that its urgency deserves.

use async_trait::async_trait;
use descent_spec::id::{ContentHash, Identity, RequestId, SessionId, SweepId, Timestamp, TrialId};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use descent_spec::state::TrialState;

use super::super::super::lane::Lane;
use super::super::super::{
    AfterFailure, Artifact, Ask, Claim, Directive, Explanation, Fence, Held, IfExists, Imported,
    ImportedResult, Limits, Maintained, NewSession, NewSweep, Orders, Pardon, Purpose, Rerun,
    Slice, Steer, Store, StoreError, SweepRow, Verdict, WorkerRow,
};
use super::{
    Engine, attempts, claim, dialect, expand, explain, import, lead, maintain, remove, session,
    sweeps, workers,
};

/// Runs an operation in a transaction. The arguments are cloned, because a transaction may have to be run again.
macro_rules! write {
    ($engine:ident, $lane:ident, ($($arg:ident),*), $conn:ident => $operation:expr) => {{
        $(let $arg = ToOwned::to_owned($arg);)*
        $engine.write(Lane::$lane, move |$conn| {
            $(let $arg = ToOwned::to_owned(&$arg);)*
            Box::pin(async move { $operation.await })
        }).await
    }};
}

/// Runs an operation that only reads.
macro_rules! read {
    ($engine:ident, ($($arg:ident),*), $conn:ident => $operation:expr) => {{
        $(let $arg = ToOwned::to_owned($arg);)*
        $engine.read(move |$conn| {
            $(let $arg = ToOwned::to_owned(&$arg);)*
            Box::pin(async move { $operation.await })
        }).await
    }};
}

#[async_trait]
impl Store for Engine {
    async fn submit(
        &self,
        request: RequestId,
        sweep: &NewSweep,
        exists: IfExists,
        now: Timestamp,
    ) -> Result<SweepId, StoreError> {
        write!(self, Steer, (sweep), c => sweeps::submit(c, request, &sweep, exists, now))
    }

    async fn expand(&self, slice: &Slice, now: Timestamp) -> Result<(), StoreError> {
        write!(self, Bulk, (slice), c => expand::expand(c, &slice, now))
    }

    async fn drop_absent(
        &self,
        sweep: SweepId,
        edition: u64,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        write!(self, Bulk, (), c => remove::drop_absent(c, sweep, edition, now))
    }

    async fn sweep(&self, name: &str) -> Result<Option<SweepRow>, StoreError> {
        read!(self, (name), c => sweeps::sweep(c, &name))
    }

    async fn sweeps(&self, after: SweepId, limit: u32) -> Result<Vec<SweepRow>, StoreError> {
        read!(self, (), c => sweeps::sweeps(c, after, limit))
    }

    async fn expanding(&self) -> Result<Vec<SweepRow>, StoreError> {
        read!(self, (), c => sweeps::expanding(c))
    }

    async fn steer(
        &self,
        request: RequestId,
        name: &str,
        steer: Steer,
        now: Timestamp,
    ) -> Result<SweepRow, StoreError> {
        write!(self, Steer, (name), c => sweeps::steer(c, request, &name, steer, now))
    }

    async fn delete(
        &self,
        request: RequestId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        write!(self, Steer, (name), c => remove::delete(c, request, &name, now))
    }

    async fn bury(&self, most: u32) -> Result<u64, StoreError> {
        write!(self, Bulk, (), c => remove::bury(c, most))
    }

    async fn rerun(
        &self,
        request: RequestId,
        name: &str,
        which: Rerun,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        write!(self, Steer, (name), c => sweeps::rerun(c, request, &name, which, now))
    }

    async fn finished(&self, identities: &[Identity]) -> Result<Vec<Identity>, StoreError> {
        read!(self, (identities), c => sweeps::finished(c, &identities))
    }

    async fn open_session(&self, session: &NewSession, now: Timestamp) -> Result<(), StoreError> {
        write!(self, Report, (session), c => session::open(c, &session, now))
    }

    async fn heartbeat(
        &self,
        session: SessionId,
        held: &[Held],
        lease_until: Timestamp,
        grace_ms: i64,
        now: Timestamp,
    ) -> Result<Vec<Directive>, StoreError> {
        write!(self, Report, (held), c => {
            session::heartbeat(c, session, &held, lease_until, grace_ms, now)
        })
    }

    async fn claim(&self, ask: &Ask, now: Timestamp) -> Result<Claim, StoreError> {
        write!(self, Claim, (ask), c => claim::claim(c, &ask, now))
    }

    async fn append_metrics(
        &self,
        fence: Fence,
        seq: u64,
        measurements: &[Measurement],
        _now: Timestamp,
    ) -> Result<(Verdict, u64), StoreError> {
        write!(self, Metrics, (measurements), c => {
            attempts::append_metrics(c, fence, seq, &measurements)
        })
    }

    async fn commit_artifact(
        &self,
        fence: Fence,
        purpose: Purpose,
        artifact: Artifact,
        epoch: u32,
        step: u64,
        now: Timestamp,
    ) -> Result<Verdict, StoreError> {
        write!(self, Report, (), c => {
            attempts::commit_artifact(c, fence, purpose, artifact, (epoch, step), now)
        })
    }

    async fn complete(
        &self,
        completions: &[(Fence, TrialResult)],
        now: Timestamp,
    ) -> Result<Vec<Verdict>, StoreError> {
        write!(self, Report, (completions), c => attempts::complete(c, &completions, now))
    }

    async fn import_results(
        &self,
        results: &[ImportedResult],
        now: Timestamp,
    ) -> Result<Vec<Imported>, StoreError> {
        write!(self, Bulk, (results), c => import::import_results(c, &results, now))
    }

    async fn budget(&self, fence: Fence) -> Result<Option<(u32, u32)>, StoreError> {
        read!(self, (), c => attempts::budget(c, fence))
    }

    async fn fail(
        &self,
        fence: Fence,
        failure: &Failure,
        after: AfterFailure,
        now: Timestamp,
    ) -> Result<Option<TrialState>, StoreError> {
        write!(self, Report, (failure), c => attempts::fail(c, fence, &failure, after, now))
    }

    async fn release(&self, fences: &[Fence], now: Timestamp) -> Result<Vec<Verdict>, StoreError> {
        write!(self, Report, (fences), c => attempts::release(c, &fences, now))
    }

    async fn close_session(&self, session: SessionId, now: Timestamp) -> Result<(), StoreError> {
        write!(self, Report, (), c => session::close(c, session, now))
    }

    async fn limits(&self, trials: &[TrialId]) -> Result<Vec<Limits>, StoreError> {
        read!(self, (trials), c => workers::limits(c, &trials))
    }

    async fn workers(&self, now: Timestamp) -> Result<Vec<WorkerRow>, StoreError> {
        read!(self, (), c => workers::workers(c, now))
    }

    async fn orders(&self, now: Timestamp) -> Result<Orders, StoreError> {
        read!(self, (), c => workers::orders(c, now))
    }

    async fn drain(&self, worker: &str) -> Result<u64, StoreError> {
        write!(self, Steer, (worker), c => workers::drain(c, &worker))
    }

    async fn quarantine(
        &self,
        worker: &str,
        until: Timestamp,
        reason: &str,
        pardon: &Pardon,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        write!(self, Report, (worker, reason, pardon), c => {
            workers::quarantine(c, (&worker, until, &reason), &pardon, now)
        })
    }

    async fn disown(&self, worker: &str, _now: Timestamp) -> Result<u64, StoreError> {
        write!(self, Report, (worker), c => maintain::disown(c, &worker))
    }

    async fn maintain(&self, now: Timestamp) -> Result<Maintained, StoreError> {
        write!(self, Claim, (), c => maintain::maintain(c, now))
    }

    async fn grant_grace(&self, lease_until: Timestamp) -> Result<(), StoreError> {
        write!(self, Report, (), c => maintain::grant_grace(c, lease_until))
    }

    async fn lead(&self, holder: &str, ms: i64) -> Result<Option<i64>, StoreError> {
        if dialect::SHARED {
            write!(self, Report, (holder), c => lead::lead(c, &holder, ms))
        } else {
            Ok(Some(0))
        }
    }

    async fn resign(&self, holder: &str) -> Result<(), StoreError> {
        if dialect::SHARED {
            write!(self, Report, (holder), c => lead::resign(c, &holder))
        } else {
            Ok(())
        }
    }

    async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        if dialect::SHARED {
            read!(self, (), c => lead::time(c)).map(Some)
        } else {
            Ok(None)
        }
    }

    async fn explain(&self, trial: &str) -> Result<Explanation, StoreError> {
        read!(self, (trial), c => explain::explain(c, &trial))
    }

    async fn artifacts_in_use(&self) -> Result<Vec<ContentHash>, StoreError> {
        read!(self, (), c => explain::artifacts_in_use(c))
    }

    async fn announce(&self, address: &str) -> Result<(), StoreError> {
        self.leave_address(address)
    }

    async fn close(&self) {
        self.shut_down().await;
    }
}
