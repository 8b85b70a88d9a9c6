//! `Submit`: a sweep is checked whole, compared with what there is, and acknowledged as one row.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use descent_proto::convert::{InvalidField, Scoped as _, digest};
use descent_proto::v1;
use descent_spec::data::KnownData;
use descent_spec::id::RequestId;
use descent_spec::state::SweepState;
use descent_spec::sweep::{Mistakes, Sweep};
use tonic::Status;
use tracing::Instrument as _;

use crate::points::{self, Difference, Points};
use crate::service::Service;
use crate::store::{Axis, IfExists, NewSweep, StoreError, SweepRow};

/// Of more points of a new sweep not every trial is named before it is acknowledged, only to tell equal points: points are
/// told in place of trials. Naming a million takes seconds.
const NAMED_MOST: u64 = 200_000;

/// Answers of late, so that a repeated call counts as its first time did. The store remembers the submission itself.
#[derive(Default)]
pub(crate) struct Replies(Mutex<VecDeque<(RequestId, v1::SubmitResponse)>>);

impl Replies {
    /// Answers kept: a retry comes within seconds.
    const KEPT: usize = 256;

    fn find(&self, request: RequestId) -> Option<v1::SubmitResponse> {
        let replies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = replies.iter().find(|(id, _)| *id == request);
        found.map(|(_, reply)| reply.clone())
    }

    fn keep(&self, request: RequestId, reply: v1::SubmitResponse) {
        let mut replies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if replies.len() >= Self::KEPT {
            replies.pop_front();
        }
        replies.push_back((request, reply));
    }
}

/// A sweep file that was read and found right.
struct Read {
    name: String,
    experiment: &'static str,
    priority: i64,
    max_alike_failures: u32,
    axes: Vec<Axis>,
    source: String,
    data: String,
    points: Points,
    count: u64,
    cost: f64,
}

impl Read {
    /// As the store takes it.
    fn sweep(&self) -> NewSweep {
        NewSweep {
            name: self.name.clone(),
            experiment: self.experiment.to_owned(),
            source: self.source.clone(),
            data: self.data.clone(),
            points: self.count,
            cost_total: self.cost,
            priority: self.priority,
            max_alike_failures: self.max_alike_failures,
            axes: self.axes.clone(),
        }
    }
}

pub(super) async fn submit(
    service: &Arc<Service>,
    request: v1::SubmitRequest,
) -> Result<v1::SubmitResponse, Status> {
    let id = digest(&request.request_id, "request_id", RequestId)?;
    if let Some(reply) = service.submissions.find(id) {
        return Ok(reply);
    }
    let data = request
        .data
        .into_iter()
        .map(|(name, wire)| {
            let known = KnownData::try_from(wire).scope(&format!("data[{name:?}]"))?;
            Ok((name, known))
        })
        .collect::<Result<BTreeMap<_, _>, InvalidField>>()?;
    let (dry_run, allow_removal) = (request.dry_run, request.allow_removal);
    let file = request.file;
    let read = blocking(service, move || read(request.source, &data)).await?;
    let read = read.map_err(|mistakes| refuse(&file, &mistakes))?;
    let span = tracing::info_span!("submit", sweep = read.name);
    async {
        let name = read.name.clone();
        let existing = service
            .answer(|store, _| async move { store.sweep(&name).await })
            .await?;
        let reply = enter(service, id, read, existing, dry_run, allow_removal).await?;
        if !dry_run {
            service.submissions.keep(id, reply.clone());
        }
        Ok(reply)
    }
    .instrument(span)
    .await
}

/// Reads the file, checks every point, and sums them up.
fn read(source: String, data: &BTreeMap<String, KnownData>) -> Result<Read, Box<Mistakes>> {
    let sweep = Sweep::parse(&source)?;
    let points = Points::of(&sweep, data)?;
    let (count, cost) = points::totals(points.grid());
    Ok(Read {
        name: sweep.name().to_owned(),
        experiment: sweep.experiment().word(),
        priority: sweep.run().priority,
        max_alike_failures: sweep.run().max_alike_failures,
        axes: points::axes(&sweep),
        data: serde_json::to_string(data).expect("names and numbers are JSON"),
        source,
        points,
        count,
        cost,
    })
}

