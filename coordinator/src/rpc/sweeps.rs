//! The service for people and their tools.

use std::pin::Pin;
use std::sync::Arc;

use descent_proto::convert::{InvalidField, digest};
use descent_proto::v1;
use descent_proto::v1::sweeps_server::Sweeps;
use descent_spec::id::{RequestId, SweepId};
use descent_spec::state::{SweepState, TrialState};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::{explain, query, submit, watch, workers};
use crate::service::Service;
use crate::store::{Rerun, Steer, SweepRow};

/// Answers people and their tools.
pub(crate) struct SweepsService(pub(crate) Arc<Service>);

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl SweepsService {
    async fn steer(
        &self,
        request_id: &[u8],
        name: String,
        steer: Steer,
    ) -> Result<v1::Sweep, Status> {
        let request = digest(request_id, "request_id", RequestId)?;
        let name = named(name)?;
        let span = tracing::info_span!("steer", sweep = name, ?steer);
        let row = self
            .0
            .answer(|store, now| async move { store.steer(request, &name, steer, now).await })
            .instrument(span)
            .await?;
        tracing::info!(sweep = row.name, state = %row.state, "steered");
        // Resumed: there may be points to expand and trials to hand out.
        self.0.expansion.notify_one();
        self.0.work.notify_one();
        Ok(wire(&row))
    }
}

