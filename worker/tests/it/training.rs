//! What training gives when nothing goes wrong, and when the trainer does.

use descent_spec::id::ContentHash;
use descent_spec::lease::{Artifact, Directive};
use descent_spec::outcome::FailureKind;
use std::sync::Arc;

use crate::coordinator::State;
use crate::lab::{Lab, until};
use crate::script::{Mishap, Script, weights_after};

#[tokio::test]
async fn packs_become_results_with_every_epoch_measured_once() {
    let mut lab = Lab::new();
    lab.config.pack_trials = 3;
    lab.config.slots = 2;
    lab.add(8, 30);
    let worker = lab.start();
    lab.coordinator.until_done().await;
    let report = worker.drain().await;
    assert_eq!((report.completed, report.undelivered), (8, 0));
    for id in 1..=8 {
        lab.assert_undisturbed(id, 30);
        let state = lab.coordinator.look();
        let result = state.trial(id).result.as_ref().unwrap();
        assert!(0 < result.train_ms, "the worker has the clock");
    }
    assert!(lab.script.opened().iter().all(|&members| members <= 3));
    let state = lab.coordinator.look();
    assert!(state.closed && state.sessions.is_empty());
    assert_eq!(state.hellos[0].data, [crate::script::DATA]);
}

#[tokio::test]
async fn results_that_wait_for_one_call_go_together_with_the_next() {
    let lab = Lab::new();
    lab.add(6, 5);
    lab.coordinator
        .change(|state| state.hold_completions = true);
    let worker = lab.start();
    lab.coordinator
        .until("all weights are there", |state| state.artifacts.len() == 6)
        .await;
    until("couriers have handed in", || {
        // All that is left to do is to wait for the verdicts.
        lab.script.opened() == [6]
    })
    .await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    lab.coordinator
        .change(|state| state.hold_completions = false);
    lab.coordinator.until_done().await;
    worker.drain().await;
    let calls = lab.coordinator.look().completions.clone();
    assert_eq!(calls.iter().sum::<usize>(), 6);
    assert!(calls.len() <= 2, "{calls:?}");
}

#[tokio::test]
async fn a_trial_starts_from_its_parents_weights() {
    let lab = Lab::new();
    let parent = b"weights of a narrower network".to_vec();
    let mut trial = Lab::trial(1, 4);
    trial.parent_weights = Some(Artifact {
        hash: ContentHash::of(&parent),
        bytes: parent.len() as u64,
    });
    lab.coordinator.change(|state| {
        state
            .artifacts
            .insert(ContentHash::of(&parent), parent.clone());
    });
    lab.coordinator.add(trial.clone());
    // A second one, whose parent's weights are damaged, cannot start; the worker lives on.
    trial.trial.0 = 2;
    trial.parent_weights = Some(Artifact {
        hash: ContentHash([9; 32]),
        bytes: 3,
    });
    lab.coordinator.change(|state| {
        state
            .artifacts
            .insert(ContentHash([9; 32]), b"abc".to_vec());
    });
    lab.coordinator.add(trial);
    let worker = lab.start();
    lab.coordinator.until_done().await;
    let report = worker.drain().await;
    assert_eq!((report.completed, report.failed), (1, 1));
    let state = lab.coordinator.look();
    let weights = weights_after(1, &parent, 4);
    let result = state.trial(1).result.as_ref().unwrap();
    assert_eq!(result.weights, Some(ContentHash::of(&weights)));
    let failure = state.trial(2).failure.as_ref().unwrap();
    assert_eq!(failure.kind, FailureKind::Artifact, "{}", failure.message);
}

