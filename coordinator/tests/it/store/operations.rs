//! Sweeps and workers that are stopped: pauses that reach what is in training, alike failures, poisoned trials, quarantines, drains.

use descent_coordinator::store::{
    AfterFailure, Claimed, Directive, Lost, NewTrial, Pardon, Slice, Steer, Verdict,
};
use descent_spec::id::{SessionId, Timestamp, TrialId};
use descent_spec::outcome::{Failure, FailureKind};
use descent_spec::state::{SweepState, TrialState};

use super::fixture::{
    Fixture, LEASE_MS, T0, at, fence, held, identity, new_sweep, new_trial, result,
};

super::on_every_engine!(
    a_pause_asks_back_what_no_running_sweep_wants,
    alike_failures_in_a_row_pause_the_sweep_until_it_is_resumed,
    a_result_or_another_message_ends_the_row,
    a_shared_trial_pauses_each_sweep_by_its_own_limit,
    a_trial_that_takes_down_two_workers_is_poisoned_and_its_companions_are_not,
    one_worker_alone_poisons_only_where_there_is_another,
    a_quarantined_worker_gets_nothing_and_its_trials_are_not_charged,
    a_drained_session_gets_nothing,
    what_trials_may_take_is_known,
);

fn failure(message: &str) -> Failure {
    Failure {
        kind: FailureKind::Data,
        message: message.to_owned(),
    }
}

/// A sweep that so many alike failures pause.
async fn sweep_of(f: &Fixture, name: &str, limit: u32, trials: Vec<NewTrial>) {
    let mut new = new_sweep(name, trials.len() as u64);
    new.max_alike_failures = limit;
    let sweep = f.submit(&new).await;
    let slice = Slice {
        sweep,
        edition: 1,
        from: 0,
        to: new.points,
        trials,
        last: true,
    };
    f.store.expand(&slice, T0).await.unwrap();
}

/// Claims one trial and lets it fail for good.
async fn fail_one(f: &Fixture, worker: SessionId, message: &str) -> TrialState {
    let trial = f.claim(worker, 1).await.remove(0);
    let fence = fence(worker, &trial);
    let after = AfterFailure::GiveUp;
    let failed = f.store.fail(fence, &failure(message), after, at(1)).await;
    failed.unwrap().unwrap()
}

async fn beat(
    f: &Fixture,
    worker: SessionId,
    trials: &[&Claimed],
    now: Timestamp,
) -> Vec<Directive> {
    let held: Vec<_> = trials.iter().map(|trial| held(trial)).collect();
    let until = now.plus_ms(LEASE_MS);
    let told = f.store.heartbeat(worker, &held, until, 10_000, now).await;
    told.unwrap()
}

async fn a_pause_asks_back_what_no_running_sweep_wants(f: &Fixture) {
    f.sweep_of("a", (0..2).map(new_trial).collect()).await;
    f.sweep_of("b", (1..3).map(new_trial).collect()).await;
    let worker = f.open(1).await;
    let trials = f.claim(worker, 3).await;
    let own = trials.iter().find(|trial| trial.identity == identity(0));
    let own = own.unwrap();
    let others: Vec<&Claimed> = trials.iter().filter(|trial| *trial != own).collect();
    let steer = |steer| f.store.steer(f.request(), "a", steer, at(1));
    steer(Steer::Pause).await.unwrap();
    assert_eq!(beat(f, worker, &[own], at(2)).await, [Directive::Release]);
    assert_eq!(
        beat(f, worker, &others, at(2)).await,
        [Directive::Continue; 2]
    );
    // It is still the worker's, whatever it does first.
    steer(Steer::Resume).await.unwrap();
    assert_eq!(beat(f, worker, &[own], at(3)).await, [Directive::Continue]);
    steer(Steer::Pause).await.unwrap();
    let released = f.store.release(&[fence(worker, own)], at(4)).await.unwrap();
    assert_eq!(released, [Verdict::Accepted]);
    assert!(f.ask(worker, 3, at(5)).await.claimed.is_empty());
    steer(Steer::Resume).await.unwrap();
    let again = f.ask(worker, 3, at(6)).await.claimed.remove(0);
    assert_eq!((again.identity, again.attempt.0), (identity(0), 2));
    let budget = f.store.budget(fence(worker, &again)).await.unwrap();
    assert_eq!(budget, Some((0, 3)), "nothing was charged");
}

