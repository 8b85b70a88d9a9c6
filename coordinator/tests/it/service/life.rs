//! The whole life of trials, and of sweeps with them.

use std::time::Duration;

use descent_proto::v1;
use tokio_stream::StreamExt as _;
use v1::TrialState::{Blocked, Ready, Skipped, Succeeded};

use super::world::{TOY, World, trials};

#[tokio::test(start_paused = true)]
async fn from_the_file_to_the_result() {
    let world = World::start();
    let answer = world.submit(TOY).await;
    assert_eq!((answer.added, answer.kept, answer.removed), (4, 0, 0));
    let sweep = world
        .until("toy", |sweep| sweep.state() == v1::SweepState::Running)
        .await;
    assert_eq!((sweep.points, sweep.expanded), (4, 4));
    assert_eq!(trials(&sweep, Ready), 4);
    assert!(sweep.cost_total > 0.0);

    let mut changes = {
        let mut sweeps = world.connection().sweeps();
        let request = v1::WatchRequest {
            sweep: "toy".into(),
        };
        sweeps.watch(request).await.unwrap().into_inner()
    };
    let mut worker = world.worker().await;
    for done in 1..=4 {
        let claimed = worker.lease_one().await;
        assert_eq!(claimed.attempt.0, 1);
        assert_eq!(claimed.sweep, "toy");
        assert_eq!(worker.directive(&claimed).await, v1::Directive::Continue);
        assert_eq!(worker.metrics(&claimed, 1).await.unwrap(), 1);
        assert_eq!(worker.metrics(&claimed, 2).await.unwrap(), 2);
        worker
            .commit(&claimed, v1::ArtifactPurpose::Checkpoint, b"half way")
            .await
            .unwrap();
        assert_eq!(worker.complete(&claimed).await, v1::Verdict::Accepted);
        let sweep = world.sweep("toy").await;
        assert_eq!(trials(&sweep, Succeeded), done);
    }
    let sweep = world
        .until("toy", |sweep| sweep.state() == v1::SweepState::Finished)
        .await;
    assert_eq!(sweep.finished_at_ms, Some(1_700_000_000_000));
    assert!((sweep.cost_done - sweep.cost_total).abs() < 1e-6 * sweep.cost_total);

    // The watcher saw it begin and end, and was then sent away.
    let mut seen = Vec::new();
    while let Some(message) = changes.next().await {
        seen.push(message.unwrap().sweep.unwrap());
    }
    assert_eq!(seen[0].state(), v1::SweepState::Running);
    assert_eq!(seen.last().unwrap().state(), v1::SweepState::Finished);
    assert!(worker.lease(8).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handed_back_trial_goes_on_from_its_checkpoint() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut first = world.worker().await;
    let claimed = first.lease_one().await;
    let content = b"half way".as_slice();
    first
        .commit(&claimed, v1::ArtifactPurpose::Checkpoint, content)
        .await
        .unwrap();
    assert_eq!(first.release(&claimed).await, v1::Verdict::Accepted);
    let mut second = world.worker().await;
    let again = second.lease_one().await;
    assert_eq!(again.trial, claimed.trial);
    assert_eq!(again.attempt.0, 2);
    let checkpoint = again.checkpoint.unwrap();
    assert_eq!(second.read(checkpoint.hash).await.unwrap(), content);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_retried_later_and_given_up_in_the_end() {
    let world = World::start();
    world
        .expanded(
            &TOY.replace("width = [2, 4]", "width = [2]")
                .replace("count = 2", "count = 1"),
        )
        .await;
    let mut worker = world.worker().await;
    for attempt in 1..=3 {
        let claimed = worker.lease_one().await;
        assert_eq!(claimed.attempt.0, attempt);
        let state = worker
            .fail(&claimed, v1::FailureKind::OutOfMemory)
            .await
            .unwrap();
        if attempt < 3 {
            assert_eq!(state, v1::TrialState::Delayed);
            world.pass(5_000).await;
        } else {
            assert_eq!(state, v1::TrialState::Failed);
        }
    }
    let sweep = world
        .until("toy", |sweep| sweep.state() == v1::SweepState::Finished)
        .await;
    assert_eq!(sweep.first_failure.as_deref(), Some("it went wrong"));

    let request = v1::RerunRequest {
        request_id: world.fresh(),
        sweep: "toy".into(),
        which: v1::RerunWhich::Failed.into(),
    };
    let mut sweeps = world.connection().sweeps();
    assert_eq!(sweeps.rerun(request).await.unwrap().into_inner().trials, 1);
    assert_eq!(worker.lease_one().await.attempt.0, 4);
}

/// Three widths, each starting from the weights of the one before.
const CHAIN: &str = r#"
name = "chain"
experiment = "risk-curve"

[data]
dataset = "toy"
samples = 40

[train]
optimizer = { kind = "sgd", lr = 0.1 }
batch = 10
epochs = 3
weight_reuse = "always"

[axes]
width = [2, 3, 4]
seed = { count = 1 }
"#;

#[tokio::test(start_paused = true)]
async fn weights_travel_along_a_chain_of_widths() {
    let world = World::start();
    let sweep = world.expanded(CHAIN).await;
    assert_eq!((trials(&sweep, Ready), trials(&sweep, Blocked)), (1, 2));
    let mut worker = world.worker().await;
    let mut before: Option<Vec<u8>> = None;
    for width in [2_u8, 3, 4] {
        let claimed = worker.lease(8).await;
        assert_eq!(claimed.len(), 1, "parents come before children");
        let claimed = &claimed[0];
        let params: serde_json::Value = serde_json::from_str(&claimed.params).unwrap();
        assert_eq!(params["model.width"], width);
        match (&before, claimed.parent_weights) {
            (None, None) => {}
            (Some(content), Some(weights)) => {
                assert_eq!(worker.read(weights.hash).await.unwrap(), *content);
            }
            (before, weights) => panic!("width {width}: {before:?} and {weights:?}"),
        }
        let content = vec![width; 10];
        worker
            .commit(claimed, v1::ArtifactPurpose::Weights, &content)
            .await
            .unwrap();
        let mut request = worker.completion(claimed);
        let hash = descent_spec::id::ContentHash::of(&content);
        request.completions[0].result.as_mut().unwrap().weights = hash.0.to_vec();
        worker.work.complete(request).await.unwrap();
        before = Some(content);
    }
    world
        .until("chain", |sweep| sweep.state() == v1::SweepState::Finished)
        .await;
}

#[tokio::test(start_paused = true)]
async fn without_a_parent_there_are_no_children() {
    let world = World::start();
    world.expanded(CHAIN).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    let state = worker.fail(&claimed, v1::FailureKind::Panic).await.unwrap();
    assert_eq!(state, v1::TrialState::Failed);
    let sweep = world
        .until("chain", |sweep| sweep.state() == v1::SweepState::Finished)
        .await;
    assert_eq!(trials(&sweep, Skipped), 2);

    let mut sweeps = world.connection().sweeps();
    let request = v1::ExplainRequest { trial: "2".into() };
    let answer = sweeps.explain(request).await.unwrap().into_inner();
    assert_eq!(answer.state(), Skipped);
    assert!(answer.reason.contains("failed"), "{}", answer.reason);
}

#[tokio::test(start_paused = true)]
async fn a_parked_lease_wakes_when_work_appears() {
    let world = World::start();
    let mut worker = world.worker().await;
    let request = worker.asking(8, 20_000);
    let started = tokio::time::Instant::now();
    let waiting = worker.lease_as(request);
    let submitting = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.submit(TOY).await;
    };
    let (claimed, ()) = tokio::join!(waiting, submitting);
    assert!(!claimed.unwrap().is_empty());
    // Woken, not found by looking again.
    assert!(
        started.elapsed() < Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
}
