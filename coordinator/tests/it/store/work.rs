//! Leases, fences, results: what a worker may rely on.

use descent_coordinator::store::{AfterFailure, Artifact, Directive, Purpose, StoreError, Verdict};
use descent_spec::id::Timestamp;
use descent_spec::outcome::{Failure, FailureKind};
use descent_spec::state::{SweepState, TrialState};

use super::fixture::{
    Fixture, LEASE_MS, at, data, fence, held, identity, measurement, new_trial, result,
};

super::on_every_engine!(
    a_late_worker_keeps_its_trial_until_somebody_else_claims_it,
    a_worker_that_lost_its_trial_can_change_nothing,
    a_result_is_taken_once_and_acknowledged_as_often_as_it_is_sent,
    a_lost_grant_comes_back_without_charge,
    metric_chunks_have_no_gaps,
    a_trial_waits_for_its_parent_and_starts_from_its_weights,
    what_waits_for_a_failed_trial_is_skipped,
    a_closed_session_is_closed_for_good,
    a_clock_that_is_set_back_keeps_no_trial_for_an_hour,
);

fn failure() -> Failure {
    Failure {
        kind: FailureKind::Device,
        message: "the device is gone".to_owned(),
    }
}

async fn a_late_worker_keeps_its_trial_until_somebody_else_claims_it(f: &Fixture) {
    f.sweep_of("s", vec![new_trial(0)]).await;
    let slow = f.open(1).await;
    let trial = f.claim(slow, 1).await.remove(0);
    let done = f.store.maintain(at(31)).await.unwrap();
    assert_eq!((done.sessions_expired, done.trials_suspected), (1, 1));
    assert_eq!(f.state(0).await, TrialState::Ready);
    let until = at(32).plus_ms(LEASE_MS);
    let directives = f
        .store
        .heartbeat(slow, &[held(&trial)], until, 0, at(32))
        .await
        .unwrap();
    assert_eq!(directives, [Directive::Continue]);
    assert_eq!(f.state(0).await, TrialState::Leased);
    // Late again; now the result is first.
    f.store.maintain(at(100)).await.unwrap();
    let verdicts = f
        .store
        .complete(&[(fence(slow, &trial), result())], at(101))
        .await
        .unwrap();
    assert_eq!(verdicts, [Verdict::Accepted]);
    assert_eq!(f.row("s").await.state, SweepState::Finished);
}

async fn a_worker_that_lost_its_trial_can_change_nothing(f: &Fixture) {
    f.sweep_of("s", vec![new_trial(0)]).await;
    let (slow, quick) = (f.open(1).await, f.open(2).await);
    let old = f.claim(slow, 1).await.remove(0);
    f.store
        .heartbeat(quick, &[], at(100), 0, at(29))
        .await
        .unwrap();
    f.store.maintain(at(31)).await.unwrap();
    let new = f.ask(quick, 1, at(31)).await.claimed.remove(0);
    assert_eq!(new.attempt.0, old.attempt.0 + 1);
    let stale = fence(slow, &old);
    let now = at(32);
    let artifact = Artifact {
        hash: data(9),
        bytes: 1,
    };
    let store = &f.store;
    assert_eq!(
        store.complete(&[(stale, result())], now).await.unwrap(),
        [Verdict::Fenced]
    );
    let metrics = store
        .append_metrics(stale, 1, &[measurement(1, 0.5)], now)
        .await
        .unwrap();
    assert_eq!(metrics.0, Verdict::Fenced);
    let commit = store
        .commit_artifact(stale, Purpose::Checkpoint, artifact, 1, 1, now)
        .await;
    assert_eq!(commit.unwrap(), Verdict::Fenced);
    assert_eq!(
        store
            .fail(stale, &failure(), AfterFailure::GiveUp, now)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        store.release(&[stale], now).await.unwrap(),
        [Verdict::Fenced]
    );
    assert_eq!(store.budget(stale).await.unwrap(), None);
    let directives = store
        .heartbeat(slow, &[held(&old)], at(99), 0, now)
        .await
        .unwrap();
    assert_eq!(directives, [Directive::Fenced]);
    let told = store.explain(&identity(0).to_string()).await.unwrap();
    let outcomes: Vec<&str> = told.attempts.iter().map(|a| a.outcome.as_str()).collect();
    assert_eq!(outcomes, ["lost", "active"]);
    assert_eq!(told.state, TrialState::Leased);
    let verdicts = store
        .complete(&[(fence(quick, &new), result())], now)
        .await
        .unwrap();
    assert_eq!(verdicts, [Verdict::Accepted]);
}