async fn alike_failures_in_a_row_pause_the_sweep_until_it_is_resumed(f: &Fixture) {
    sweep_of(f, "s", 2, (0..6).map(new_trial).collect()).await;
    let worker = f.open(1).await;
    let running = f.claim(worker, 1).await.remove(0);
    fail_one(f, worker, "file 1 is gone").await;
    assert_eq!(f.row("s").await.state, SweepState::Running);
    fail_one(f, worker, "file 2 is gone").await;
    let row = f.row("s").await;
    assert_eq!(row.state, SweepState::Paused);
    let reason = row.pause_reason.unwrap();
    assert!(reason.contains("2 trials in a row"), "{reason}");
    assert!(reason.ends_with("file 1 is gone"), "{reason}");
    let told = f.store.explain(&identity(5).to_string()).await.unwrap();
    assert!(told.held_back);
    assert_eq!(told.pauses, [reason]);
    assert!(f.claim(worker, 1).await.is_empty());
    assert_eq!(
        beat(f, worker, &[&running], at(2)).await,
        [Directive::Release]
    );
    let row = f
        .store
        .steer(f.request(), "s", Steer::Resume, at(3))
        .await
        .unwrap();
    assert_eq!((row.state, row.pause_reason), (SweepState::Running, None));
    // Counted anew.
    fail_one(f, worker, "file 3 is gone").await;
    assert_eq!(f.row("s").await.state, SweepState::Running);
    fail_one(f, worker, "file 4 is gone").await;
    assert_eq!(f.row("s").await.state, SweepState::Paused);
}

async fn a_result_or_another_message_ends_the_row(f: &Fixture) {
    sweep_of(f, "s", 2, (0..7).map(new_trial).collect()).await;
    let worker = f.open(1).await;
    for message in ["no file", "no cable", "no file"] {
        fail_one(f, worker, message).await;
    }
    let trial = f.claim(worker, 1).await.remove(0);
    let done = [(fence(worker, &trial), result())];
    f.store.complete(&done, at(1)).await.unwrap();
    fail_one(f, worker, "no file").await;
    assert_eq!(f.row("s").await.state, SweepState::Running);
    // A trial that fails again counts once, and one that is not charged not at all.
    let trial = f.claim(worker, 1).await.remove(0);
    let pardon = AfterFailure::Pardon;
    let state = f
        .store
        .fail(fence(worker, &trial), &failure("no file"), pardon, at(1))
        .await;
    assert_eq!(state.unwrap(), Some(TrialState::Ready));
    let trial = f.claim(worker, 1).await.remove(0);
    assert_eq!(
        f.store.budget(fence(worker, &trial)).await.unwrap(),
        Some((0, 3))
    );
    assert_eq!(f.row("s").await.state, SweepState::Running);
}

async fn a_shared_trial_pauses_each_sweep_by_its_own_limit(f: &Fixture) {
    sweep_of(f, "strict", 1, (0..2).map(new_trial).collect()).await;
    sweep_of(f, "patient", 0, (0..3).map(new_trial).collect()).await;
    sweep_of(f, "other", 1, vec![new_trial(9)]).await;
    let worker = f.open(1).await;
    fail_one(f, worker, "no file").await;
    assert_eq!(f.row("strict").await.state, SweepState::Paused);
    assert_eq!(f.row("patient").await.state, SweepState::Running);
    assert_eq!(f.row("other").await.state, SweepState::Running);
    // What a running sweep shares with the paused one goes on.
    let told = f.store.explain(&identity(1).to_string()).await.unwrap();
    assert!(!told.held_back);
}

