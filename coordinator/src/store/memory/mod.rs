//! The queue in memory: for simulations, for tests, and as the yardstick that the SQL stores are compared with.

mod attempts;
mod claim;
mod explain;
mod import;
mod maintain;
mod session;
mod sweeps;
mod tables;
mod workers;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use descent_spec::id::{ContentHash, Identity, RequestId, SessionId, SweepId, Timestamp, TrialId};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use descent_spec::state::TrialState;

use self::tables::Tables;
use super::{
    AfterFailure, Artifact, Ask, Claim, Directive, Explanation, Fence, Held, IfExists, Imported,
    ImportedResult, Limits, Maintained, NewSession, NewSweep, Orders, Pardon, Purpose, Rerun,
    Slice, Steer, Store, StoreError, SweepRow, Verdict, WorkerRow,
};

/// A store that is gone with the process.
#[derive(Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// The tables. A panic while they were held cannot leave them half changed in a way that tests would not see.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn submit(
        &self,
        request: RequestId,
        sweep: &NewSweep,
        exists: IfExists,
        now: Timestamp,
    ) -> Result<SweepId, StoreError> {
        self.tables().submit(request, sweep, exists, now)
    }

    async fn expand(&self, slice: &Slice, now: Timestamp) -> Result<(), StoreError> {
        self.tables().expand(slice, now)
    }

    async fn drop_absent(
        &self,
        sweep: SweepId,
        edition: u64,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.tables().drop_absent(sweep, edition, now)
    }

    async fn sweep(&self, name: &str) -> Result<Option<SweepRow>, StoreError> {
        let tables = self.tables();
        Ok(tables.named(name).map(|sweep| tables.sweep_row(sweep)))
    }

    async fn sweeps(&self, after: SweepId, limit: u32) -> Result<Vec<SweepRow>, StoreError> {
        Ok(self.tables().sweeps_after(after, limit))
    }

    async fn expanding(&self) -> Result<Vec<SweepRow>, StoreError> {
        Ok(self.tables().expanding())
    }

    async fn steer(
        &self,
        request: RequestId,
        name: &str,
        steer: Steer,
        now: Timestamp,
    ) -> Result<SweepRow, StoreError> {
        self.tables().steer(request, name, steer, now)
    }

    async fn delete(
        &self,
        request: RequestId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.tables().delete(request, name, now)
    }

    async fn bury(&self, _most: u32) -> Result<u64, StoreError> {
        // What is deleted here is gone at once.
        Ok(0)
    }

    async fn rerun(
        &self,
        request: RequestId,
        name: &str,
        which: Rerun,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.tables().rerun(request, name, which, now)
    }

    async fn finished(&self, identities: &[Identity]) -> Result<Vec<Identity>, StoreError> {
        Ok(self.tables().finished(identities))
    }

    async fn open_session(&self, session: &NewSession, now: Timestamp) -> Result<(), StoreError> {
        self.tables().open_session(session, now)
    }

    async fn heartbeat(
        &self,
        session: SessionId,
        held: &[Held],
        lease_until: Timestamp,
        grace_ms: i64,
        now: Timestamp,
    ) -> Result<Vec<Directive>, StoreError> {
        self.tables()
            .heartbeat(session, held, lease_until, grace_ms, now)
    }

    async fn claim(&self, ask: &Ask, now: Timestamp) -> Result<Claim, StoreError> {
        self.tables().claim(ask, now)
    }

    async fn append_metrics(
        &self,
        fence: Fence,
        seq: u64,
        measurements: &[Measurement],
        _now: Timestamp,
    ) -> Result<(Verdict, u64), StoreError> {
        self.tables().append_metrics(fence, seq, measurements)
    }

    async fn commit_artifact(
        &self,
        fence: Fence,
        purpose: Purpose,
        artifact: Artifact,
        _epoch: u32,
        _step: u64,
        _now: Timestamp,
    ) -> Result<Verdict, StoreError> {
        Ok(self.tables().commit_artifact(fence, purpose, artifact))
    }

    async fn complete(
        &self,
        completions: &[(Fence, TrialResult)],
        now: Timestamp,
    ) -> Result<Vec<Verdict>, StoreError> {
        Ok(self.tables().complete(completions, now))
    }

    async fn import_results(
        &self,
        results: &[ImportedResult],
        now: Timestamp,
    ) -> Result<Vec<Imported>, StoreError> {
        Ok(self.tables().import_results(results, now))
    }

    async fn budget(&self, fence: Fence) -> Result<Option<(u32, u32)>, StoreError> {
        Ok(self.tables().budget(fence))
    }

    async fn fail(
        &self,
        fence: Fence,
        failure: &Failure,
        after: AfterFailure,
        now: Timestamp,
    ) -> Result<Option<TrialState>, StoreError> {
        Ok(self.tables().fail(fence, failure, after, now))
    }

    async fn release(&self, fences: &[Fence], now: Timestamp) -> Result<Vec<Verdict>, StoreError> {
        Ok(self.tables().release(fences, now))
    }

    async fn close_session(&self, session: SessionId, now: Timestamp) -> Result<(), StoreError> {
        self.tables().close_session(session, now);
        Ok(())
    }

    async fn limits(&self, trials: &[TrialId]) -> Result<Vec<Limits>, StoreError> {
        Ok(self.tables().limits(trials))
    }

    async fn workers(&self, now: Timestamp) -> Result<Vec<WorkerRow>, StoreError> {
        Ok(self.tables().worker_rows(now))
    }

    async fn orders(&self, now: Timestamp) -> Result<Orders, StoreError> {
        Ok(self.tables().orders(now))
    }

    async fn drain(&self, worker: &str) -> Result<u64, StoreError> {
        Ok(self.tables().drain(worker))
    }

    async fn quarantine(
        &self,
        worker: &str,
        until: Timestamp,
        reason: &str,
        pardon: &Pardon,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.tables()
            .keep_away((worker, until, reason), pardon, now);
        Ok(())
    }

    async fn disown(&self, worker: &str, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.tables().disown(worker, now))
    }

    async fn maintain(&self, now: Timestamp) -> Result<Maintained, StoreError> {
        Ok(self.tables().maintain(now))
    }

    async fn grant_grace(&self, lease_until: Timestamp) -> Result<(), StoreError> {
        self.tables().grant_grace(lease_until);
        Ok(())
    }

    async fn explain(&self, trial: &str) -> Result<Explanation, StoreError> {
        self.tables().explain(trial)
    }

    async fn artifacts_in_use(&self) -> Result<Vec<ContentHash>, StoreError> {
        Ok(self.tables().artifacts_in_use())
    }

    async fn announce(&self, _address: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&self) {}
}
