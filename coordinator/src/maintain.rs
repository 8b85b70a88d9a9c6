//! The round that looks after everything: expires silent sessions, promotes delayed trials, finishes sweeps, collects files.
//!
//! Of several coordinators one is elected for it, by a row in the database and the database's clock. Every write of it is
//! guarded by itself, so that two who think they were elected, or one that was paused in the middle, do no harm.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use descent_spec::id::Timestamp;
use tokio::time::{Instant, MissedTickBehavior};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::artifacts::ArtifactError;
use crate::core::lease::stalled;
use crate::rpc::status;
use crate::service::{Service, millis};
use crate::store::{Maintained, StoreError};

/// Runs rounds until the shutdown begins. Health follows them: a coordinator that cannot write does not serve.
pub(crate) async fn run(service: Arc<Service>, health: HealthReporter) {
    let timing = service.config.timing;
    let mut ticks = tokio::time::interval(timing.maintain);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_round = None;
    let mut collected = Instant::now();
    let mut term = None;
    loop {
        tokio::select! {
            biased;
            _ = ticks.tick() => {}
            () = service.draining.cancelled() => break,
        }
        let done = match elect(&service, &mut term).await {
            Ok(true) => {
                let now = service.now();
                round(&service, last_round.replace(now)).await
            }
            Ok(false) => {
                last_round = None;
                Ok(Maintained::default())
            }
            Err(error) => Err(error),
        };
        if service.draining.is_cancelled() {
            break;
        }
        let serving = match done {
            Ok(done) => {
                if done.trials_suspected > 0 {
                    tracing::warn!(
                        sessions = done.sessions_expired,
                        trials = done.trials_suspected,
                        "workers fell silent; others may take their trials"
                    );
                }
                if done.sweeps_finished > 0 {
                    tracing::info!(sweeps = done.sweeps_finished, "finished");
                }
                if done.trials_suspected + done.trials_promoted > 0 {
                    service.work.notify_one();
                }
                ServingStatus::Serving
            }
            Err(error) => {
                // Said once, there; the next round tries again.
                drop(status::of_store(&error));
                last_round = None;
                ServingStatus::NotServing
            }
        };
        health.set_service_status("", serving).await;
        if service.leads() && serving == ServingStatus::Serving {
            bury(&service).await;
        }
        if service.leads() && collected.elapsed() >= timing.collect {
            collected = Instant::now();
            collect(&service).await;
        }
    }
    if term.is_some() {
        let me = service.name.clone();
        let resigned = service.call(|store, _| async move { store.resign(&me).await });
        if let Err(error) = resigned.await {
            tracing::debug!(%error, "could not resign: the next leader waits for the end of this one's time");
        }
    }
}

/// Sets the clock and stands for election. Answers whether the upkeep is this coordinator's.
async fn elect(service: &Service, term: &mut Option<i64>) -> Result<bool, StoreError> {
    service.clock.set(service.store.as_ref()).await?;
    // Whoever leads, every coordinator tells its own workers.
    service.renew_orders().await?;
    service.progress().tidy(service.now());
    let (me, ms) = (service.name.clone(), millis(service.config.timing.lead));
    let elected = service
        .call(|store, _| async move { store.lead(&me, ms).await })
        .await;
    if !matches!(elected, Ok(Some(_))) {
        service.leading.store(false, Ordering::Relaxed);
    }
    let elected = elected?;
    if elected.is_some() && !service.leading.swap(true, Ordering::Relaxed) {
        service.expansion.notify_one();
    }
    match (*term, elected) {
        (None, Some(0)) => {}
        (None, Some(now)) => tracing::info!(term = now, "elected: the queue's upkeep is done here"),
        (Some(_), None) => tracing::info!("another coordinator does the queue's upkeep now"),
        _ => {}
    }
    *term = elected;
    Ok(service.leads())
}

/// One round. After a start, a failed round or a stall nobody is expired for what was not their fault: every session gets
/// a full lease first.
async fn round(service: &Service, last: Option<Timestamp>) -> Result<Maintained, StoreError> {
    let lease_until = service.lease_until();
    let timing = service.config.timing;
    let grace = stalled(last, service.now(), timing.maintain, timing.lease);
    service
        .call(|store, now| async move {
            if grace {
                store.grant_grace(lease_until).await?;
            }
            store.maintain(now).await
        })
        .await
}

/// Removes what deleted sweeps left, a slice at a time, so that nobody waits long in between.
async fn bury(service: &Service) {
    /// About 10 ms of work.
    const SLICE: u32 = 200;
    /// The next round goes on.
    const LONGEST: Duration = Duration::from_secs(1);
    let begun = Instant::now();
    while begun.elapsed() < LONGEST && !service.draining.is_cancelled() {
        let buried = service
            .call(|store, _| async move { store.bury(SLICE).await })
            .await;
        match buried {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                drop(status::of_store(&error)); // says it
                return;
            }
        }
    }
}

/// Removes files that nothing refers to.
async fn collect(service: &Service) {
    let older_than = service
        .now()
        .plus_ms(-millis(service.config.timing.collect_older_than));
    let in_use = async {
        let in_use = service.call(|store, _| async move { store.artifacts_in_use().await });
        in_use.await.map_err(|error| Collect(error.to_string()))
    };
    match service.artifacts.collect(older_than, in_use).await {
        Ok(0) => {}
        Ok(files) => tracing::info!(files, "removed artifacts that nothing refers to"),
        Err(Collect(error)) => tracing::warn!(error, "could not collect artifacts"),
    }
}

/// Why a collection stopped.
struct Collect(String);

impl From<ArtifactError> for Collect {
    fn from(error: ArtifactError) -> Self {
        Self(error.to_string())
    }
}