/// A worker takes what it is given and is never heard of again.
async fn die(f: &Fixture, life: u8, max: u32, now: Timestamp) -> (Vec<Claimed>, Vec<Lost>) {
    let session = f.open(life).await;
    beat(f, session, &[], now).await;
    let claim = f.ask(session, max, now).await;
    f.store
        .disown(&format!("worker-{life}"), now)
        .await
        .unwrap();
    (claim.claimed, claim.lost)
}

async fn a_trial_that_takes_down_two_workers_is_poisoned_and_its_companions_are_not(f: &Fixture) {
    let mut child = new_trial(9);
    child.parent = Some(identity(0));
    f.sweep_of("s", (0..3).map(new_trial).chain([child]).collect())
        .await;
    // Packs of three die twice; then each is tried alone.
    for life in 1..=2 {
        let (taken, lost) = die(f, life, 3, at(life.into())).await;
        assert_eq!(taken.len(), 3, "life {life}");
        assert_eq!(lost.len(), if life == 1 { 0 } else { 3 }, "life {life}");
    }
    for life in 3..=5 {
        let (taken, lost) = die(f, life, 3, at(life.into())).await;
        assert_eq!((taken.len(), lost.len()), (1, 1), "life {life}");
        assert_eq!(taken[0].identity, identity(0));
    }
    // The sixth claim finds that five were enough, and goes on to the next.
    let last = f.open(6).await;
    beat(f, last, &[], at(6)).await;
    let claim = f.ask(last, 3, at(6)).await;
    assert_eq!(
        claim.lost.iter().map(|lost| lost.poisoned).next(),
        Some(true)
    );
    let (poisoned, skipped) = (TrialState::Poisoned, TrialState::Skipped);
    assert_eq!((f.state(0).await, f.state(9).await), (poisoned, skipped));
    let mut taken = claim.claimed;
    while let Some(trial) = taken.pop() {
        let done = [(fence(last, &trial), result())];
        assert_eq!(
            f.store.complete(&done, at(7)).await.unwrap(),
            [Verdict::Accepted]
        );
        if taken.is_empty() {
            taken = f.ask(last, 3, at(7)).await.claimed;
        }
    }
    assert_eq!(f.states(1..3).await, [TrialState::Succeeded; 2]);
    assert_eq!(f.row("s").await.state, SweepState::Finished);
    let told = f.store.explain(&identity(0).to_string()).await.unwrap();
    assert!(
        told.attempts
            .iter()
            .all(|attempt| attempt.outcome == "lost")
    );
    // Somebody looked at it: its budget is new.
    let which = descent_coordinator::store::Rerun::Failed;
    assert_eq!(
        f.store.rerun(f.request(), "s", which, at(8)).await.unwrap(),
        2
    );
    assert_eq!(f.state(0).await, TrialState::Ready);
}

async fn one_worker_alone_poisons_only_where_there_is_another(f: &Fixture) {
    f.sweep_of("s", vec![new_trial(0)]).await;
    let crash = async |now| {
        let (taken, _) = die(f, 1, 1, now).await;
        taken.len()
    };
    // Killed by hand, perhaps: it goes on each time.
    for now in 1..=12 {
        assert_eq!(crash(at(now)).await, 1);
    }
    // Another one could have it, and it stays with the one that it kills.
    let other = f.open(2).await;
    beat(f, other, &[], at(13)).await;
    assert_eq!(crash(at(13)).await, 0);
    assert_eq!(f.state(0).await, TrialState::Poisoned);
}

