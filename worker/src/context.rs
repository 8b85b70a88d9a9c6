//! What all tasks of one worker share.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use descent_proto::retry::backoff;
use descent_spec::id::{RequestId, SessionId};
use tokio::sync::{Notify, OnceCell, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::budget::Budget;
use crate::completer::Delivery;
use crate::config::{Config, OrphanPolicy};
use crate::link::LinkError;
use crate::place::Place;
use crate::random::share;
use crate::registry::Registry;
use crate::report::{RunError, Tally};
use crate::shutdown::Shutdown;
use crate::spool::Spool;
use crate::trainer::Trainer;
use crate::world::World;

/// Artifacts on their way at once: enough to fill a link, few enough to leave memory and heartbeats alone.
const TRANSFERS: usize = 4;

/// Tries after which a person should hear of it: half a minute and more.
const WORRYING_TRIES: u32 = 12;

/// What all tasks of one worker share.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) world: World,
    pub(crate) shutdown: Shutdown,
    /// The session of now; changes when the coordinator asks for a new one.
    pub(crate) session: watch::Sender<SessionId>,
    pub(crate) registry: Registry,
    pub(crate) tally: Tally,
    /// Set while the coordinator does not answer.
    silent: watch::Sender<bool>,
    /// Where what waits for it is put meanwhile.
    pub(crate) spool: Arc<Spool>,
    /// What it has been silent for too long for, by the policy.
    pub(crate) orphaned: watch::Sender<Option<OrphanPolicy>>,
    /// Rung to beat before the time comes: somebody was told that the session is closed.
    pub(crate) beat_now: Notify,
    /// The devices that have a slot. Slots are spread over them in turn.
    pub(crate) places: Vec<Arc<Place>>,
    pub(crate) transfers: Semaphore,
    pub(crate) completions: mpsc::UnboundedSender<Delivery>,
    /// Data sets that people have been told are missing.
    missed: Mutex<BTreeSet<String>>,
    /// Why the worker must give up, once it must.
    pub(crate) fatal: OnceCell<RunError>,
    /// Cancelled when nothing further is to be sent: aborted, given up, or at the end.
    pub(crate) silence: CancellationToken,
}

/// How a call that was repeated as long as it made sense ended otherwise.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The coordinator answered so.
    No(LinkError),
    /// The worker stopped asking.
    Silenced,
    /// What was to be told cannot be read any more; why.
    Lost(String),
}

impl Context {
    pub(crate) fn new(
        config: Config,
        world: World,
        shutdown: Shutdown,
        session: SessionId,
        completions: mpsc::UnboundedSender<Delivery>,
    ) -> Self {
        let more = "train it on a machine with more that is free";
        let machine = Arc::new(Budget::new(config.machine_bytes, more));
        let place = |trainer: &Arc<dyn Trainer>| {
            Arc::new(Place::new(
                Arc::clone(trainer),
                config.memory_bytes,
                &machine,
            ))
        };
        let spool = Arc::new(Spool::new(config.spool.clone()));
        // A device without a slot would train nothing, and be waited for when the others are lost.
        let (used, idle) = world
            .trainers
            .split_at(world.trainers.len().min(config.slots.max(1) as usize));
        for trainer in idle {
            tracing::warn!(
                device = trainer.device(),
                slots = config.slots,
                "no slot is left for this device: it stays idle"
            );
        }
        Self {
            places: used.iter().map(place).collect(),
            config,
            world,
            shutdown,
            session: watch::Sender::new(session),
            registry: Registry::new(),
            tally: Tally::default(),
            silent: watch::Sender::new(false),
            spool,
            orphaned: watch::Sender::new(None),
            beat_now: Notify::new(),
            transfers: Semaphore::new(TRANSFERS),
            completions,
            missed: Mutex::default(),
            fatal: OnceCell::new(),
            silence: CancellationToken::new(),
        }
    }

