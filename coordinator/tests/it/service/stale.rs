//! A worker that lost its lease can change nothing.

use descent_proto::reason::Reason;
use descent_proto::v1;
use v1::ArtifactPurpose::{Checkpoint, Weights};

use super::world::{TOY, World, trials};

#[tokio::test(start_paused = true)]
async fn every_write_of_a_superseded_attempt_is_refused() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut stale = world.worker().await;
    let old = stale.lease_one().await;
    stale.metrics(&old, 1).await.unwrap();
    stale.commit(&old, Checkpoint, b"old").await.unwrap();
    world.pass(40_000).await;
    let mut current = world.worker().await;
    let new = current.lease_one().await;
    assert_eq!(new.trial, old.trial);
    assert_eq!(new.attempt.0, old.attempt.0 + 1);
    let before = new.checkpoint.unwrap();

    // Twice: before and after the new attempt has written.
    for round in 0..2 {
        let fenced = Some(Reason::Fenced);
        let refusal = stale.metrics(&old, 2).await.unwrap_err();
        assert_eq!(Reason::of(&refusal), fenced, "append_metrics, {round}");
        let refusal = stale.commit(&old, Checkpoint, b"late").await.unwrap_err();
        assert_eq!(Reason::of(&refusal), fenced, "commit_artifact, {round}");
        let refusal = stale.commit(&old, Weights, b"late").await.unwrap_err();
        assert_eq!(Reason::of(&refusal), fenced, "commit_artifact, {round}");
        let refusal = stale.fail(&old, v1::FailureKind::Panic).await.unwrap_err();
        assert_eq!(Reason::of(&refusal), fenced, "fail, {round}");
        assert_eq!(stale.complete(&old).await, v1::Verdict::Fenced, "{round}");
        assert_eq!(stale.release(&old).await, v1::Verdict::Fenced, "{round}");
        assert_eq!(
            stale.directive(&old).await,
            v1::Directive::Fenced,
            "{round}"
        );
        if round == 0 {
            current.metrics(&new, 1).await.unwrap();
        }
    }
    // Another session cannot borrow the current attempt either.
    assert_eq!(stale.complete(&new).await, v1::Verdict::Fenced);

    // Nothing changed for the new attempt: its checkpoint is the old one's last, and its result counts.
    assert_eq!(current.release(&new).await, v1::Verdict::Accepted);
    let again = current.lease_one().await;
    assert_eq!(again.checkpoint, Some(before));
    assert_eq!(current.complete(&again).await, v1::Verdict::Accepted);
    let sweep = world.sweep("toy").await;
    assert_eq!(trials(&sweep, v1::TrialState::Succeeded), 1);
}
