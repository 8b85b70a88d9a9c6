//! What all parts of a running coordinator share.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use descent_spec::id::Timestamp;
use tokio::sync::{Notify, OnceCell, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tracing::Instrument as _;

use crate::artifacts::Artifacts;
use crate::clock::QueueClock;
use crate::config::Config;
use crate::core::conduct::Conduct;
use crate::core::progress::Progress;
use crate::fail_point;
use crate::outside::{Offload, Outside};
use crate::reader::Reader;
use crate::rpc::{Replies, status};
use crate::store::{Orders, Store, StoreError};

/// A running coordinator.
pub(crate) struct Service {
    pub(crate) config: Config,
    /// Its name among the coordinators of one database: another one at every start.
    pub(crate) name: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: QueueClock,
    pub(crate) artifacts: Artifacts,
    offload: Arc<dyn Offload>,
    /// Wakes one parked `Lease`; one that finds work wakes the next, so that k ready packs wake k + 1 callers, not all.
    pub(crate) work: Notify,
    /// Wakes the expansion.
    pub(crate) expansion: Notify,
    /// Cancelled when the shutdown begins.
    pub(crate) draining: CancellationToken,
    /// Store calls under way. They outlive the calls that began them, and the shutdown waits for them.
    pub(crate) writes: TaskTracker,
    /// Parked `Lease` calls still allowed.
    pub(crate) parking: Semaphore,
    /// `Watch` streams still allowed.
    pub(crate) watching: Arc<Semaphore>,
    /// Answers to `Submit` of late.
    pub(crate) submissions: Replies,
    /// Whether this coordinator does the upkeep of the queue that one is enough for. A hint that saves work: all of it is
    /// guarded, and harmless when two do it.
    pub(crate) leading: AtomicBool,
    /// Cancelled when another coordinator has taken the database over: nothing can be written any more.
    pub(crate) superseded: CancellationToken,
    /// Answers `Query`; opened when it is first asked.
    pub(crate) reader: OnceCell<Reader>,
    /// How far the trials are that workers of this coordinator have in training.
    pub(crate) progress: Mutex<Progress>,
    /// How its workers fare.
    pub(crate) conduct: Mutex<Conduct>,
    /// What sessions are told beyond their trials, as of the last round of upkeep.
    pub(crate) orders: Mutex<Orders>,
}

impl Service {
    pub(crate) fn new(config: Config, outside: Outside, clock: QueueClock) -> Self {
        let Outside {
            store,
            artifacts,
            offload,
            ..
        } = outside;
        Self {
            parking: Semaphore::new(config.limits.parked),
            watching: Arc::new(Semaphore::new(config.limits.watchers)),
            name: name(),
            config,
            store,
            clock,
            artifacts,
            offload,
            work: Notify::new(),
            expansion: Notify::new(),
            draining: CancellationToken::new(),
            writes: TaskTracker::new(),
            submissions: Replies::default(),
            leading: AtomicBool::new(false),
            superseded: CancellationToken::new(),
            reader: OnceCell::new(),
            progress: Mutex::default(),
            conduct: Mutex::default(),
            orders: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the upkeep is this coordinator's, as far as it knows.
    pub(crate) fn leads(&self) -> bool {
        self.config.always_leads || self.leading.load(Ordering::Relaxed)
    }

    /// When a session that is heard of now counts as silent.
    pub(crate) fn lease_until(&self) -> Timestamp {
        self.now().plus_ms(millis(self.config.timing.lease))
    }

    /// How far trials are.
    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        // Nothing in there panics half way through a change; nor in the two below.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How workers fare.
    pub(crate) fn conduct(&self) -> MutexGuard<'_, Conduct> {
        self.conduct.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What sessions are told beyond their trials.
    pub(crate) fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up what sessions are to be told.
    pub(crate) async fn renew_orders(&self) -> Result<(), StoreError> {
        let orders = self
            .call(|store, now| async move { store.orders(now).await })
            .await?;
        *self.orders() = orders;
        Ok(())
    }

    /// Computes something that would hold others up; `None` when it panicked.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let work = move || {
            let _ = done.send(work());
        };
        self.offload.compute(Box::new(work)).await;
        result.await.ok()
    }

    /// Runs a store call to its end, whatever becomes of the caller: a client that goes away drops the call's future, and
    /// must not drop a transaction half way with it.
    pub(crate) async fn call<T, F, Fut>(&self, call: F) -> Result<T, StoreError>
    where
        F: FnOnce(Arc<dyn Store>, Timestamp) -> Fut,
        Fut: Future<Output = Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        let future = call(Arc::clone(&self.store), self.now()).in_current_span();
        match self.writes.spawn(future).await {
            Ok(answer) => {
                fail_point::pass("before-reply");
                if let Err(StoreError::Superseded { .. }) = answer {
                    self.superseded.cancel();
                }
                answer
            }
            Err(panic) => Err(StoreError::Database(format!("the call panicked: {panic}"))),
        }
    }

    /// [`Self::call`] for a client: within the deadline, and with the store's refusal as a status.
    pub(crate) async fn answer<T, F, Fut>(&self, call: F) -> Result<T, Status>
    where
        F: FnOnce(Arc<dyn Store>, Timestamp) -> Fut,
        Fut: Future<Output = Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        self.in_time(call)
            .await?
            .map_err(|error| status::of_store(&error))
    }

    /// [`Self::call`] for a client that wants to look at the store's refusal itself.
    pub(crate) async fn in_time<T, F, Fut>(&self, call: F) -> Result<Result<T, StoreError>, Status>
    where
        F: FnOnce(Arc<dyn Store>, Timestamp) -> Fut,
        Fut: Future<Output = Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        tokio::time::timeout(self.config.timing.call, self.call(call))
            .await
            .map_err(|_| {
                Status::deadline_exceeded(
                    "the database did not answer in time; the call may still take effect: repeat it",
                )
            })
    }

    /// What a call that would wait is told during the shutdown.
    pub(crate) fn stopping() -> Status {
        Status::unavailable("the coordinator is stopping: try again in a moment")
    }
}

/// A duration as the store counts it.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A name that no other process has, nor this one after a restart.
fn name() -> String {
    // The standard library seeds each `RandomState` from the system's source of randomness.
    let bits = RandomState::new().hash_one(std::process::id());
    format!("{}-{bits:016x}", std::process::id())
}