    pub(crate) fn is_silent(&self) -> bool {
        *self.silent.borrow()
    }

    /// Waits until the coordinator does not answer.
    pub(crate) async fn silent(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.silent.subscribe().wait_for(|&silent| silent).await;
    }

    /// The coordinator answered a beat.
    pub(crate) fn heard(&self) {
        self.silent.send_replace(false);
        self.orphaned.send_replace(None);
    }

    /// It did not: what waits for it makes room for training.
    pub(crate) fn unheard(self: &Arc<Self>) {
        self.silent.send_replace(true);
        if self.spool.is_there() {
            let context = Arc::clone(self);
            let spill = move || {
                for account in context.registry.all() {
                    account.spill(&context.spool);
                }
            };
            let context = Arc::clone(self);
            let spilling = async move { context.compute(spill).await };
            drop(tokio::spawn(spilling.in_current_span()));
        }
    }

    pub(crate) fn request_id(&self) -> RequestId {
        RequestId(self.world.random.bits())
    }

    /// Where a slot trains.
    pub(crate) fn place(&self, slot: usize) -> &Arc<Place> {
        &self.places[slot % self.places.len()]
    }

    /// A device no longer answers. The last one takes the worker with it, in order: what it held is handed back.
    pub(crate) fn lose(&self, place: &Place, reason: &str) {
        if place.lost.is_cancelled() {
            return;
        }
        place.lost.cancel();
        let device = place.trainer.device();
        tracing::error!(
            device,
            reason,
            "the device is lost; its trials are handed back"
        );
        if self.places.iter().all(|place| place.lost.is_cancelled()) {
            let error = RunError::DeviceLost {
                device,
                reason: reason.to_owned(),
            };
            // A worker that is given up already has its reason.
            let _ = self.fatal.set(error);
            self.shutdown.drain();
        }
    }

    /// Whether this data set is missed for the first time.
    pub(crate) fn first_complaint(&self, data: &str) -> bool {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.insert(data.to_owned())
    }

    /// Gives the whole worker up.
    pub(crate) fn give_up(&self, error: RunError) {
        if self.fatal.set(error).is_ok() {
            self.shutdown.abort();
            self.silence.cancel();
        }
    }

    /// Pauses before repetitions, with jitter.
    pub(crate) fn pauses(&self) -> impl Iterator<Item = Duration> {
        let (first, longest) = self.config.pause;
        backoff(first, longest, || share(self.world.random.as_ref()))
    }

    /// Computes something that takes milliseconds, off the runtime's threads; `None` where nothing came of it.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let work = move || {
            let _ = done.send(work());
        };
        self.world.stage.compute(Box::new(work)).await;
        result.await.ok()
    }

    /// Repeats a call until the coordinator has answered it one way or the other.
    pub(crate) async fn until_answered<T, F>(
        &self,
        what: &'static str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, Unanswered>
    where
        F: Future<Output = Result<T, LinkError>>,
    {
        let mut pauses = self.pauses();
        let mut tries = 0_u32;
        loop {
            let answer = tokio::select! {
                biased;
                () = self.silence.cancelled() => return Err(Unanswered::Silenced),
                answer = call() => answer,
            };
            match answer {
                Ok(value) => return Ok(value),
                Err(LinkError::Unavailable(reason)) => {
                    tries += 1;
                    if tries == WORRYING_TRIES {
                        tracing::warn!(what, reason, tries, "still not answered, repeating");
                    } else {
                        tracing::debug!(what, reason, tries, "not answered, repeating");
                    }
                }
                Err(LinkError::Refused(reason)) => {
                    self.give_up(RunError::Refused(reason));
                    return Err(Unanswered::Silenced);
                }
                Err(error) => return Err(Unanswered::No(error)),
            }
            let pause = pauses.next().expect("pauses never end");
            tokio::select! {
                biased;
                () = self.silence.cancelled() => return Err(Unanswered::Silenced),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}
