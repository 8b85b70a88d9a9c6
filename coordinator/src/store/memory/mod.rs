//! The queue in memory: for simulations, for tests, and as the yardstick that the SQL stores are compared with.

mod attempts;
mod claim;
mod disk;
mod dump;
mod explain;
mod import;
mod maintain;
mod session;
mod sweeps;
mod tables;
mod workers;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use descent_spec::id::{ContentHash, Identity, RequestId, SessionId, SweepId, Timestamp, TrialId};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use descent_spec::state::TrialState;

pub use self::disk::{Device, Disk};
pub use self::dump::{AttemptDump, Dump, SweepDump, TrialDump};
use self::tables::Tables;
use super::{
    AfterFailure, Artifact, Ask, Claim, Directive, Explanation, Fence, Held, IfExists, Imported,
    ImportedResult, Limits, Maintained, NewSession, NewSweep, Orders, Pardon, Purpose, Rerun,
    Slice, Steer, Store, StoreError, SweepRow, Verdict, WorkerRow,
};

/// A store that is gone with the process, or what a simulated disk keeps of it.
#[derive(Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
    disk: Option<(Arc<Disk>, Arc<dyn Device>)>,
}

impl MemoryStore {
    /// Goes on from what is durable on a simulated disk. Every call answers when the device says that its transaction is durable,
    /// and looks only at what is.
    #[must_use]
    pub fn on(disk: Arc<Disk>, device: Arc<dyn Device>) -> Self {
        Self {
            tables: Mutex::new(disk.read(Tables::clone)),
            disk: Some((disk, device)),
        }
    }

    /// One transaction. Its refusals wait for the device too: they may rest on what another one changed.
    async fn write<T: Send>(&self, change: impl FnOnce(&mut Tables) -> T + Send) -> T {
        let (answer, number) = {
            // A panic while they were held cannot leave them half changed in a way that tests would not see.
            let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = change(&mut tables);
            (
                answer,
                self.disk.as_ref().map(|(disk, _)| disk.write(&tables)),
            )
        };
        if let (Some((_, device)), Some(number)) = (&self.disk, number) {
            device.flush(number).await;
        }
        answer
    }

    fn read<T>(&self, look: impl FnOnce(&Tables) -> T) -> T {
        match &self.disk {
            Some((disk, _)) => disk.read(look),
            None => look(&self.tables.lock().unwrap_or_else(PoisonError::into_inner)),
        }
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
        self.write(|tables| tables.submit(request, sweep, exists, now))
            .await
    }

