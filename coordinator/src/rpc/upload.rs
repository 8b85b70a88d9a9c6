//! Checkpoints and weights over the wire: streams of chunks, verified before anything points to them.

use std::sync::Arc;

use descent_proto::convert::{InvalidField, known, required};
use descent_proto::{CHUNK_BYTES, v1};
use descent_spec::id::ContentHash;
use descent_spec::lease::{Artifact, Fence, Purpose, Verdict};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tracing::Instrument as _;

use super::status;
use super::work::attempt_span;
use crate::artifacts::Receiving;
use crate::service::Service;

/// The header's content.
struct Header {
    fence: Fence,
    purpose: Purpose,
    artifact: Artifact,
    epoch: u32,
    step: u64,
}

impl TryFrom<v1::commit_artifact_request::Header> for Header {
    type Error = InvalidField;

    fn try_from(wire: v1::commit_artifact_request::Header) -> Result<Self, InvalidField> {
        Ok(Self {
            fence: required(wire.fence, "fence")?,
            purpose: known::<v1::ArtifactPurpose, _>(wire.purpose, "purpose")?,
            artifact: required(wire.artifact, "artifact")?,
            epoch: wire.epoch,
            step: wire.step,
        })
    }
}

/// Receives a file, and moves the trial's pointer to it.
pub(super) async fn receive(
    service: &Arc<Service>,
    mut parts: Streaming<v1::CommitArtifactRequest>,
) -> Result<Verdict, Status> {
    let Some(v1::commit_artifact_request::Part::Header(header)) = next(service, &mut parts).await?
    else {
        return Err(InvalidField::new("header", "has to be the first message").into());
    };
    let header: Header = required(Some(header), "header")?;
    let span = attempt_span("commit_artifact", header.fence);
    async {
        let fence = header.fence;
        // A stale attempt is told before its bytes travel; what decides is the guarded write at the end.
        if service
            .answer(|store, _| async move { store.budget(fence).await })
            .await?
            .is_none()
        {
            return Ok(Verdict::Fenced);
        }
        let mut file = service
            .artifacts
            .receive(header.artifact)
            .await
            .map_err(|error| status::of_artifact(&error))?;
        if let Err(refusal) = chunks(service, fence, &mut parts, &mut file).await {
            file.abandon().await;
            return Err(refusal);
        }
        let stored = file
            .finish()
            .await
            .map_err(|error| status::of_artifact(&error))?;
        let verdict = service
            .answer(|store, now| async move {
                let verdict = store
                    .commit_artifact(
                        header.fence,
                        header.purpose,
                        header.artifact,
                        header.epoch,
                        header.step,
                        now,
                    )
                    .await;
                drop(stored);
                verdict
            })
            .await?;
        // Another coordinator's collection may have removed an older file of this content in between: it knows nothing of our gate.
        let there = service.artifacts.length(header.artifact.hash).await;
        there.map_err(|error| Status::unavailable(format!("{error}: send the file again")))?;
        Ok(verdict)
    }
    .instrument(span)
    .await
}

/// Takes chunks to the end of the stream.
async fn chunks(
    service: &Service,
    fence: Fence,
    parts: &mut Streaming<v1::CommitArtifactRequest>,
    file: &mut Receiving,
) -> Result<(), Status> {
    while let Some(part) = next(service, parts).await? {
        let v1::commit_artifact_request::Part::Chunk(chunk) = part else {
            return Err(InvalidField::new("header", "came twice").into());
        };
        if chunk.len() > CHUNK_BYTES {
            let reason = format!("is {} bytes, at most {CHUNK_BYTES} are taken", chunk.len());
            return Err(InvalidField::new("chunk", reason).into());
        }
        file.chunk(&chunk)
            .await
            .map_err(|error| status::of_artifact(&error))?;
        // Large weights may take longer than a step may.
        service.progress().stir(fence);
    }
    Ok(())
}

/// The next part of an upload; an upload that falls silent is given up.
async fn next(
    service: &Service,
    parts: &mut Streaming<v1::CommitArtifactRequest>,
) -> Result<Option<v1::commit_artifact_request::Part>, Status> {
    let silence = service.config.timing.upload_silence;
    let message = tokio::time::timeout(silence, parts.message())
        .await
        .map_err(|_| Status::deadline_exceeded("the upload fell silent: send the file again"))??;
    message
        .map(|message| {
            message
                .part
                .ok_or_else(|| InvalidField::missing("part").into())
        })
        .transpose()
}

/// Sends a stored file.
pub(super) async fn send(
    service: &Arc<Service>,
    hash: ContentHash,
) -> Result<ReceiverStream<Result<v1::ReadArtifactResponse, Status>>, Status> {
    let artifacts = service.artifacts.clone();
    let bytes = artifacts
        .length(hash)
        .await
        .map_err(|error| status::of_artifact(&error))?;
    // Two chunks ahead of the network, so that a slow reader costs a megabyte, not the file.
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(
        async move {
            let mut at = 0;
            while at < bytes {
                let end = (at + CHUNK_BYTES as u64).min(bytes);
                let chunk = artifacts.read(hash, at..end).await;
                let failed = chunk.is_err();
                let message = chunk
                    .map(|chunk| v1::ReadArtifactResponse { chunk })
                    .map_err(|error| status::of_artifact(&error));
                // A reader that went away ends it.
                if sender.send(message).await.is_err() || failed {
                    return;
                }
                at = end;
            }
        }
        .in_current_span(),
    );
    Ok(ReceiverStream::new(receiver))
}