async fn a_result_is_taken_once_and_acknowledged_as_often_as_it_is_sent(f: &Fixture) {
    f.sweep_of("s", (0..3).map(new_trial).collect()).await;
    let worker = f.open(1).await;
    let claimed = f.claim(worker, 3).await;
    let done: Vec<_> = claimed
        .iter()
        .map(|trial| (fence(worker, trial), result()))
        .collect();
    for _ in 0..2 {
        let verdicts = f.store.complete(&done, at(1)).await.unwrap();
        assert_eq!(verdicts, [Verdict::Accepted; 3]);
    }
    let row = f.row("s").await;
    assert_eq!(row.counts.get(&TrialState::Succeeded), Some(&3));
    assert_eq!(
        (row.state, row.finished_at),
        (SweepState::Finished, Some(at(1)))
    );
    assert!((row.cost_done - row.cost_total).abs() < 1e-9);
    let all = [identity(7), identity(2), identity(0)];
    assert_eq!(
        f.store.finished(&all).await.unwrap(),
        [identity(2), identity(0)]
    );
}

async fn a_lost_grant_comes_back_without_charge(f: &Fixture) {
    f.sweep_of("s", vec![new_trial(0)]).await;
    let worker = f.open(1).await;
    let trial = f.claim(worker, 1).await.remove(0);
    // The answer never arrived: the worker lists nothing, first within the grace and then after it.
    f.store
        .heartbeat(worker, &[], at(60), 10_000, at(5))
        .await
        .unwrap();
    assert_eq!(f.state(0).await, TrialState::Leased);
    f.store
        .heartbeat(worker, &[], at(60), 10_000, at(10))
        .await
        .unwrap();
    assert_eq!(f.state(0).await, TrialState::Ready);
    let again = f.ask(worker, 1, at(11)).await.claimed.remove(0);
    assert_eq!(again.attempt.0, trial.attempt.0 + 1);
    assert_eq!(
        f.store.budget(fence(worker, &again)).await.unwrap(),
        Some((0, 3))
    );
}

async fn metric_chunks_have_no_gaps(f: &Fixture) {
    f.sweep_of("s", vec![new_trial(0)]).await;
    let worker = f.open(1).await;
    let trial = f.claim(worker, 1).await.remove(0);
    let fence = fence(worker, &trial);
    let chunk = [measurement(1, 0.5), measurement(2, f64::INFINITY)];
    let append = |seq| f.store.append_metrics(fence, seq, &chunk, at(1));
    assert_eq!(append(1).await.unwrap(), (Verdict::Accepted, 1));
    assert_eq!(append(1).await.unwrap(), (Verdict::Accepted, 1));
    assert!(matches!(
        append(3).await,
        Err(StoreError::MetricGap { last: 1, found: 3 })
    ));
    assert_eq!(append(2).await.unwrap(), (Verdict::Accepted, 2));
}