/// Compares with what there is, and stores the sweep unless nothing changes.
async fn enter(
    service: &Arc<Service>,
    request: RequestId,
    read: Read,
    existing: Option<SweepRow>,
    dry_run: bool,
    allow_removal: bool,
) -> Result<v1::SubmitResponse, Status> {
    if let Some(row) = &existing
        && row.source == read.source
        && row.data == read.data
    {
        return Ok(v1::SubmitResponse {
            sweep: row.id.0,
            name: read.name,
            added: 0,
            kept: read.count,
            removed: 0,
        });
    }
    let id = existing.as_ref().map_or(0, |row| row.id.0);
    let edition = existing.as_ref().map(|row| row.edition);
    let (difference, read) = if edition.is_none() && read.count > NAMED_MOST {
        let added = read.count;
        (
            Difference {
                added,
                ..Difference::default()
            },
            read,
        )
    } else {
        blocking(service, move || {
            let old = existing.and_then(|row| Points::stored(&row.source, &row.data).ok());
            let old = old.as_ref().map(Points::grid);
            (Difference::between(old, read.points.grid()), read)
        })
        .await?
    };
    let reply = |sweep| v1::SubmitResponse {
        sweep,
        name: read.name.clone(),
        added: difference.added,
        kept: difference.kept,
        removed: difference.removed,
    };
    if dry_run {
        return Ok(reply(id));
    }
    if difference.removed > 0 && !allow_removal {
        return Err(Status::failed_precondition(format!(
            "sweep `{}` would lose {} of its trials ({} kept, {} added): allow removal (--yes), or give the edited sweep \
             another name",
            read.name, difference.removed, difference.kept, difference.added
        )));
    }
    let new = read.sweep();
    // Should somebody else have been faster, theirs is not replaced unseen.
    let exists = match edition {
        Some(seen) => IfExists::ReplaceEdition(seen),
        None => IfExists::Refuse,
    };
    let id = service
        .answer(|store, now| async move {
            match store.submit(request, &new, exists, now).await {
                Err(conflict @ StoreError::Conflict(_)) => {
                    // A repeated call whose answer this process does not remember, or a race that the other one won with
                    // the same text: the row tells.
                    let row = store.sweep(&new.name).await?;
                    match row {
                        Some(row) if row.source == new.source && row.data == new.data => Ok(row.id),
                        _ => Err(conflict),
                    }
                }
                answer => answer,
            }
        })
        .await?;
    tracing::info!(
        points = read.count,
        added = difference.added,
        kept = difference.kept,
        removed = difference.removed,
        "acknowledged"
    );
    service.expansion.notify_one();
    Ok(reply(id.0))
}

/// Points of a sweep that have no trial though all of them were expanded: none, unless rows were lost. Where there are some, the
/// sweep is expanded anew, which makes them and leaves the others as they are. Answers how many.
pub(super) async fn points_without_trials(
    service: &Arc<Service>,
    request: RequestId,
    name: &str,
) -> Result<u64, Status> {
    let row = super::sweeps::find(service, name.to_owned()).await?;
    if !matches!(row.state, SweepState::Running | SweepState::Finished) {
        return Ok(0);
    }
    let (source, data) = (row.source.clone(), row.data.clone());
    let read = blocking(service, move || {
        let data: BTreeMap<String, KnownData> = serde_json::from_str(&data).unwrap_or_default();
        let read = read(source, &data).ok()?;
        let points = Difference::between(None, read.points.grid()).added;
        Some((read, points))
    })
    .await?;
    let Some((read, points)) = read else {
        return Ok(0);
    };
    let lost = points.saturating_sub(row.counts.values().sum());
    if lost > 0 {
        tracing::warn!(
            sweep = name,
            points = lost,
            "points without a trial: the sweep is expanded anew"
        );
        let new = read.sweep();
        // Not the caller's own, which names the other half of the call.
        let request = RequestId(request.0.map(|byte| !byte));
        let exists = IfExists::ReplaceEdition(row.edition);
        service
            .answer(|store, now| async move { store.submit(request, &new, exists, now).await })
            .await?;
    }
    Ok(lost)
}

/// Every mistake at once, as the file's reader would want to see it.
fn refuse(file: &str, mistakes: &Mistakes) -> Status {
    let file = if file.is_empty() {
        "the sweep file"
    } else {
        file
    };
    InvalidField::new("source", format!("{file} has mistakes:\n{mistakes}")).into()
}

/// Enumerates off the runtime's threads: a million points take a second.
async fn blocking<T: Send + 'static>(
    service: &Service,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    let done = service.compute(work).await;
    done.ok_or_else(|| Status::internal("reading the sweep panicked"))
}
