//! The service for workers.

use std::sync::Arc;

use descent_proto::convert::{InvalidField, Scoped as _, digest, digests, positive, required};
use descent_proto::reason::Reason;
use descent_proto::v1;
use descent_proto::v1::work_server::Work;
use descent_spec::id::{ContentHash, SessionId};
use descent_spec::lease::{Fence, Held, Verdict};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;

use super::{beat, lease, setback, status, upload};
use crate::service::Service;
use crate::store::NewSession;

/// Answers workers.
pub(crate) struct WorkService(pub(crate) Arc<Service>);

#[tonic::async_trait]
impl Work for WorkService {
    async fn open_session(
        &self,
        request: Request<v1::OpenSessionRequest>,
    ) -> Result<Response<v1::OpenSessionResponse>, Status> {
        let request = request.into_inner();
        let id = digest(&request.session, "session", SessionId)?;
        let span = tracing::info_span!("open_session", session = %id, worker = request.worker);
        async {
            check_versions(request.protocol, request.numerics, &self.0.config.version)?;
            if request.worker.is_empty() {
                return Err(InvalidField::missing("worker").into());
            }
            let slots = positive(request.slots, "slots")?;
            let session = NewSession {
                id,
                worker: request.worker,
                version: request.version,
                device: request.device,
                instruction_set: request.instruction_set,
                slots,
                memory: request.memory_bytes,
                data: digests(&request.data, "data", ContentHash)?,
                lease_until: self.0.lease_until(),
            };
            tracing::info!(
                device = session.device,
                instruction_set = session.instruction_set,
                slots,
                version = session.version,
                "worker joins"
            );
            let worker = session.worker.clone();
            self.0
                .answer(|store, now| async move { store.open_session(&session, now).await })
                .await?;
            self.0.conduct().met(id, &worker);
            let timing = &self.0.config.timing;
            Ok(Response::new(v1::OpenSessionResponse {
                heartbeat_ms: wire_ms(timing.heartbeat),
                lease_ms: wire_ms(timing.lease),
                coordinator: self.0.config.version.clone(),
            }))
        }
        .instrument(span)
        .await
    }