async fn a_quarantined_worker_gets_nothing_and_its_trials_are_not_charged(f: &Fixture) {
    let mut child = new_trial(9);
    child.parent = Some(identity(0));
    f.sweep_of("s", (0..3).map(new_trial).chain([child]).collect())
        .await;
    let (bad, good) = (f.open(1).await, f.open(2).await);
    fail_one(f, bad, "no file").await;
    let delayed = f.claim(bad, 1).await.remove(0);
    let after = AfterFailure::Retry { at: at(50) };
    let failed = f
        .store
        .fail(fence(bad, &delayed), &failure("no file"), after, at(1))
        .await;
    assert_eq!(failed.unwrap(), Some(TrialState::Delayed));
    assert_eq!(
        f.states(0..2).await,
        [TrialState::Failed, TrialState::Delayed]
    );
    let first = f
        .store
        .explain(&identity(0).to_string())
        .await
        .unwrap()
        .trial;
    let pardon = Pardon {
        failed: vec![first, delayed.trial],
        lost: Vec::new(),
    };
    let keep_away = |until| {
        f.store
            .quarantine("worker-1", until, "it fails", &pardon, at(2))
    };
    keep_away(at(600)).await.unwrap();
    assert_eq!(
        f.states(0..2).await,
        [TrialState::Ready, TrialState::Delayed]
    );
    assert_eq!(f.state(9).await, TrialState::Blocked);
    assert!(f.ask(bad, 3, at(3)).await.claimed.is_empty());
    let orders = f.store.orders(at(3)).await.unwrap();
    assert_eq!(
        orders.quarantined.get(&bad).map(String::as_str),
        Some("it fails")
    );
    assert_eq!(orders.quarantined.len(), 1);
    let rows = f.store.workers(at(3)).await.unwrap();
    let quarantine = rows.iter().map(|row| row.quarantine.clone());
    let expected = Some((at(600), "it fails".to_owned()));
    assert_eq!(quarantine.collect::<Vec<_>>(), [expected, None]);
    f.store.maintain(at(29)).await.unwrap();
    beat(f, good, &[], at(29)).await;
    beat(f, bad, &[], at(29)).await;
    f.store.maintain(at(50)).await.unwrap();
    for trial in f.ask(good, 3, at(50)).await.claimed {
        let budget = f.store.budget(fence(good, &trial)).await.unwrap();
        assert_eq!(budget, Some((0, 3)), "{}", trial.identity);
        f.store
            .release(&[fence(good, &trial)], at(50))
            .await
            .unwrap();
    }
    // By time, and by a restart in order.
    assert!(
        f.store
            .orders(at(600))
            .await
            .unwrap()
            .quarantined
            .is_empty()
    );
    assert!(!f.ask(bad, 1, at(600)).await.claimed.is_empty());
    keep_away(at(9_000)).await.unwrap();
    f.store.close_session(bad, at(601)).await.unwrap();
    let mut again = f.store.workers(at(602)).await.unwrap();
    again.retain(|row| row.quarantine.is_some());
    assert!(again.is_empty());
}

async fn a_drained_session_gets_nothing(f: &Fixture) {
    f.sweep_of("s", vec![new_trial(0)]).await;
    let (going, staying) = (f.open(1).await, f.open(2).await);
    assert_eq!(f.store.drain("nobody").await.unwrap(), 0);
    assert_eq!(f.store.drain("worker-1").await.unwrap(), 1);
    let orders = f.store.orders(at(1)).await.unwrap();
    assert_eq!(orders.draining.into_iter().collect::<Vec<_>>(), [going]);
    assert!(f.claim(going, 1).await.is_empty());
    assert_eq!(f.claim(staying, 1).await.len(), 1);
    let rows = f.store.workers(at(1)).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.draining, row.trials)).collect();
    assert_eq!(told, [(true, 0), (false, 1)]);
    f.store.close_session(going, at(2)).await.unwrap();
    assert!(f.store.orders(at(2)).await.unwrap().draining.is_empty());
}

async fn what_trials_may_take_is_known(f: &Fixture) {
    let mut slow = new_trial(1);
    (slow.stall_ms, slow.time_limit_ms) = (7_000, 9_000);
    f.sweep_of("s", vec![new_trial(0), slow]).await;
    let worker = f.open(1).await;
    let claimed = f.claim(worker, 2).await;
    let ids: Vec<TrialId> = claimed.iter().map(|trial| trial.trial).collect();
    let limits = f
        .store
        .limits(&[ids[1], ids[0], TrialId(999)])
        .await
        .unwrap();
    let told: Vec<_> = limits
        .iter()
        .map(|of| (of.trial, of.stall_ms, of.time_limit_ms))
        .collect();
    assert_eq!(told, [(ids[0], 600_000, 0), (ids[1], 7_000, 9_000)]);
}
