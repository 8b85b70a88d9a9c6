//! Files on their way in and out.

use descent_proto::v1;
use descent_spec::id::ContentHash;
use tonic::Code;
use v1::ArtifactPurpose::Checkpoint;

use super::world::{TOY, World, named_field};

#[tokio::test(start_paused = true)]
async fn a_file_of_many_chunks_comes_back_whole() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    for length in [0, 1, descent_proto::CHUNK_BYTES, 11_000_000] {
        let content: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        worker.commit(&claimed, Checkpoint, &content).await.unwrap();
        let found = worker.read(ContentHash::of(&content)).await.unwrap();
        assert!(found == content, "{length} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_announced_is_refused_and_nothing_changes() {
    let world = World::with(|config| config.limits.artifact_bytes = 1_000);
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    worker.commit(&claimed, Checkpoint, b"good").await.unwrap();
    let header = worker.header(&claimed, Checkpoint, b"good!");

    let refusal = worker.upload(header.clone(), b"evil!").await.unwrap_err();
    assert_eq!(named_field(&refusal), "header.artifact.hash");
    for wrong in [b"good".as_slice(), b"good!!"] {
        let refusal = worker.upload(header.clone(), wrong).await.unwrap_err();
        assert_eq!(named_field(&refusal), "header.artifact.bytes");
    }
    let large = worker.header(&claimed, Checkpoint, &[0; 1_001]);
    let refusal = worker.upload(large, &[0; 1_001]).await.unwrap_err();
    assert_eq!(refusal.code(), Code::OutOfRange);
    let mut nothing = header.clone();
    nothing.purpose = 0;
    let refusal = worker.upload(nothing, b"good!").await.unwrap_err();
    assert_eq!(named_field(&refusal), "header.purpose");
    let mut nobody = header.clone();
    nobody.fence.as_mut().unwrap().attempt = 0;
    let refusal = worker.upload(nobody, b"good!").await.unwrap_err();
    assert_eq!(named_field(&refusal), "header.fence.attempt");
    let headless = v1::CommitArtifactRequest {
        part: Some(v1::commit_artifact_request::Part::Chunk(b"good!".to_vec())),
    };
    let stream = tokio_stream::once(headless);
    let refusal = worker.work.commit_artifact(stream).await.unwrap_err();
    assert_eq!(named_field(&refusal), "header");

    let refusal = worker.read(ContentHash::of(b"good!")).await.unwrap_err();
    assert_eq!(refusal.code(), Code::NotFound);
    worker.release(&claimed).await;
    let again = worker.lease_one().await;
    assert_eq!(again.checkpoint.unwrap().hash, ContentHash::of(b"good"));
}

#[tokio::test(start_paused = true)]
async fn a_chunk_over_the_limit_is_refused() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    let content = vec![7; descent_proto::CHUNK_BYTES + 1];
    let header = worker.header(&claimed, Checkpoint, &content);
    use v1::commit_artifact_request::Part;
    let parts = [Part::Header(header), Part::Chunk(content)]
        .map(|part| v1::CommitArtifactRequest { part: Some(part) });
    let refusal = worker
        .work
        .commit_artifact(tokio_stream::iter(parts))
        .await
        .unwrap_err();
    assert_eq!(named_field(&refusal), "chunk");
}

#[tokio::test(start_paused = true)]
async fn a_metric_chunk_must_follow_the_last() {
    use descent_proto::reason::Reason;
    let world = World::start();
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    let refusal = worker.metrics(&claimed, 2).await.unwrap_err();
    assert_eq!(Reason::of(&refusal), Some(Reason::MetricGap { last: 0 }));
    worker.metrics(&claimed, 1).await.unwrap();
    let refusal = worker.metrics(&claimed, 3).await.unwrap_err();
    assert_eq!(Reason::of(&refusal), Some(Reason::MetricGap { last: 1 }));
    // An old one again is acknowledged, and says where it stands.
    assert_eq!(worker.metrics(&claimed, 1).await.unwrap(), 1);
}
