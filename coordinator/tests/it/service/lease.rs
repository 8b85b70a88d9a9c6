//! Leases: waiting, silence, coming back, sharing.

use std::time::Duration;

use descent_proto::reason::Reason;
use descent_proto::v1;
use descent_spec::lease::Claimed;
use tonic::Code;

use super::world::{TOY, Worker, World, trials};

#[tokio::test(start_paused = true)]
async fn without_work_the_answer_comes_at_the_end_of_the_wait() {
    let world = World::start();
    let mut worker = world.worker().await;
    for (asked_ms, waited) in [(0, 0), (3_000, 3), (60_000, 20)] {
        let started = tokio::time::Instant::now();
        let request = worker.asking(8, asked_ms);
        assert!(worker.lease_as(request).await.unwrap().is_empty());
        assert_eq!(started.elapsed().as_secs(), waited, "{asked_ms}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_worker_that_comes_back_first_keeps_its_trial() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    world.pass(40_000).await;
    let sweep = world.sweep("toy").await;
    assert_eq!(
        trials(&sweep, v1::TrialState::Ready),
        4,
        "its trial is claimable"
    );
    assert_eq!(worker.directive(&claimed).await, v1::Directive::Continue);
    let sweep = world.sweep("toy").await;
    assert_eq!(
        trials(&sweep, v1::TrialState::Leased),
        1,
        "and leased again"
    );
    // The same attempt goes on, and ends with the result.
    assert_eq!(worker.complete(&claimed).await, v1::Verdict::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_late_result_of_an_expired_lease_counts() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    world.pass(40_000).await;
    assert_eq!(worker.complete(&claimed).await, v1::Verdict::Accepted);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_expired_for_a_coordinator_that_was_away() {
    let world = World::start();
    world.expanded(TOY).await;
    let session = {
        let mut worker = world.worker().await;
        worker.lease_one().await;
        worker.session
    };
    // Away for longer than the lease, then back: by a restart, and by a machine that slept.
    world.clock.advance_ms(3_600_000);
    let world = world.restart(|_| ()).await;
    world.pass(10_000).await;
    world.clock.advance_ms(3_600_000);
    world.pass(10_000).await;
    let sweep = world.sweep("toy").await;
    assert_eq!(trials(&sweep, v1::TrialState::Leased), 1);
    // Silence after that is silence.
    world.pass(40_000).await;
    let sweep = world.sweep("toy").await;
    assert_eq!(trials(&sweep, v1::TrialState::Leased), 0);
    assert_eq!(session.len(), 16);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_session_is_told_to_open_a_new_one() {
    let world = World::start();
    let mut stranger = Worker {
        world: &world,
        session: world.fresh(),
        work: world.connection().work(),
    };
    let answer = stranger.beat(&[]).await;
    assert_eq!(answer.session(), v1::SessionDirective::Reopen);
    let request = stranger.asking(1, 0);
    let refusal = stranger.lease_as(request).await.unwrap_err();
    assert_eq!(Reason::of(&refusal), Some(Reason::SessionClosed));

    let mut worker = world.worker().await;
    let request = v1::CloseSessionRequest {
        session: worker.session.clone(),
    };
    worker.work.close_session(request).await.unwrap();
    let answer = worker.beat(&[]).await;
    assert_eq!(answer.session(), v1::SessionDirective::Reopen);
}

#[tokio::test(start_paused = true)]
async fn a_beat_counts_even_with_a_bad_entry() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    for _ in 0..5 {
        world.pass(10_000).await;
        let good = v1::Held {
            trial: claimed.trial.0,
            attempt: claimed.attempt.0,
            epoch: 1,
            step: 1,
        };
        let bad = v1::Held { trial: -1, ..good };
        let request = v1::HeartbeatRequest {
            session: worker.session.clone(),
            held: vec![good, bad],
        };
        let refusal = worker.work.heartbeat(request).await.unwrap_err();
        assert_eq!(super::world::named_field(&refusal), "held[1].trial");
    }
    let sweep = world.sweep("toy").await;
    assert_eq!(
        trials(&sweep, v1::TrialState::Leased),
        1,
        "fifty seconds later"
    );
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_got_lost_is_taken_back_without_charge() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let lost = worker.lease_one().await;
    world.pass(11_000).await;
    worker.beat(&[]).await;
    let again = worker.lease_one().await;
    assert_eq!(again.trial, lost.trial);
    assert_eq!(again.attempt.0, lost.attempt.0 + 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_trials_are_shared() {
    let world = World::start();
    world.expanded(&TOY.replace("count = 2", "count = 6")).await;
    let mut first = Worker::join(&world, 2).await;
    let mut second = Worker::join(&world, 1).await;
    // 12 trials of two widths, 3 slots: half of a slot's share each time, the wide ones first.
    let first = first.lease(64).await.len();
    assert!((1..=2).contains(&first), "{first}");
    let second = second.lease(64).await.len();
    assert!((1..=2).contains(&second), "{second}");
}

#[tokio::test(start_paused = true)]
async fn cancel_and_pause_take_effect_at_once() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    let mut sweeps = world.connection().sweeps();
    let request = v1::PauseRequest {
        request_id: world.fresh(),
        sweep: "toy".into(),
    };
    sweeps.pause(request).await.unwrap();
    // What runs is asked back; nothing more is handed out.
    assert_eq!(worker.directive(&claimed).await, v1::Directive::Release);
    assert!(worker.lease(8).await.is_empty());
    let explain = v1::ExplainRequest { trial: "4".into() };
    let answer = sweeps.explain(explain).await.unwrap().into_inner();
    assert!(answer.reason.contains("paused"), "{}", answer.reason);

    let request = v1::ResumeRequest {
        request_id: world.fresh(),
        sweep: "toy".into(),
    };
    sweeps.resume(request).await.unwrap();
    let other = worker.lease_one().await;

    let request = v1::CancelRequest {
        request_id: world.fresh(),
        sweep: "toy".into(),
    };
    let sweep = sweeps.cancel(request).await.unwrap().into_inner().sweep;
    assert_eq!(sweep.unwrap().state(), v1::SweepState::Cancelled);
    let directives: Vec<_> = worker
        .beat(&[&claimed, &other])
        .await
        .trials
        .iter()
        .map(v1::TrialDirective::directive)
        .collect();
    assert_eq!(directives, [v1::Directive::Cancel; 2]);
    assert_eq!(worker.complete(&claimed).await, v1::Verdict::Fenced);
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_the_data_learns_which() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let mut request = worker.asking(8, 1_500);
    request.data.clear();
    let answer = worker.work.lease(request).await.unwrap().into_inner();
    assert!(answer.grants.is_empty());
    assert_eq!(answer.missing_data.len(), 1);
    assert!(
        answer.missing_data[0].starts_with("toy ("),
        "{:?}",
        answer.missing_data
    );
}

#[tokio::test(start_paused = true)]
async fn parked_calls_are_sent_away_when_the_coordinator_stops() {
    let mut world = World::start();
    let refusal = {
        let mut worker = world.worker().await;
        let request = worker.asking(8, 20_000);
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            world.begin_stop();
        };
        let (answer, ()) = tokio::join!(worker.lease_as(request), stopping);
        answer.unwrap_err()
    };
    assert_eq!(refusal.code(), Code::Unavailable);
    assert!(descent_proto::retry::may_retry(&refusal));
    let started = tokio::time::Instant::now();
    world.stop().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_never_ends_does_not_hold_up_the_shutdown() {
    let mut world = World::start();
    world.expanded(TOY).await;
    {
        let mut worker = world.worker().await;
        let claimed: Claimed = worker.lease_one().await;
        let header = worker.header(&claimed, v1::ArtifactPurpose::Checkpoint, b"never");
        let first = v1::CommitArtifactRequest {
            part: Some(v1::commit_artifact_request::Part::Header(header)),
        };
        let stream =
            tokio_stream::StreamExt::chain(tokio_stream::once(first), tokio_stream::pending());
        let mut work = worker.work.clone();
        tokio::spawn(async move { work.commit_artifact(stream).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let started = tokio::time::Instant::now();
    world.stop().await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(11),
        "{:?}",
        started.elapsed()
    );
}
