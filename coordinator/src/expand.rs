//! Points become trials in the background, slice by slice, so that workers start on the first slice of a million points.
//!
//! All that is needed is stored: the sweep's text, what is known of its data, and how far it is. A slice moves the cursor in the
//! transaction that inserts its trials, so a restart goes on exactly where the last one ended, and doing it twice is harmless:
//! a slice of an edition that was replaced, or of a cursor that has moved, changes nothing.
//!
//! Of several coordinators the leader does it, so that they don't enumerate the same points; another one makes the first slice of
//! what it took in itself, so that workers need not wait for the leader to look.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use descent_spec::id::{ContentHash, SweepId};

use crate::points::Points;
use crate::rpc::status;
use crate::service::Service;
use crate::store::{StoreError, SweepRow};

/// How often to look for sweeps even when nobody said that there are any: another coordinator may have taken them in.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long to wait after the store refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// A sweep's points under the hash of what they were read from; `None` when that cannot be read.
type Known = HashMap<SweepId, (ContentHash, Option<Arc<Points>>)>;

/// Expands sweeps until the shutdown begins.
pub(crate) async fn run(service: Arc<Service>) {
    let mut known = Known::new();
    let mut asked = false;
    while !service.draining.is_cancelled() {
        let wait = match service.leads() || asked {
            true => match round(&service, &mut known).await {
                Ok(true) if service.leads() => continue,
                Ok(_) => LOOK_AGAIN,
                Err(error) => {
                    drop(status::of_store(&error)); // says it
                    AFTER_REFUSAL
                }
            },
            false => LOOK_AGAIN,
        };
        asked = tokio::select! {
            biased;
            () = service.expansion.notified() => true,
            () = tokio::time::sleep(wait) => false,
            () = service.draining.cancelled() => false,
        };
    }
}

/// One slice of every sweep that waits for one, so that a small sweep does not wait for a large one. Whether there was any.
async fn round(service: &Arc<Service>, known: &mut Known) -> Result<bool, StoreError> {
    let rows = service
        .call(|store, _| async move { store.expanding().await })
        .await?;
    known.retain(|id, _| rows.iter().any(|row| row.id == *id));
    let mut any = false;
    for row in rows {
        if service.draining.is_cancelled() {
            return Ok(false);
        }
        let Some(points) = points(service, known, &row).await else {
            continue;
        };
        let id = row.id;
        match slice(service, points, row).await? {
            Sliced::Done => any = true,
            Sliced::Refused => {
                if let Some((_, points)) = known.get_mut(&id) {
                    *points = None;
                }
            }
        }
    }
    Ok(any)
}

/// The points of a stored sweep. One that cannot be read is left as it is and complained about once, not in a loop.
async fn points(service: &Service, known: &mut Known, row: &SweepRow) -> Option<Arc<Points>> {
    let hash = ContentHash::of(format!("{}\0{}", row.source, row.data).as_bytes());
    if let Some((of, points)) = known.get(&row.id)
        && *of == hash
    {
        return points.clone();
    }
    let (source, data) = (row.source.clone(), row.data.clone());
    let read = service
        .compute(move || Points::stored(&source, &data))
        .await;
    let points = match read {
        Some(Ok(points)) => Some(Arc::new(points)),
        Some(Err(error)) => {
            tracing::error!(sweep = row.name, %error, "cannot expand the sweep: submit it again, or delete it");
            None
        }
        None => {
            tracing::error!(
                sweep = row.name,
                "reading the sweep panicked: it is not expanded"
            );
            None
        }
    };
    known.insert(row.id, (hash, points.clone()));
    points
}

/// What became of a slice.
enum Sliced {
    /// Its trials are there, or it was overtaken: the next round sees.
    Done,
    /// The store does not take it, and will not take it the next time.
    Refused,
}

/// Makes the next slice of a sweep's points trials.
async fn slice(
    service: &Arc<Service>,
    points: Arc<Points>,
    row: SweepRow,
) -> Result<Sliced, StoreError> {
    let size = service.config.limits.slice;
    let sweep = row.name.clone();
    let slice = service.compute(move || points.slice(&row, size)).await;
    let slice = slice.ok_or_else(|| StoreError::Database("enumeration panicked".to_owned()))?;
    let (trials, last) = (slice.trials.len(), slice.last);
    let done = service
        .call(|store, now| async move {
            if slice.last {
                // Of an edited sweep: what the new file does not have. Before the cursor is closed, so that a crash in
                // between does it again.
                store.drop_absent(slice.sweep, slice.edition, now).await?;
            }
            store.expand(&slice, now).await
        })
        .await;
    match done {
        Ok(()) => {
            tracing::debug!(sweep, trials, "expanded a slice");
            if last {
                tracing::info!(sweep, "expanded");
            }
            service.work.notify_one();
            Ok(Sliced::Done)
        }
        // Deleted meanwhile: the next round does not see it.
        Err(StoreError::NotFound { .. }) => Ok(Sliced::Done),
        Err(StoreError::Conflict(reason)) => {
            tracing::error!(
                sweep,
                reason,
                "cannot expand the sweep: submit it again, or delete it"
            );
            Ok(Sliced::Refused)
        }
        Err(error) => Err(error),
    }
}