    async fn expand(&self, slice: &Slice, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tables| tables.expand(slice, now)).await
    }

    async fn drop_absent(
        &self,
        sweep: SweepId,
        edition: u64,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.write(|tables| tables.drop_absent(sweep, edition, now))
            .await
    }

    async fn sweep(&self, name: &str) -> Result<Option<SweepRow>, StoreError> {
        Ok(self.read(|tables| tables.named(name).map(|sweep| tables.sweep_row(sweep))))
    }

    async fn sweeps(&self, after: SweepId, limit: u32) -> Result<Vec<SweepRow>, StoreError> {
        Ok(self.read(|tables| tables.sweeps_after(after, limit)))
    }

    async fn expanding(&self) -> Result<Vec<SweepRow>, StoreError> {
        Ok(self.read(Tables::expanding))
    }

    async fn steer(
        &self,
        request: RequestId,
        name: &str,
        steer: Steer,
        now: Timestamp,
    ) -> Result<SweepRow, StoreError> {
        self.write(|tables| tables.steer(request, name, steer, now))
            .await
    }

    async fn delete(
        &self,
        request: RequestId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|tables| tables.delete(request, name, now)).await
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
        self.write(|tables| tables.rerun(request, name, which, now))
            .await
    }

    async fn finished(&self, identities: &[Identity]) -> Result<Vec<Identity>, StoreError> {
        Ok(self.read(|tables| tables.finished(identities)))
    }

    async fn open_session(&self, session: &NewSession, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tables| tables.open_session(session, now)).await
    }

    async fn heartbeat(
        &self,
        session: SessionId,
        held: &[Held],
        lease_until: Timestamp,
        grace_ms: i64,
        now: Timestamp,
    ) -> Result<Vec<Directive>, StoreError> {
        self.write(|tables| tables.heartbeat(session, held, lease_until, grace_ms, now))
            .await
    }

    async fn claim(&self, ask: &Ask, now: Timestamp) -> Result<Claim, StoreError> {
        self.write(|tables| tables.claim(ask, now)).await
    }

    async fn append_metrics(
        &self,
        fence: Fence,
        seq: u64,
        measurements: &[Measurement],
        _now: Timestamp,
    ) -> Result<(Verdict, u64), StoreError> {
        self.write(|tables| tables.append_metrics(fence, seq, measurements))
            .await
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
        Ok(self
            .write(|tables| tables.commit_artifact(fence, purpose, artifact))
            .await)
    }

    async fn complete(
        &self,
        completions: &[(Fence, TrialResult)],
        now: Timestamp,
    ) -> Result<Vec<Verdict>, StoreError> {
        Ok(self.write(|tables| tables.complete(completions, now)).await)
    }

    async fn import_results(
        &self,
        results: &[ImportedResult],
        now: Timestamp,
    ) -> Result<Vec<Imported>, StoreError> {
        Ok(self
            .write(|tables| tables.import_results(results, now))
            .await)
    }

    async fn budget(&self, fence: Fence) -> Result<Option<(u32, u32)>, StoreError> {
        Ok(self.read(|tables| tables.budget(fence)))
    }

    async fn fail(
        &self,
        fence: Fence,
        failure: &Failure,
        after: AfterFailure,
        now: Timestamp,
    ) -> Result<Option<TrialState>, StoreError> {
        Ok(self
            .write(|tables| tables.fail(fence, failure, after, now))
            .await)
    }

    async fn release(&self, fences: &[Fence], now: Timestamp) -> Result<Vec<Verdict>, StoreError> {
        Ok(self.write(|tables| tables.release(fences, now)).await)
    }

    async fn close_session(&self, session: SessionId, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tables| tables.close_session(session, now))
            .await;
        Ok(())
    }

    async fn limits(&self, trials: &[TrialId]) -> Result<Vec<Limits>, StoreError> {
        Ok(self.read(|tables| tables.limits(trials)))
    }

    async fn workers(&self, now: Timestamp) -> Result<Vec<WorkerRow>, StoreError> {
        Ok(self.read(|tables| tables.worker_rows(now)))
    }

    async fn orders(&self, now: Timestamp) -> Result<Orders, StoreError> {
        Ok(self.read(|tables| tables.orders(now)))
    }

    async fn drain(&self, worker: &str) -> Result<u64, StoreError> {
        Ok(self.write(|tables| tables.drain(worker)).await)
    }

    async fn quarantine(
        &self,
        worker: &str,
        until: Timestamp,
        reason: &str,
        pardon: &Pardon,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|tables| tables.keep_away((worker, until, reason), pardon, now))
            .await;
        Ok(())
    }

    async fn disown(&self, worker: &str, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.write(|tables| tables.disown(worker, now)).await)
    }

    async fn maintain(&self, now: Timestamp) -> Result<Maintained, StoreError> {
        Ok(self.write(|tables| tables.maintain(now)).await)
    }

    async fn grant_grace(&self, lease_until: Timestamp) -> Result<(), StoreError> {
        self.write(|tables| tables.grant_grace(lease_until)).await;
        Ok(())
    }

    async fn explain(&self, trial: &str) -> Result<Explanation, StoreError> {
        self.read(|tables| tables.explain(trial))
    }

    async fn artifacts_in_use(&self) -> Result<Vec<ContentHash>, StoreError> {
        Ok(self.read(Tables::artifacts_in_use))
    }

    async fn announce(&self, _address: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&self) {}
}
