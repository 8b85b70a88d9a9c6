//! An attempt that ends badly: what follows for its trial, its sweeps and its worker.

use std::sync::Arc;

use descent_spec::id::{SessionId, TrialId};
use descent_spec::lease::Fence;
use descent_spec::outcome::{Failure, FailureKind};
use descent_spec::state::TrialState;
use tonic::Status;

use crate::core::conduct::{Quarantine, Strike};
use crate::core::retry::{self, Retry, RetryPolicy};
use crate::service::Service;
use crate::store::{AfterFailure, Lost, Pardon, StoreError};

/// Ends an attempt with a failure. `None`: the fence does not hold.
pub(super) async fn fail(
    service: &Arc<Service>,
    fence: Fence,
    failure: Failure,
) -> Result<Option<TrialState>, Status> {
    let pardoned = service.orders().quarantined.contains_key(&fence.session);
    let pack_key = service.progress().pack_key(fence);
    let kind = failure.kind;
    let state = service
        .answer(|store, now| async move {
            tracing::warn!(kind = %failure.kind, message = failure.message, "attempt failed");
            let after = match store.budget(fence).await? {
                Some(_) if pardoned => AfterFailure::Pardon,
                Some((failures, max_failures)) => {
                    let policy = RetryPolicy {
                        max_failures,
                        ..RetryPolicy::default()
                    };
                    let uniform = jitter(fence);
                    match retry::after_failure(failure.kind, failures, &policy, uniform, now) {
                        Retry::At(at) => AfterFailure::Retry { at },
                        Retry::GiveUp => AfterFailure::GiveUp,
                    }
                }
                // Not the current attempt: the store answers a repeated call, or that the fence does not hold.
                None => AfterFailure::GiveUp,
            };
            store.fail(fence, &failure, after, now).await
        })
        .await?;
    // A description that cannot be trained, or a limit that is too low, says nothing about the worker.
    let telling = !matches!(kind, FailureKind::BadSpec | FailureKind::TimeLimit);
    if state.is_some() && telling && !pardoned {
        let strike = Strike {
            trial: fence.trial,
            pack_key,
            session: fence.session,
            lost: false,
            at: service.now(),
        };
        if let Some(worker) = worker(service, fence.session).await {
            struck(service, &worker, strike).await;
        }
    }
    Ok(state)
}

/// Attempts were lost with their workers.
pub(super) async fn lost(service: &Arc<Service>, lost: &[Lost]) {
    for one in lost {
        if one.poisoned {
            tracing::error!(trial = %one.trial, worker = one.worker, "poisoned: it took down too many workers");
        }
        let strike = Strike {
            trial: one.trial,
            pack_key: pack_key(service, one.trial).await,
            session: one.session,
            lost: true,
            at: service.now(),
        };
        struck(service, &one.worker, strike).await;
    }
}

/// An attempt ended well after all: whatever its worker failed at before.
pub(super) fn recovered(service: &Service, fence: Fence) {
    let pack_key = service.progress().pack_key(fence);
    let mut conduct = service.conduct();
    if let Some(worker) = conduct.name(fence.session) {
        conduct.succeeded(&worker, pack_key, service.now());
    }
}

/// Counts a strike, and keeps the worker from trials where it is one too many.
async fn struck(service: &Arc<Service>, worker: &str, strike: Strike) {
    let Some(Quarantine {
        until,
        reason,
        failed,
        lost,
    }) = service.conduct().struck(worker, strike)
    else {
        return;
    };
    tracing::error!(
        worker,
        reason,
        minutes = (until.0 - strike.at.0) / 60_000,
        "the worker is quarantined; its trials are not charged. Look at it, then stop and start it"
    );
    let (worker, pardon) = (worker.to_owned(), Pardon { failed, lost });
    let kept_away = service
        .call(|store, now| async move {
            store
                .quarantine(&worker, until, &reason, &pardon, now)
                .await
        })
        .await;
    if let Err(error) = kept_away.and(service.renew_orders().await) {
        tracing::warn!(%error, "could not quarantine the worker");
    }
    service.work.notify_one();
}

/// The name of a session's worker. One that joined another coordinator, or this one's earlier life, is looked up.
async fn worker(service: &Arc<Service>, session: SessionId) -> Option<String> {
    let known = service.conduct().name(session);
    if known.is_some() {
        return known;
    }
    let found: Result<_, StoreError> = service
        .call(|store, now| async move { store.workers(now).await })
        .await;
    let mut conduct = service.conduct();
    for row in found.unwrap_or_default() {
        conduct.met(row.session, &row.worker);
    }
    conduct.name(session)
}

/// Which others a trial is like.
async fn pack_key(service: &Arc<Service>, trial: TrialId) -> Option<descent_spec::id::PackKey> {
    let found: Result<_, StoreError> = service
        .call(|store, _| async move { store.limits(&[trial]).await })
        .await;
    found.ok()?.first().map(|limits| limits.pack_key)
}

/// A number in [0, 1) for the back-off of this attempt: spread over attempts, the same in every repetition.
fn jitter(fence: Fence) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&fence.session.0);
    hasher.update(&fence.trial.0.to_le_bytes());
    hasher.update(&fence.attempt.0.to_le_bytes());
    let mut bytes = [0; 4];
    hasher.finalize_xof().fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
