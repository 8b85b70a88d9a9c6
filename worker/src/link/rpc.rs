//! The coordinator over gRPC: domain types in and out, one deadline for each call.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use descent_proto::channel::Connection;
use descent_proto::convert::{InvalidField, known};
use descent_proto::reason::Reason;
use descent_proto::v1::work_client::WorkClient;
use descent_proto::v1::{self, commit_artifact_request as commit};
use descent_proto::{CHUNK_BYTES, PROTOCOL};
use descent_spec::NUMERICS_VERSION;
use descent_spec::id::{ContentHash, SessionId};
use descent_spec::lease::{Claimed, Fence, Held, Verdict};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use descent_spec::state::TrialState;
use tonic::{Code, Request, Response, Status};

use super::{Ask, Beat, Granted, Hello, Link, LinkError, TrialDirective, Upload, Welcome};

/// For calls that answer at once: a beat that takes longer is as good as lost.
const BEAT_DEADLINE: Duration = Duration::from_secs(10);
/// The same where leases are short: however short, a busy coordinator gets so long.
const BEAT_DEADLINE_LEAST: Duration = Duration::from_secs(1);
/// For calls that wait for a durable write, which a loaded disk can delay.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);
/// Added to the time that the coordinator may hold a lease call.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// Slowest transfer that still counts as alive.
const TRANSFER_BYTES_PER_S: u64 = 256 << 10;
/// Longest file read: what the store cannot have, no memory is reserved for.
const READ_BYTES_MAX: usize = 4 << 30;

/// A client of the coordinator's service for workers.
pub struct RpcLink {
    client: WorkClient<Connection>,
    /// How long a beat may take: so short that another coordinator can be asked before the lease is over.
    beat_deadline: Mutex<Duration>,
}

impl RpcLink {
    /// Over a connection; nothing is sent yet.
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            client: connection.work(),
            beat_deadline: Mutex::new(BEAT_DEADLINE),
        }
    }

    fn beat_deadline(&self) -> MutexGuard<'_, Duration> {
        // Whole whatever happened to who held it.
        self.beat_deadline
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under its deadline, which the server is told as well.
async fn within<M, R, F>(
    deadline: Duration,
    message: M,
    call: impl FnOnce(Request<M>) -> F,
) -> Result<R, LinkError>
where
    F: Future<Output = Result<Response<R>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    match tokio::time::timeout(deadline, call(request)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(status.into()),
        Err(_) => Err(LinkError::Unavailable(format!(
            "no answer within {} s",
            deadline.as_secs()
        ))),
    }
}

impl From<Status> for LinkError {
    fn from(status: Status) -> Self {
        let message = || status.message().to_owned();
        match Reason::of(&status) {
            Some(Reason::Fenced) => return Self::Fenced,
            Some(Reason::SessionClosed) => return Self::SessionClosed,
            Some(Reason::Version) => return Self::Refused(message()),
            // Chunks are sent one after the other, each after the last was accepted: a gap means that the database went back in time.
            Some(Reason::MetricGap { .. }) => return Self::Invalid(message()),
            None => {}
        }
        match status.code() {
            Code::NotFound | Code::DataLoss => Self::Artifact(message()),
            Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => {
                Self::Refused(message())
            }
            Code::InvalidArgument | Code::OutOfRange | Code::AlreadyExists => {
                Self::Invalid(message())
            }
            // Besides what may be repeated anyway: a coordinator in trouble (a disk that turned read-only, a database error) is
            // not the trial's fault, and what was trained is kept until somebody mends it.
            code => Self::Unavailable(format!("{code}: {}", status.message())),
        }
    }
}

/// An answer that makes no sense is the coordinator's bug; repeating would give the same.
impl From<InvalidField> for LinkError {
    fn from(invalid: InvalidField) -> Self {
        Self::Invalid(format!("the coordinator's answer: {invalid}"))
    }
}

