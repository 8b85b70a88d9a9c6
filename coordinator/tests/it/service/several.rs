//! Two coordinators on one PostgreSQL database, with clocks of their own, in one process.

use std::sync::Arc;
use std::time::Duration;

use descent_coordinator::Config;
use descent_coordinator::artifacts::Artifacts;
use descent_coordinator::reader::Reader;
use descent_coordinator::verify::verify;
use descent_proto::v1;

use super::world::{TOY, Worker, World, trials};
use crate::postgres::{self, Database};

const HOUR_MS: i64 = 3_600_000;

/// Quick rounds, small slices, and both convinced that the upkeep is theirs.
fn hasty(config: &mut Config) {
    config.always_leads = true;
    config.timing.maintain = Duration::from_millis(10);
    config.limits.slice = 20;
}

/// Two coordinators of one database and one folder, the second one's clock an hour ahead.
async fn two(database: &Database) -> (World, World) {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let one = World::beside(&database.url, &folder, 1, 0, hasty).await;
    let other = World::beside(&database.url, &folder, 2, HOUR_MS, hasty).await;
    (one, other)
}

#[tokio::test]
async fn a_coordinator_whose_clock_is_an_hour_ahead_expires_nobody() {
    let Some(database) = postgres::database() else {
        return;
    };
    let (one, other) = two(&database).await;
    one.expanded(TOY).await;
    let mut worker = one.worker().await;
    let claimed = worker.lease_one().await;
    // Beats here and there; each time the other one has looked around more than once.
    for beat in 0..10 {
        let at = if beat % 2 == 0 { &one } else { &other };
        worker.work = at.connection().work();
        let directive = worker.directive(&claimed).await;
        assert_eq!(directive, v1::Directive::Continue, "beat {beat}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let sweep = other.sweep("toy").await;
        assert_eq!(trials(&sweep, v1::TrialState::Leased), 1, "beat {beat}");
    }
    assert_eq!(worker.complete(&claimed).await, v1::Verdict::Accepted);
}

#[tokio::test]
async fn a_session_goes_on_at_another_coordinator_with_all_that_it_holds() {
    let Some(database) = postgres::database() else {
        return;
    };
    let (one, other) = two(&database).await;
    one.expanded(TOY).await;
    let mut worker = one.worker().await;
    let request = worker.asking(1, 0);
    let claimed = worker.lease_as(request.clone()).await.unwrap().remove(0);
    assert_eq!(worker.metrics(&claimed, 1).await.unwrap(), 1);
    let weights = v1::ArtifactPurpose::Weights;
    worker.commit(&claimed, weights, b"weights").await.unwrap();
    one.begin_stop();
    worker.work = other.connection().work();
    // An answer that was lost comes again from the other one, and so do numbers of chunks and files.
    let again = worker.lease_as(request).await.unwrap();
    assert_eq!(again[0].trial, claimed.trial);
    assert_eq!(again[0].attempt, claimed.attempt);
    assert_eq!(worker.metrics(&claimed, 1).await.unwrap(), 1);
    assert_eq!(worker.metrics(&claimed, 2).await.unwrap(), 2);
    let hash = descent_spec::id::ContentHash::of(b"weights");
    assert_eq!(worker.read(hash).await.unwrap(), b"weights");
    assert_eq!(worker.complete(&claimed).await, v1::Verdict::Accepted);
}

#[tokio::test]
async fn two_leaders_expand_one_sweep_and_an_edit_comes_in_between() {
    let Some(database) = postgres::database() else {
        return;
    };
    let (one, other) = two(&database).await;
    let wide = TOY.replace("[2, 4]", "{ range = [1, 300], step = 1 }");
    let edited = TOY.replace("[2, 4]", "{ range = [101, 350], step = 1 }");
    one.submit(&wide).await;
    other.until("toy", |sweep| sweep.expanded > 100).await;
    let mut request = other.submission(&edited);
    request.allow_removal = true;
    let answer = other.connection().sweeps().submit(request).await.unwrap();
    let answer = answer.into_inner();
    assert_eq!((answer.added, answer.kept, answer.removed), (100, 400, 200));
    let sweep = one
        .until("toy", |sweep| sweep.state() == v1::SweepState::Running)
        .await;
    assert_eq!(trials(&sweep, v1::TrialState::Ready), 500);
    // Claims and results through both, while both look after everything.
    let mut workers = [Worker::join(&one, 1).await, Worker::join(&other, 1).await];
    for round in 0..10 {
        let worker = &mut workers[round % 2];
        for claimed in worker.lease(25).await {
            assert_eq!(worker.complete(&claimed).await, v1::Verdict::Accepted);
        }
    }
    let reader = Reader::open(&database.url).await.unwrap();
    let artifacts = Artifacts::open(&one.config.artifacts, u64::MAX).unwrap();
    let row = one.store.sweep("toy").await.unwrap().unwrap();
    assert_eq!(row.counts.values().sum::<u64>(), 500);
    for finding in verify(&reader, Some(&artifacts), &row).await.unwrap() {
        assert_eq!(finding.wrong, 0, "{finding:?}");
    }
}

#[tokio::test]
async fn the_upkeep_changes_hands_when_its_holder_goes() {
    let Some(database) = postgres::database() else {
        return;
    };
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let quick = |config: &mut Config| config.timing.maintain = Duration::from_millis(10);
    let mut one = World::beside(&database.url, &folder, 1, 0, quick).await;
    one.expanded(TOY).await;
    let other = World::beside(&database.url, &folder, 2, 0, quick).await;
    let mut worker = other.worker().await;
    let claimed = worker.lease_one().await;
    let state = worker
        .fail(&claimed, v1::FailureKind::Device)
        .await
        .unwrap();
    assert_eq!(state, v1::TrialState::Delayed);
    one.stop().await.unwrap();
    // Only upkeep makes it ready again; all that it takes stands in the database.
    other
        .until("toy", |sweep| trials(sweep, v1::TrialState::Ready) == 4)
        .await;
}