    async fn lease(
        &self,
        request: Request<v1::LeaseRequest>,
    ) -> Result<Response<v1::LeaseResponse>, Status> {
        lease::lease(&self.0, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let request = request.into_inner();
        let session = digest(&request.session, "session", SessionId)?;
        // The beat counts before anything else is looked at: a live worker with one bad entry is still alive.
        let (held, invalid) = partition(request.held);
        let span = tracing::debug_span!("heartbeat", %session, held = held.len());
        let (directive, trials) = beat::beat(&self.0, session, held).instrument(span).await?;
        if let Some(invalid) = invalid {
            return Err(invalid.into());
        }
        Ok(Response::new(v1::HeartbeatResponse {
            lease_ms: wire_ms(self.0.config.timing.lease),
            trials: trials.into_iter().map(Into::into).collect(),
            session: v1::SessionDirective::from(directive).into(),
        }))
    }

    async fn append_metrics(
        &self,
        request: Request<v1::AppendMetricsRequest>,
    ) -> Result<Response<v1::AppendMetricsResponse>, Status> {
        let request = request.into_inner();
        let fence: Fence = required(request.fence, "fence")?;
        let seq = positive(request.seq, "seq")?;
        let measurements = request
            .measurements
            .into_iter()
            .enumerate()
            .map(|(i, wire)| Measurement::try_from(wire).scope(&format!("measurements[{i}]")))
            .collect::<Result<Vec<_>, _>>()?;
        let (verdict, last_seq) = self
            .0
            .answer(|store, now| async move {
                store.append_metrics(fence, seq, &measurements, now).await
            })
            .instrument(attempt_span("append_metrics", fence))
            .await?;
        accepted(verdict)?;
        Ok(Response::new(v1::AppendMetricsResponse { last_seq }))
    }

    async fn commit_artifact(
        &self,
        request: Request<Streaming<v1::CommitArtifactRequest>>,
    ) -> Result<Response<v1::CommitArtifactResponse>, Status> {
        let verdict = upload::receive(&self.0, request.into_inner()).await?;
        accepted(verdict)?;
        Ok(Response::new(v1::CommitArtifactResponse {}))
    }

    type ReadArtifactStream = ReceiverStream<Result<v1::ReadArtifactResponse, Status>>;

    async fn read_artifact(
        &self,
        request: Request<v1::ReadArtifactRequest>,
    ) -> Result<Response<Self::ReadArtifactStream>, Status> {
        let hash = digest(&request.into_inner().hash, "hash", ContentHash)?;
        upload::send(&self.0, hash).await.map(Response::new)
    }

    async fn complete(
        &self,
        request: Request<v1::CompleteRequest>,
    ) -> Result<Response<v1::CompleteResponse>, Status> {
        let completions = request
            .into_inner()
            .completions
            .into_iter()
            .enumerate()
            .map(|(i, wire)| {
                <(Fence, TrialResult)>::try_from(wire).scope(&format!("completions[{i}]"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let fences: Vec<Fence> = completions.iter().map(|(fence, _)| *fence).collect();
        let span = tracing::info_span!("complete", trials = fences.len());
        let verdicts = self
            .0
            .answer(|store, now| async move { store.complete(&completions, now).await })
            .instrument(span)
            .await?;
        for (fence, verdict) in std::iter::zip(&fences, &verdicts) {
            tracing::debug!(trial = %fence.trial, attempt = %fence.attempt, session = %fence.session, ?verdict, "completed");
            if *verdict == Verdict::Accepted {
                setback::recovered(&self.0, *fence);
            }
        }
        // Dependants may have become ready.
        self.0.work.notify_one();
        Ok(Response::new(v1::CompleteResponse {
            verdicts: wire_verdicts(&verdicts),
        }))
    }

    async fn fail(
        &self,
        request: Request<v1::FailRequest>,
    ) -> Result<Response<v1::FailResponse>, Status> {
        let request = request.into_inner();
        let fence: Fence = required(request.fence, "fence")?;
        let failure: Failure = required(request.failure, "failure")?;
        let state = setback::fail(&self.0, fence, failure)
            .instrument(attempt_span("fail", fence))
            .await?
            .ok_or_else(status::fenced)?;
        Ok(Response::new(v1::FailResponse {
            state: v1::TrialState::from(state).into(),
        }))
    }

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        let fences = request
            .into_inner()
            .fences
            .into_iter()
            .enumerate()
            .map(|(i, wire)| Fence::try_from(wire).scope(&format!("fences[{i}]")))
            .collect::<Result<Vec<_>, _>>()?;
        let span = tracing::info_span!("release", trials = fences.len());
        let verdicts = self
            .0
            .answer(|store, now| async move { store.release(&fences, now).await })
            .instrument(span)
            .await?;
        self.0.work.notify_one();
        Ok(Response::new(v1::ReleaseResponse {
            verdicts: wire_verdicts(&verdicts),
        }))
    }

    async fn close_session(
        &self,
        request: Request<v1::CloseSessionRequest>,
    ) -> Result<Response<v1::CloseSessionResponse>, Status> {
        let session = digest(&request.into_inner().session, "session", SessionId)?;
        self.0
            .answer(|store, now| async move { store.close_session(session, now).await })
            .await?;
        self.0.conduct().left(session);
        self.0.progress().left(session);
        self.0.work.notify_one();
        tracing::info!(%session, "worker leaves");
        Ok(Response::new(v1::CloseSessionResponse {}))
    }
}

/// Refuses a worker of another version, and says which side is to be updated.
#[allow(clippy::result_large_err, reason = "tonic's own error type")]
fn check_versions(protocol: u32, numerics: u32, version: &str) -> Result<(), Status> {
    let ours = (descent_proto::PROTOCOL, descent_spec::NUMERICS_VERSION);
    if (protocol, numerics) == ours {
        return Ok(());
    }
    Err(Reason::Version.status(format!(
        "the worker speaks protocol {protocol} with numerics {numerics}, this coordinator ({version}) speaks protocol {} \
         with numerics {}: run the same version of descent on both sides",
        ours.0, ours.1
    )))
}

/// The entries of a heartbeat that are well-formed, and the first that is not.
fn partition(wire: Vec<v1::Held>) -> (Vec<Held>, Option<InvalidField>) {
    let mut invalid = None;
    let held = wire
        .into_iter()
        .enumerate()
        .filter_map(|(i, wire)| {
            Held::try_from(wire)
                .scope(&format!("held[{i}]"))
                .map_err(|error| invalid.get_or_insert(error).clone())
                .ok()
        })
        .collect();
    (held, invalid)
}

/// A fenced write that was not taken is an error of the call.
#[allow(clippy::result_large_err, reason = "tonic's own error type")]
fn accepted(verdict: Verdict) -> Result<(), Status> {
    match verdict {
        Verdict::Accepted => Ok(()),
        Verdict::Fenced => Err(status::fenced()),
    }
}

/// The span of a call about one attempt.
pub(super) fn attempt_span(call: &'static str, fence: Fence) -> tracing::Span {
    tracing::info_span!("attempt", call, trial = %fence.trial, attempt = %fence.attempt, session = %fence.session)
}

fn wire_verdicts(verdicts: &[Verdict]) -> Vec<i32> {
    verdicts
        .iter()
        .map(|&verdict| v1::Verdict::from(verdict).into())
        .collect()
}

fn wire_ms(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
