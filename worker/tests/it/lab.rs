//! A worker with everything around it under the test's control.

use std::sync::Arc;
use std::time::Duration;

use descent_spec::id::{AttemptNumber, Identity, PackKey, TrialId};
use descent_spec::lease::Claimed;
use descent_worker::clock::ManualClock;
use descent_worker::link::Link;
use descent_worker::random::SeededRandom;
use descent_worker::stage::Threads;
use descent_worker::trainer::Trainer;
use descent_worker::{Config, Report, RunError, Shutdown, World};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::coordinator::Coordinator;
use crate::script::{Actor, DATA, Script, weights_after};

pub(crate) struct Lab {
    pub(crate) coordinator: Arc<Coordinator>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) script: Arc<Script>,
    pub(crate) config: Config,
}

/// A worker at work.
pub(crate) struct Worker {
    pub(crate) shutdown: Shutdown,
    task: JoinHandle<Result<Report, RunError>>,
}

impl Worker {
    /// Waits for its end.
    pub(crate) async fn end(self) -> Result<Report, RunError> {
        let patience = Duration::from_secs(20);
        let ended = tokio::time::timeout(patience, self.task).await;
        ended.expect("the worker ends").expect("it does not panic")
    }

    /// Tells it to drain and waits for its end.
    pub(crate) async fn drain(self) -> Report {
        self.shutdown.drain();
        self.end().await.expect("nothing fatal happened")
    }
}

impl Lab {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let mut config = Config::new("worker-1".to_owned(), "0.1.0".to_owned());
        config.slice = Duration::from_millis(10);
        config.lease_wait = Duration::from_millis(200);
        config.metrics_interval = Duration::from_millis(1);
        config.pause = (Duration::from_millis(1), Duration::from_millis(4));
        Self {
            coordinator: Arc::new(Coordinator::new()),
            script: Arc::new(Script::new(Arc::clone(&clock))),
            clock,
            config,
        }
    }

    /// Trial `id` with seed `id` and so many epochs.
    pub(crate) fn trial(id: i64, epochs: u32) -> Claimed {
        Claimed {
            trial: TrialId(id),
            attempt: AttemptNumber(0),
            identity: Identity([1; 16]),
            pack_key: PackKey([1; 16]),
            data: DATA,
            params: format!(
                r#"{{"data.dataset":"mnist-4k","model.width":{},"seed":{id},"train.epochs":{epochs},"train.optimizer.lr":0.1}}"#,
                10 * id
            ),
            checkpoint: None,
            parent_weights: None,
            time_limit_ms: 0,
            checkpoint_ms: 0,
            checkpoint_epochs: 0,
            keep_weights: true,
            sweep: "curve".to_owned(),
        }
    }

    /// Adds trials 1 to `n`.
    pub(crate) fn add(&self, n: i64, epochs: u32) {
        for id in 1..=n {
            self.coordinator.add(Self::trial(id, epochs));
        }
    }

    pub(crate) fn start(&self) -> Worker {
        self.start_as(1)
    }

    /// Another life of the same worker, or another worker.
    pub(crate) fn start_as(&self, seed: u64) -> Worker {
        self.start_with(seed, Arc::new(Actor(Arc::clone(&self.script))))
    }

    /// The same with another trainer.
    pub(crate) fn start_with(&self, seed: u64, trainer: Arc<dyn Trainer>) -> Worker {
        self.start_over(seed, trainer, self.coordinator.clone())
    }

    /// The same with several devices.
    pub(crate) fn start_on(&self, seed: u64, trainers: Vec<Arc<dyn Trainer>>) -> Worker {
        self.start_world(seed, trainers, self.coordinator.clone())
    }

    /// The same over another link.
    pub(crate) fn start_over(
        &self,
        seed: u64,
        trainer: Arc<dyn Trainer>,
        link: Arc<dyn Link>,
    ) -> Worker {
        self.start_world(seed, vec![trainer], link)
    }

    fn start_world(
        &self,
        seed: u64,
        trainers: Vec<Arc<dyn Trainer>>,
        link: Arc<dyn Link>,
    ) -> Worker {
        let shutdown = Shutdown::new();
        let world = World {
            link,
            trainers,
            stage: Arc::new(Threads::default()),
            clock: self.clock.clone(),
            random: Arc::new(SeededRandom::new(seed)),
            activity: watch::Sender::new(Vec::new()),
        };
        let running = descent_worker::run(self.config.clone(), world, shutdown.clone());
        let task = tokio::spawn(running);
        Worker { shutdown, task }
    }

    /// The trial ended as it would have undisturbed: same weights, every epoch measured once over all attempts.
    pub(crate) fn assert_undisturbed(&self, id: i64, epochs: u32) {
        let measured = self.assert_same_end(id, epochs);
        assert_eq!(measured, (1..=epochs).collect::<Vec<_>>(), "trial {id}");
    }

    /// The trial ended with the weights of an undisturbed one. Answers its measured epochs, attempt after attempt.
    pub(crate) fn assert_same_end(&self, id: i64, epochs: u32) -> Vec<u32> {
        let state = self.coordinator.look();
        let trial = state.trial(id);
        let weights = weights_after(u64::try_from(id).unwrap(), b"", epochs);
        let result = trial.result.as_ref().expect("a result");
        assert_eq!(
            result.weights,
            Some(descent_spec::id::ContentHash::of(&weights))
        );
        assert_eq!(state.artifacts[&result.weights.unwrap()], weights);
        trial.chunks.keys().flat_map(|a| trial.epochs(*a)).collect()
    }
}

/// Waits until something outside the coordinator holds; looks again at every turn of the runtime.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let patience = Duration::from_secs(20);
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(patience, waiting).await;
    waited.unwrap_or_else(|_| panic!("in vain: {what}"));
}
