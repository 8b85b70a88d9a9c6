//! `Lease`: a call that waits for work.

use std::sync::Arc;
use std::time::Duration;

use descent_proto::convert::{digest, digests, positive};
use descent_proto::v1;
use descent_spec::data::KnownData;
use descent_spec::id::{ContentHash, PackKey, RequestId, SessionId, SweepId};
use descent_spec::lease::Fence;
use tokio::time::Instant;
use tonic::Status;
use tracing::Instrument as _;

use super::setback;
use crate::service::Service;
use crate::store::{Ask, StoreError};

/// Answers as soon as there is work that fits, or with nothing at the end of the wait.
pub(super) async fn lease(
    service: &Arc<Service>,
    request: v1::LeaseRequest,
) -> Result<v1::LeaseResponse, Status> {
    let session = digest(&request.session, "session", SessionId)?;
    let limits = &service.config.limits;
    let ask = Ask {
        session,
        request: digest(&request.request_id, "request_id", RequestId)?,
        max_trials: positive(request.max_trials, "max_trials")?.min(limits.trials_per_claim),
        memory: request.memory_bytes,
        data: digests(&request.data, "data", ContentHash)?,
        samples: digests(&request.samples, "samples", PackKey)?,
    };
    let wait = Duration::from_millis(u64::from(request.wait_ms));
    let span = tracing::info_span!("lease", %session, worker = tracing::field::Empty);
    wait_for_work(service, ask, wait.min(service.config.timing.longest_wait))
        .instrument(span)
        .await
}

async fn wait_for_work(
    service: &Arc<Service>,
    ask: Ask,
    wait: Duration,
) -> Result<v1::LeaseResponse, Status> {
    let _place = service.parking.try_acquire().map_err(|_| {
        Status::resource_exhausted("too many workers wait for work: ask again in a moment")
    })?;
    let deadline = Instant::now() + wait;
    loop {
        if service.draining.is_cancelled() {
            return Err(Service::stopping());
        }
        // Listening begins before looking, so that work that appears in between is not missed.
        let woken = service.work.notified();
        let asking = ask.clone();
        let claim = service
            .answer(|store, now| async move { store.claim(&asking, now).await })
            .await?;
        if !claim.lost.is_empty() {
            setback::lost(service, &claim.lost).await;
        }
        if !claim.claimed.is_empty() {
            let now = service.now();
            for claimed in &claim.claimed {
                let fence = Fence {
                    session: ask.session,
                    trial: claimed.trial,
                    attempt: claimed.attempt,
                };
                service.progress().granted(fence, claimed.pack_key, now);
            }
            // There may be more for the next in line.
            service.work.notify_one();
            tracing::debug!(trials = claim.claimed.len(), "leased");
            return Ok(v1::LeaseResponse {
                grants: claim.claimed.into_iter().map(Into::into).collect(),
                missing_data: Vec::new(),
                quarantine: String::new(),
            });
        }
        let now = Instant::now();
        if now >= deadline {
            return Ok(v1::LeaseResponse {
                grants: Vec::new(),
                missing_data: names(service, &claim.missing_data).await?,
                quarantine: quarantine(service, ask.session),
            });
        }
        let look_again = (now + service.config.timing.look_again).min(deadline);
        tokio::select! {
            biased;
            () = woken => {}
            () = tokio::time::sleep_until(look_again) => {}
            () = service.draining.cancelled() => {}
        }
    }
}

/// Why the session gets nothing, if it is quarantined.
fn quarantine(service: &Service, session: SessionId) -> String {
    let orders = service.orders();
    orders
        .quarantined
        .get(&session)
        .cloned()
        .unwrap_or_default()
}

/// Names of data sets for people: as in the sweep files that want them, with the hash behind.
async fn names(service: &Arc<Service>, missing: &[ContentHash]) -> Result<Vec<String>, Status> {
    const PAGE: u32 = 100;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let missing = missing.to_vec();
    service
        .answer(|store, _| async move {
            let mut names = std::collections::BTreeMap::new();
            let mut after = SweepId(0);
            loop {
                let page = store.sweeps(after, PAGE).await?;
                for row in &page {
                    for (name, data) in known_data(&row.data) {
                        names.insert(data.hash, name);
                    }
                }
                match page.last() {
                    Some(row) if page.len() == PAGE as usize => after = row.id,
                    _ => break,
                }
            }
            Ok::<_, StoreError>(
                missing
                    .iter()
                    .map(|hash| match names.get(hash) {
                        Some(name) => format!("{name} ({hash})"),
                        None => hash.to_string(),
                    })
                    .collect(),
            )
        })
        .await
}

/// What a sweep's submitter found under the names of its data sets; nothing when the text cannot be read.
pub(crate) fn known_data(json: &str) -> std::collections::BTreeMap<String, KnownData> {
    serde_json::from_str(json).unwrap_or_default()
}