#[tokio::test]
async fn a_panic_costs_only_the_trial_that_caused_it() {
    let lab = Lab::new();
    lab.add(4, 12);
    lab.script.mishap(3, Mishap::Panic { step: 7 });
    let worker = lab.start();
    lab.coordinator.until_done().await;
    let report = worker.drain().await;
    assert_eq!((report.completed, report.failed), (3, 1));
    // Nobody waits here for others to end: half of a pack that panicked goes on, the other half is handed back.
    assert_eq!(lab.script.opened(), [4, 2, 2, 1, 1]);
    assert_eq!(report.released, 3);
    for id in [1, 2] {
        lab.assert_undisturbed(id, 12);
    }
    lab.assert_same_end(4, 12);
    let state = lab.coordinator.look();
    let failure = state.trial(3).failure.as_ref().unwrap();
    assert_eq!(failure.kind, FailureKind::Panic);
    assert!(
        failure.message.contains("by the script at step 7"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn a_trial_that_panics_is_found_though_others_are_more_urgent() {
    let lab = Lab::new();
    lab.add(3, 12);
    // It was handed back before, and stands behind the others.
    let mut often = Lab::trial(4, 12);
    often.attempt.0 = 5;
    lab.coordinator.add(often);
    lab.script.mishap(4, Mishap::Panic { step: 7 });
    let worker = lab.start();
    lab.coordinator.until_done().await;
    let report = worker.drain().await;
    assert_eq!((report.completed, report.failed), (3, 1));
    // All, it and the first, it alone; then the others.
    assert_eq!(lab.script.opened(), [4, 2, 1, 3]);
}

#[tokio::test]
async fn who_waits_to_begin_once_more_is_not_listed_as_one_that_stands_still() {
    let lab = Lab::new();
    for id in 1..=2 {
        let mut trial = Lab::trial(id, 12);
        trial.checkpoint_epochs = 3;
        lab.coordinator.add(trial);
    }
    lab.script.mishap(2, Mishap::Panic { step: 7 });
    lab.script.allow(5);
    let worker = lab.start();
    let saved = |state: &State| !state.trial(1).checkpoints.is_empty();
    lab.coordinator.until("a checkpoint", saved).await;
    // The first one cannot go on before it has its checkpoint.
    lab.coordinator.change(|state| state.hold_reads = true);
    lab.script.free();
    let waits = |state: &State| {
        let held = state.held.iter();
        let all: Vec<_> = held.map(|at| (at.trial.0, at.epoch, at.step)).collect();
        all == [(1, 0, 0)]
    };
    lab.coordinator
        .until("it is listed as waiting", waits)
        .await;
    lab.coordinator.change(|state| state.hold_reads = false);
    lab.coordinator.until_done().await;
    worker.drain().await;
    lab.assert_same_end(1, 12);
}

#[tokio::test]
async fn what_the_trainer_reports_keeps_its_kind() {
    let lab = Lab::new();
    lab.add(2, 12);
    lab.script.mishap(1, Mishap::OutOfMemory { step: 2 });
    let mut unreadable = Lab::trial(3, 12);
    unreadable.params = r#"{"no.such":1}"#.to_owned();
    lab.coordinator.add(unreadable);
    let worker = lab.start();
    lab.coordinator.until_done().await;
    worker.drain().await;
    lab.assert_undisturbed(2, 12);
    let state = lab.coordinator.look();
    let kind = |id| state.trial(id).failure.as_ref().unwrap().kind;
    assert_eq!(kind(1), FailureKind::OutOfMemory);
    assert_eq!(kind(3), FailureKind::BadSpec);
}

#[tokio::test]
async fn weights_that_are_not_those_of_their_result_are_not_kept() {
    let lab = Lab::new();
    lab.add(2, 12);
    lab.script.mishap(1, Mishap::Damage { step: 12 });
    let worker = lab.start();
    lab.coordinator.until_done().await;
    worker.drain().await;
    lab.assert_undisturbed(2, 12);
    let state = lab.coordinator.look();
    let trial = state.trial(1);
    assert!(trial.result.is_none());
    let failure = trial.failure.as_ref().unwrap();
    assert_eq!(failure.kind, FailureKind::Artifact, "{}", failure.message);
    assert_eq!(state.artifacts.len(), 1);
}

#[tokio::test]
async fn a_time_limit_ends_its_trial_and_no_other() {
    let lab = Lab::new();
    lab.add(1, 40);
    let mut limited = Lab::trial(2, 40);
    limited.time_limit_ms = 150;
    lab.coordinator.add(limited);
    let worker = lab.start();
    lab.coordinator.until_done().await;
    worker.drain().await;
    lab.assert_undisturbed(1, 40);
    let state = lab.coordinator.look();
    let failure = state.trial(2).failure.as_ref().unwrap();
    assert_eq!(failure.kind, FailureKind::TimeLimit);
    assert!(failure.message.contains("0.15 s"), "{}", failure.message);
    // A step takes 10 ms.
    let measured = state.trial(2).epochs(1).len();
    assert!((15..40).contains(&measured), "{measured}");
}

#[tokio::test]
async fn trials_that_do_not_fit_beside_each_other_follow_each_other() {
    let mut lab = Lab::new();
    lab.config.memory_bytes = 64 << 20;
    lab.script = Arc::new(Script::new(Arc::clone(&lab.clock)).with_trial_bytes(30 << 20));
    lab.add(5, 6);
    let worker = lab.start();
    lab.coordinator.until_done().await;
    let report = worker.drain().await;
    assert_eq!(report.completed, 5);
    // 5 granted, 2 fit; 3 granted, 2 fit; 1.
    assert_eq!(lab.script.opened(), [2, 2, 1]);
    assert_eq!(report.released, 4);
}

#[tokio::test]
async fn a_trial_larger_than_the_worker_says_how_much_it_needs() {
    let mut lab = Lab::new();
    lab.config.memory_bytes = 16 << 20;
    lab.script = Arc::new(Script::new(Arc::clone(&lab.clock)).with_trial_bytes(30 << 20));
    lab.add(1, 6);
    let worker = lab.start();
    lab.coordinator.until_done().await;
    worker.drain().await;
    let state = lab.coordinator.look();
    let failure = state.trial(1).failure.as_ref().unwrap();
    assert_eq!(failure.kind, FailureKind::OutOfMemory);
    assert!(failure.message.contains("30 MiB"), "{}", failure.message);
    assert!(failure.message.contains("--memory"), "{}", failure.message);
}

#[tokio::test]
async fn checkpoints_come_by_epochs_by_time_and_on_demand() {
    let lab = Lab::new();
    let mut by_epochs = Lab::trial(1, 100);
    by_epochs.checkpoint_epochs = 20;
    let mut by_time = Lab::trial(2, 100);
    by_time.checkpoint_ms = 300;
    lab.coordinator.add(by_epochs);
    lab.coordinator.add(by_time);
    lab.coordinator.add(Lab::trial(3, 100));
    lab.script.allow(50);
    let worker = lab.start();
    until("fifty steps", || lab.script.is_waiting()).await;
    lab.coordinator
        .until("checkpoints by epochs and time", |state| {
            !state.trial(1).checkpoints.is_empty() && !state.trial(2).checkpoints.is_empty()
        })
        .await;
    assert!(lab.coordinator.look().trial(3).checkpoints.is_empty());
    lab.coordinator.change(|state| {
        state.trial_mut(3).directive = Some(Directive::CheckpointNow);
    });
    let beats = lab.coordinator.look().beats;
    lab.coordinator
        .until("it was told", |state| beats + 1 < state.beats)
        .await;
    lab.script.allow(5);
    lab.coordinator
        .until("a checkpoint on demand", |state| {
            !state.trial(3).checkpoints.is_empty()
        })
        .await;
    lab.script.free();
    lab.coordinator.until_done().await;
    worker.drain().await;
    for id in 1..=3 {
        lab.assert_undisturbed(id, 100);
    }
}
