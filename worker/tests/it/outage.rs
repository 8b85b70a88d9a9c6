//! A coordinator that does not answer: nothing that was trained is lost, nothing arrives twice.

use std::time::Duration;

use descent_worker::RunError;
use descent_worker::config::OrphanPolicy;

use crate::coordinator::{FIRST, State};
use crate::lab::{Lab, until};

#[tokio::test]
async fn training_goes_on_through_an_outage_and_is_delivered_after_it() {
    let lab = Lab::new();
    lab.add(3, 50);
    lab.script.allow(10);
    let worker = lab.start();
    lab.coordinator
        .until("first measurements", |state| {
            !state.trial(1).chunks.is_empty()
        })
        .await;
    lab.coordinator.change(|state| state.down = true);
    let missed = lab.coordinator.look().missed_beats;
    lab.script.allow(40);
    until("trained to the end", || lab.script.is_waiting()).await;
    lab.coordinator
        .until("it keeps trying", |state| missed + 5 < state.missed_beats)
        .await;
    assert!(
        lab.coordinator
            .look()
            .trials
            .values()
            .all(|trial| trial.result.is_none())
    );
    lab.coordinator.change(|state| state.down = false);
    lab.coordinator.until_done().await;
    let report = worker.drain().await;
    assert_eq!((report.completed, report.outages), (3, 1));
    for id in 1..=3 {
        lab.assert_undisturbed(id, 50);
        assert_eq!(lab.coordinator.look().trial(id).claimed.attempt, FIRST);
    }
}

#[tokio::test]
async fn lost_answers_are_asked_for_again_under_the_same_names() {
    let mut lab = Lab::new();
    lab.config.pack_trials = 2;
    lab.coordinator.change(|state| state.lossy = true);
    for id in 1..=6 {
        let mut trial = Lab::trial(id, 20);
        trial.checkpoint_epochs = 3;
        lab.coordinator.add(trial);
    }
    let worker = lab.start();
    lab.coordinator.until_done().await;
    let report = worker.drain().await;
    assert_eq!(report.completed, 6);
    for id in 1..=6 {
        lab.assert_undisturbed(id, 20);
        let state = lab.coordinator.look();
        assert_eq!(state.trial(id).claimed.attempt, FIRST);
    }
}

#[tokio::test]
async fn heartbeats_go_on_while_the_trainer_hangs() {
    let lab = Lab::new();
    lab.add(1, 5);
    lab.script.allow(2);
    let worker = lab.start();
    until("the trainer hangs", || lab.script.is_waiting()).await;
    let beats = lab.coordinator.look().beats;
    lab.coordinator
        .until("twenty beats", |state| beats + 20 < state.beats)
        .await;
    lab.script.free();
    lab.coordinator.until_done().await;
    worker.drain().await;
    lab.assert_undisturbed(1, 5);
}

#[tokio::test]
async fn a_forgotten_session_is_replaced_and_its_trials_are_dropped() {
    let lab = Lab::new();
    lab.add(2, 30);
    lab.script.allow(10);
    let worker = lab.start();
    lab.coordinator
        .until("it trains", |state| !state.trial(1).chunks.is_empty())
        .await;
    until("ten steps", || lab.script.is_waiting()).await;
    lab.coordinator.change(State::forget_sessions);
    lab.coordinator
        .until("a new session", |state| state.hellos.len() == 2)
        .await;
    lab.script.free();
    lab.coordinator.until_done().await;
    let report = worker.drain().await;
    assert_eq!((report.completed, report.dropped), (2, 2));
    let state = lab.coordinator.look();
    assert_ne!(state.hellos[0].session, state.hellos[1].session);
    for id in 1..=2 {
        // Nothing of the old attempt followed; the new one is whole.
        assert_eq!(state.trial(id).claimed.attempt.0, 2);
        assert_eq!(state.trial(id).epochs(2), (1..=30).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_orphan_stops_by_policy_and_hands_its_checkpoint_over_later() {
    let mut lab = Lab::new();
    lab.config.orphan_policy = OrphanPolicy::Stop;
    lab.config.orphan_grace = Duration::from_secs(600);
    lab.add(1, 1000);
    lab.script.allow(10);
    let worker = lab.start();
    until("ten steps", || lab.script.is_waiting()).await;
    lab.coordinator.change(|state| state.down = true);
    lab.clock.advance(Duration::from_secs(599));
    let missed = lab.coordinator.look().missed_beats;
    lab.coordinator
        .until("beats are missed", |state| missed + 3 < state.missed_beats)
        .await;
    lab.script.allow(2);
    until("it still trains", || lab.script.is_waiting()).await;
    assert!(!lab.script.has_removed(1));
    lab.clock.advance(Duration::from_secs(2));
    let missed = lab.coordinator.look().missed_beats;
    lab.coordinator
        .until("beats are missed", |state| missed + 3 < state.missed_beats)
        .await;
    lab.script.allow(100);
    until("it stops", || lab.script.has_removed(1)).await;
    lab.script.free();
    lab.coordinator.change(|state| state.down = false);
    lab.coordinator.until_done().await;
    let report = worker.drain().await;
    assert_eq!((report.completed, report.released), (1, 1));
    lab.assert_undisturbed(1, 1000);
}

#[tokio::test]
async fn another_version_is_refused_at_once() {
    let lab = Lab::new();
    lab.coordinator.change(|state| {
        state.refusal = Some("the worker speaks protocol 1, the coordinator 2".to_owned());
    });
    let error = lab.start().end().await.unwrap_err();
    assert!(matches!(error, RunError::Refused(_)));
    assert!(error.to_string().contains("protocol"), "{error}");
}

#[tokio::test]
async fn patience_with_a_coordinator_out_of_reach_ends() {
    let mut lab = Lab::new();
    lab.coordinator.change(|state| state.down = true);
    lab.config.connect_patience = Some(Duration::from_millis(20));
    let error = lab.start().end().await.unwrap_err();
    assert!(matches!(error, RunError::Unreachable(_)), "{error}");
}
