//! What the coordinator takes away is let go, and nothing further is said about it.

use descent_spec::lease::{Directive, SessionDirective};
use descent_spec::state::TrialState;

use crate::lab::{Lab, until};

/// Takes trial 2 of 3 away in the middle and lets the others finish.
async fn check_taken_away(take: impl FnOnce(&mut crate::coordinator::State)) {
    let lab = Lab::new();
    lab.add(3, 30);
    lab.script.allow(10);
    let worker = lab.start();
    until("ten steps", || lab.script.is_waiting()).await;
    lab.coordinator.change(take);
    let beats = lab.coordinator.look().beats;
    lab.coordinator
        .until("it was told", |state| beats + 2 < state.beats)
        .await;
    let calls = lab.coordinator.look().trial(2).calls;
    lab.script.allow(5);
    until("it left the pack", || lab.script.has_removed(2)).await;
    lab.script.free();
    lab.coordinator
        .until("the others are done", |state| {
            state.trial(1).result.is_some() && state.trial(3).result.is_some()
        })
        .await;
    let report = worker.drain().await;
    assert_eq!((report.completed, report.dropped), (2, 1));
    for id in [1, 3] {
        lab.assert_undisturbed(id, 30);
    }
    assert_eq!(lab.coordinator.look().trial(2).calls, calls);
    assert!(lab.coordinator.look().trial(2).result.is_none());
}

#[tokio::test]
async fn a_fenced_attempt_is_dropped_in_the_middle() {
    check_taken_away(|state| state.steal(2)).await;
}

#[tokio::test]
async fn a_cancelled_trial_is_dropped_in_the_middle() {
    check_taken_away(|state| state.trial_mut(2).directive = Some(Directive::Cancel)).await;
}

#[tokio::test]
async fn a_result_that_comes_too_late_is_dropped() {
    let lab = Lab::new();
    lab.add(1, 5);
    lab.coordinator
        .change(|state| state.hold_completions = true);
    let worker = lab.start();
    lab.coordinator
        .until("its weights are there", |state| !state.artifacts.is_empty())
        .await;
    lab.coordinator.change(|state| {
        state.steal(1);
        state.hold_completions = false;
    });
    lab.coordinator
        .until("it was tried", |state| !state.completions.is_empty())
        .await;
    let report = worker.drain().await;
    assert_eq!((report.completed, report.dropped), (0, 1));
    assert!(lab.coordinator.look().trial(1).result.is_none());
}

#[tokio::test]
async fn a_coordinator_can_drain_a_worker() {
    let lab = Lab::new();
    lab.add(1, 1000);
    lab.script.allow(10);
    let worker = lab.start();
    until("ten steps", || lab.script.is_waiting()).await;
    lab.coordinator
        .change(|state| state.session_directive = Some(SessionDirective::Drain));
    until("it drains", || worker.shutdown.is_draining()).await;
    lab.script.free();
    let report = worker.end().await.unwrap();
    assert_eq!(report.released, 1);
    assert!(!lab.coordinator.look().trial(1).checkpoints.is_empty());
}

#[tokio::test]
async fn a_trial_that_is_wanted_back_is_saved_and_goes_on_where_it_was() {
    let lab = Lab::new();
    lab.add(2, 30);
    lab.script.allow(10);
    let worker = lab.start();
    until("ten steps", || lab.script.is_waiting()).await;
    let directive = |directive| {
        lab.coordinator
            .change(|state| state.trial_mut(1).directive = directive);
    };
    directive(Some(Directive::Release));
    let beats = lab.coordinator.look().beats;
    lab.coordinator
        .until("it was told", |state| beats + 2 < state.beats)
        .await;
    lab.script.allow(5);
    until("it left the pack", || lab.script.has_removed(1)).await;
    lab.coordinator
        .until("it is anybody's", |state| {
            state.trial(1).state == TrialState::Ready
        })
        .await;
    assert_eq!(lab.coordinator.look().trial(1).checkpoints.len(), 1);
    directive(None);
    lab.script.free();
    lab.coordinator.until_done().await;
    let report = worker.drain().await;
    assert_eq!((report.completed, report.released), (2, 1));
    for id in [1, 2] {
        lab.assert_undisturbed(id, 30);
    }
}