async fn a_trial_waits_for_its_parent_and_starts_from_its_weights(f: &Fixture) {
    let mut child = new_trial(1);
    child.parent = Some(identity(0));
    let mut parent = new_trial(0);
    parent.keep_weights = false;
    f.sweep_of("s", vec![parent, child]).await;
    let worker = f.open(1).await;
    let trial = f.claim(worker, 5).await.remove(0);
    assert_eq!((trial.identity, trial.keep_weights), (identity(0), true));
    assert_eq!(f.state(1).await, TrialState::Blocked);
    let weights = Artifact {
        hash: data(5),
        bytes: 12,
    };
    let fence = fence(worker, &trial);
    f.store
        .commit_artifact(fence, Purpose::Weights, weights, 5, 50, at(1))
        .await
        .unwrap();
    f.store.complete(&[(fence, result())], at(2)).await.unwrap();
    let child = f.claim(worker, 5).await.remove(0);
    assert_eq!(
        (child.identity, child.parent_weights),
        (identity(1), Some(weights))
    );
    assert_eq!(f.store.artifacts_in_use().await.unwrap(), [data(5)]);
}

async fn what_waits_for_a_failed_trial_is_skipped(f: &Fixture) {
    let chain = (0..3).map(|n| {
        let mut trial = new_trial(n);
        trial.parent = n.checked_sub(1).map(identity);
        trial
    });
    f.sweep_of("s", chain.collect()).await;
    let worker = f.open(1).await;
    let trial = f.claim(worker, 1).await.remove(0);
    let fence = fence(worker, &trial);
    let after = f
        .store
        .fail(fence, &failure(), AfterFailure::Retry { at: at(9) }, at(1))
        .await;
    assert_eq!(after.unwrap(), Some(TrialState::Delayed));
    f.store.maintain(Timestamp(at(9).0 - 1)).await.unwrap();
    assert_eq!(f.state(0).await, TrialState::Delayed);
    f.store.maintain(at(9)).await.unwrap();
    let trial = f.claim(worker, 1).await.remove(0);
    let fence = super::fixture::fence(worker, &trial);
    for _ in 0..2 {
        let after = f
            .store
            .fail(fence, &failure(), AfterFailure::GiveUp, at(10))
            .await;
        assert_eq!(after.unwrap(), Some(TrialState::Failed));
    }
    let (failed, skipped) = (TrialState::Failed, TrialState::Skipped);
    assert_eq!(f.states(0..3).await, [failed, skipped, skipped]);
    let row = f.row("s").await;
    assert_eq!(row.first_failure.as_deref(), Some("the device is gone"));
    assert_eq!(row.state, SweepState::Finished);
}

async fn a_closed_session_is_closed_for_good(f: &Fixture) {
    f.sweep_of("s", vec![new_trial(0)]).await;
    let worker = f.open(1).await;
    f.claim(worker, 1).await;
    f.store.close_session(worker, at(1)).await.unwrap();
    assert_eq!(f.state(0).await, TrialState::Ready);
    let beat = f.store.heartbeat(worker, &[], at(60), 0, at(2)).await;
    assert!(matches!(beat, Err(StoreError::SessionClosed(session)) if session == worker));
}

async fn a_clock_that_is_set_back_keeps_no_trial_for_an_hour(f: &Fixture) {
    f.sweep_of("s", vec![new_trial(0)]).await;
    let worker = f.open(1).await;
    let trial = f.claim(worker, 1).await.remove(0);
    // A delay goes on through a small step, and ends with one that leaves more of it than any delay has.
    let after = AfterFailure::Retry { at: at(60) };
    let failed = f
        .store
        .fail(fence(worker, &trial), &failure(), after, at(1))
        .await;
    assert_eq!(failed.unwrap(), Some(TrialState::Delayed));
    f.store.maintain(at(-20)).await.unwrap();
    assert_eq!(f.state(0).await, TrialState::Delayed);
    let early = at(-3_600);
    assert_eq!(f.store.maintain(early).await.unwrap().trials_promoted, 1);
    // So does the wait for a worker that has not heard of a grant.
    f.ask(worker, 1, at(0)).await;
    let beat = |now: Timestamp| {
        f.store
            .heartbeat(worker, &[], now.plus_ms(LEASE_MS), 10_000, now)
    };
    beat(at(-5)).await.unwrap();
    assert_eq!(f.state(0).await, TrialState::Leased);
    beat(early).await.unwrap();
    assert_eq!(f.state(0).await, TrialState::Ready);
}