#[tonic::async_trait]
impl Sweeps for SweepsService {
    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        Box::pin(submit::submit(&self.0, request.into_inner()))
            .await
            .map(Response::new)
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        let row = find(&self.0, named(request.into_inner().sweep)?).await?;
        Ok(Response::new(v1::GetResponse {
            sweep: Some(wire(&row)),
            source: row.source,
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let request = request.into_inner();
        let most = self.0.config.limits.page;
        let limit = match request.limit {
            0 => most,
            limit => limit.min(most),
        };
        let rows = self
            .0
            .answer(|store, _| async move { store.sweeps(SweepId(request.after), limit).await })
            .await?;
        Ok(Response::new(v1::ListResponse {
            sweeps: rows.iter().map(wire).collect(),
        }))
    }

    type WatchStream = Answers<v1::WatchResponse>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let stream = watch::watch(&self.0, named(request.into_inner().sweep)?).await?;
        Ok(Response::new(Box::pin(stream)))
    }

    async fn pause(
        &self,
        request: Request<v1::PauseRequest>,
    ) -> Result<Response<v1::PauseResponse>, Status> {
        let v1::PauseRequest { request_id, sweep } = request.into_inner();
        let sweep = Some(self.steer(&request_id, sweep, Steer::Pause).await?);
        Ok(Response::new(v1::PauseResponse { sweep }))
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeRequest>,
    ) -> Result<Response<v1::ResumeResponse>, Status> {
        let v1::ResumeRequest { request_id, sweep } = request.into_inner();
        let sweep = Some(self.steer(&request_id, sweep, Steer::Resume).await?);
        Ok(Response::new(v1::ResumeResponse { sweep }))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRequest>,
    ) -> Result<Response<v1::CancelResponse>, Status> {
        let v1::CancelRequest { request_id, sweep } = request.into_inner();
        let sweep = Some(self.steer(&request_id, sweep, Steer::Cancel).await?);
        Ok(Response::new(v1::CancelResponse { sweep }))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteRequest>,
    ) -> Result<Response<v1::DeleteResponse>, Status> {
        let request = request.into_inner();
        let id = digest(&request.request_id, "request_id", RequestId)?;
        let name = named(request.sweep)?;
        tracing::info!(sweep = name, "delete");
        self.0
            .answer(|store, now| async move { store.delete(id, &name, now).await })
            .await?;
        Ok(Response::new(v1::DeleteResponse {}))
    }

    async fn rerun(
        &self,
        request: Request<v1::RerunRequest>,
    ) -> Result<Response<v1::RerunResponse>, Status> {
        let request = request.into_inner();
        let id = digest(&request.request_id, "request_id", RequestId)?;
        let which = match request.which() {
            v1::RerunWhich::Unspecified => return Err(InvalidField::missing("which").into()),
            v1::RerunWhich::Failed => Rerun::Failed,
            v1::RerunWhich::Missing => Rerun::Missing,
        };
        let name = named(request.sweep)?;
        let lost = match which {
            Rerun::Missing => submit::points_without_trials(&self.0, id, &name).await?,
            Rerun::Failed => 0,
        };
        let trials = self
            .0
            .answer(|store, now| async move {
                let trials = lost + store.rerun(id, &name, which, now).await?;
                tracing::info!(sweep = name, ?which, trials, "rerun");
                Ok(trials)
            })
            .await?;
        self.0.expansion.notify_one();
        self.0.work.notify_one();
        Ok(Response::new(v1::RerunResponse { trials }))
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        let trial = request.into_inner().trial;
        if trial.is_empty() {
            return Err(InvalidField::missing("trial").into());
        }
        let (explanation, workers, now) = self
            .0
            .answer(|store, now| async move {
                let explanation = store.explain(&trial).await?;
                Ok((explanation, store.workers(now).await?, now))
            })
            .await?;
        let last = explanation.attempts.last().map(|row| row.attempt);
        let seen = last.and_then(|attempt| self.0.progress().seen(explanation.trial, attempt));
        Ok(Response::new(explain::answer(
            explanation,
            seen,
            &workers,
            now,
        )))
    }

    async fn workers(
        &self,
        _request: Request<v1::WorkersRequest>,
    ) -> Result<Response<v1::WorkersResponse>, Status> {
        workers::list(&self.0).await.map(Response::new)
    }

    async fn drain(
        &self,
        request: Request<v1::DrainRequest>,
    ) -> Result<Response<v1::DrainResponse>, Status> {
        workers::drain(&self.0, request.into_inner())
            .await
            .map(Response::new)
    }

    type QueryStream = Answers<v1::QueryResponse>;

    async fn query(
        &self,
        request: Request<v1::QueryRequest>,
    ) -> Result<Response<Self::QueryStream>, Status> {
        let stream = query::query(&self.0, request.into_inner()).await?;
        Ok(Response::new(Box::pin(stream)))
    }
}

/// A sweep's name that is there.
fn named(sweep: String) -> Result<String, InvalidField> {
    if sweep.is_empty() {
        return Err(InvalidField::missing("sweep"));
    }
    Ok(sweep)
}

/// The sweep of this name.
pub(super) async fn find(service: &Arc<Service>, name: String) -> Result<SweepRow, Status> {
    service
        .answer(|store, _| async move {
            let row = store.sweep(&name).await?;
            row.ok_or(crate::store::StoreError::NotFound {
                what: "sweep",
                name,
            })
        })
        .await
}

/// A sweep as users see it.
#[must_use]
pub fn wire(row: &SweepRow) -> v1::Sweep {
    let trials: u64 = row.counts.values().sum();
    let expanded = match row.state {
        SweepState::Running | SweepState::Finished => row.points,
        // A trial that two points share counts once: close enough on the way.
        SweepState::Expanding | SweepState::Paused | SweepState::Cancelled => {
            trials.min(row.points)
        }
    };
    v1::Sweep {
        id: row.id.0,
        name: row.name.clone(),
        experiment: row.experiment.clone(),
        state: v1::SweepState::from(row.state).into(),
        points: row.points,
        expanded,
        counts: row
            .counts
            .iter()
            .filter(|(_, trials)| **trials > 0)
            .map(|(&state, &trials)| count(state, trials))
            .collect(),
        created_at_ms: row.created_at.0,
        finished_at_ms: row.finished_at.map(|at| at.0),
        cost_total: row.cost_total,
        cost_done: row.cost_done,
        workers: row.workers,
        first_failure: row.first_failure.clone(),
        pause_reason: row.pause_reason.clone(),
    }
}

fn count(state: TrialState, trials: u64) -> v1::StateCount {
    v1::StateCount {
        state: v1::TrialState::from(state).into(),
        trials,
    }
}