fn bytes(hashes: &[ContentHash]) -> Vec<Vec<u8>> {
    hashes.iter().map(|hash| hash.0.to_vec()).collect()
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn transfer_deadline(bytes: u64) -> Duration {
    WRITE_DEADLINE + Duration::from_secs(bytes / TRANSFER_BYTES_PER_S)
}

fn verdicts(wire: &[i32]) -> Result<Vec<Verdict>, LinkError> {
    wire.iter()
        .map(|&verdict| Ok(known::<v1::Verdict, _>(verdict, "verdicts")?))
        .collect()
}

#[async_trait]
impl Link for RpcLink {
    async fn open_session(&self, hello: &Hello) -> Result<Welcome, LinkError> {
        let message = v1::OpenSessionRequest {
            session: hello.session.0.to_vec(),
            worker: hello.worker.clone(),
            version: hello.version.clone(),
            protocol: PROTOCOL,
            numerics: NUMERICS_VERSION,
            device: hello.device.clone(),
            instruction_set: hello.instruction_set.clone(),
            slots: hello.slots,
            memory_bytes: hello.memory_bytes,
            data: bytes(&hello.data),
        };
        let mut client = self.client.clone();
        let answer = within(BEAT_DEADLINE, message, |request| {
            client.open_session(request)
        })
        .await?;
        let lease = Duration::from_millis(answer.lease_ms.into());
        *self.beat_deadline() = (lease / 3).clamp(BEAT_DEADLINE_LEAST, BEAT_DEADLINE);
        Ok(Welcome {
            heartbeat: Duration::from_millis(answer.heartbeat_ms.max(1).into()),
            lease,
            coordinator: answer.coordinator,
        })
    }

    async fn lease(&self, ask: &Ask) -> Result<Granted, LinkError> {
        let message = v1::LeaseRequest {
            session: ask.session.0.to_vec(),
            request_id: ask.request.0.to_vec(),
            max_trials: ask.max_trials,
            memory_bytes: ask.memory_bytes,
            data: bytes(&ask.data),
            samples: ask.samples.iter().map(|key| key.0.to_vec()).collect(),
            wait_ms: millis(ask.wait),
        };
        let mut client = self.client.clone();
        let answer = within(ask.wait + LEASE_MARGIN, message, |request| {
            client.lease(request)
        })
        .await?;
        let trials: Result<Vec<Claimed>, InvalidField> =
            answer.grants.into_iter().map(Claimed::try_from).collect();
        Ok(Granted {
            trials: trials?,
            missing_data: answer.missing_data,
            quarantine: answer.quarantine,
        })
    }

    async fn heartbeat(&self, session: SessionId, held: &[Held]) -> Result<Beat, LinkError> {
        let message = v1::HeartbeatRequest {
            session: session.0.to_vec(),
            held: held.iter().copied().map(Into::into).collect(),
        };
        let mut client = self.client.clone();
        let deadline = *self.beat_deadline();
        let answer = within(deadline, message, |request| client.heartbeat(request)).await?;
        let trials: Result<Vec<TrialDirective>, InvalidField> = answer
            .trials
            .into_iter()
            .map(|wire| {
                let (trial, attempt, directive) = wire.try_into()?;
                Ok(TrialDirective {
                    trial,
                    attempt,
                    directive,
                })
            })
            .collect();
        Ok(Beat {
            trials: trials?,
            session: known::<v1::SessionDirective, _>(answer.session, "session")?,
        })
    }

    async fn append_metrics(
        &self,
        fence: Fence,
        seq: u64,
        measurements: &[Measurement],
    ) -> Result<(), LinkError> {
        let message = v1::AppendMetricsRequest {
            fence: Some(fence.into()),
            seq,
            measurements: measurements.iter().map(Into::into).collect(),
        };
        let mut client = self.client.clone();
        within(WRITE_DEADLINE, message, |request| {
            client.append_metrics(request)
        })
        .await?;
        Ok(())
    }

    async fn commit_artifact(&self, upload: &Upload) -> Result<(), LinkError> {
        let header = commit::Header {
            fence: Some(upload.fence.into()),
            purpose: v1::ArtifactPurpose::from(upload.purpose).into(),
            artifact: Some(upload.artifact.into()),
            epoch: upload.epoch,
            step: upload.step,
        };
        let part = |part| v1::CommitArtifactRequest { part: Some(part) };
        let content = std::sync::Arc::clone(&upload.content);
        let chunks = content.len().div_ceil(CHUNK_BYTES);
        // Chunks are cut as the connection takes them: one is copied at a time.
        let chunk = move |i: usize| {
            let end = content.len().min((i + 1) * CHUNK_BYTES);
            part(commit::Part::Chunk(content[i * CHUNK_BYTES..end].to_vec()))
        };
        let message = tokio_stream::iter(
            std::iter::once(part(commit::Part::Header(header))).chain((0..chunks).map(chunk)),
        );
        let mut client = self.client.clone();
        within(
            transfer_deadline(upload.artifact.bytes),
            message,
            |request| client.commit_artifact(request),
        )
        .await?;
        Ok(())
    }

    async fn read_artifact(&self, hash: ContentHash) -> Result<Vec<u8>, LinkError> {
        let message = v1::ReadArtifactRequest {
            hash: hash.0.to_vec(),
        };
        let mut client = self.client.clone();
        let mut stream = within(WRITE_DEADLINE, message, |request| {
            client.read_artifact(request)
        })
        .await?;
        let mut content = Vec::new();
        loop {
            let next = tokio::time::timeout(WRITE_DEADLINE, stream.message())
                .await
                .map_err(|_| LinkError::Unavailable("the transfer stalled".to_owned()))??;
            let Some(part) = next else { break };
            if READ_BYTES_MAX < content.len() + part.chunk.len() {
                return Err(LinkError::Artifact(format!("{hash} has no end")));
            }
            content.extend_from_slice(&part.chunk);
        }
        if ContentHash::of(&content) != hash {
            return Err(LinkError::Artifact(format!(
                "{hash} arrived with other content: the coordinator's artifact store is damaged (`descent verify` finds what else is)"
            )));
        }
        Ok(content)
    }

    async fn complete(
        &self,
        completions: &[(Fence, TrialResult)],
    ) -> Result<Vec<Verdict>, LinkError> {
        let message = v1::CompleteRequest {
            completions: completions
                .iter()
                .map(|(fence, result)| (*fence, result).into())
                .collect(),
        };
        let mut client = self.client.clone();
        let answer = within(WRITE_DEADLINE, message, |request| client.complete(request)).await?;
        verdicts(&answer.verdicts)
    }

    async fn fail(&self, fence: Fence, failure: &Failure) -> Result<TrialState, LinkError> {
        let message = v1::FailRequest {
            fence: Some(fence.into()),
            failure: Some(failure.into()),
        };
        let mut client = self.client.clone();
        let answer = within(WRITE_DEADLINE, message, |request| client.fail(request)).await?;
        Ok(known::<v1::TrialState, _>(answer.state, "state")?)
    }

    async fn release(&self, fences: &[Fence]) -> Result<Vec<Verdict>, LinkError> {
        let message = v1::ReleaseRequest {
            fences: fences.iter().copied().map(Into::into).collect(),
        };
        let mut client = self.client.clone();
        let answer = within(WRITE_DEADLINE, message, |request| client.release(request)).await?;
        verdicts(&answer.verdicts)
    }

    async fn close_session(&self, session: SessionId) -> Result<(), LinkError> {
        let message = v1::CloseSessionRequest {
            session: session.0.to_vec(),
        };
        let mut client = self.client.clone();
        within(WRITE_DEADLINE, message, |request| {
            client.close_session(request)
        })
        .await?;
        Ok(())
    }
}
