//! Draining and going on: what a second life makes of what the first one left.

use std::sync::Arc;

use descent_spec::state::TrialState;

use crate::lab::{Lab, until};
use crate::script::Script;

/// Trains two trials of 40 epochs up to a drain after some ten.
async fn drained() -> Lab {
    drained_in(Lab::new()).await
}

/// The same in a lab of one's own.
async fn drained_in(lab: Lab) -> Lab {
    lab.add(2, 40);
    lab.script.allow(10);
    let worker = lab.start();
    until("ten steps", || lab.script.is_waiting()).await;
    worker.shutdown.drain();
    // The slice that is under way ends first.
    lab.script.allow(20);
    let report = worker.end().await.unwrap();
    assert_eq!(
        (report.completed, report.released, report.undelivered),
        (0, 2, 0)
    );
    {
        let state = lab.coordinator.look();
        for id in 1..=2 {
            let trial = state.trial(id);
            assert_eq!(trial.state, TrialState::Ready);
            let saved = *trial.checkpoints.last().unwrap();
            assert!((10..40).contains(&saved), "{saved}");
            assert_eq!(trial.epochs(1), (1..=saved).collect::<Vec<_>>());
        }
        assert!(state.closed);
    }
    lab.script.free();
    lab
}

#[tokio::test]
async fn a_drained_trial_goes_on_where_it_was() {
    let lab = drained().await;
    let worker = lab.start_as(2);
    lab.coordinator.until_done().await;
    worker.drain().await;
    for id in 1..=2 {
        // Both attempts together measured every epoch once: the second began where the first ended.
        lab.assert_undisturbed(id, 40);
        assert_eq!(lab.coordinator.look().trial(id).claimed.attempt.0, 2);
    }
}

#[tokio::test]
async fn what_the_processor_computes_for_a_device_goes_on_beside_another_device() {
    let mut lab = Lab::new();
    let on = |lab: &Lab, device| {
        let script = Script::new(Arc::clone(&lab.clock));
        Arc::new(script.with_instruction_set(device).with_processor("avx512"))
    };
    lab.script = on(&lab, "cuda-sm80");
    let mut lab = drained_in(lab).await;
    lab.script = on(&lab, "cuda-sm90");
    let worker = lab.start_as(2);
    lab.coordinator.until_done().await;
    worker.drain().await;
    for id in 1..=2 {
        lab.assert_undisturbed(id, 40);
    }
}

/// After `spoil`, the second life starts over and ends with the same numbers.
async fn check_starts_over(spoil: impl FnOnce(&mut Lab)) {
    let mut lab = drained().await;
    spoil(&mut lab);
    let worker = lab.start_as(2);
    lab.coordinator.until_done().await;
    let report = worker.drain().await;
    assert_eq!((report.completed, report.failed), (2, 0));
    let state = lab.coordinator.look();
    for id in 1..=2 {
        let trial = state.trial(id);
        assert_eq!(trial.epochs(2), (1..=40).collect::<Vec<_>>());
        let weights = crate::script::weights_after(u64::try_from(id).unwrap(), b"", 40);
        let hash = descent_spec::id::ContentHash::of(&weights);
        assert_eq!(trial.result.as_ref().unwrap().weights, Some(hash));
    }
}

#[tokio::test]
async fn a_damaged_checkpoint_costs_only_time() {
    check_starts_over(|lab| {
        lab.coordinator.change(|state| {
            for content in state.artifacts.values_mut() {
                content[0] ^= 1;
            }
        });
    })
    .await;
}

#[tokio::test]
async fn a_missing_checkpoint_costs_only_time() {
    check_starts_over(|lab| lab.coordinator.change(|state| state.artifacts.clear())).await;
}

#[tokio::test]
async fn a_checkpoint_of_another_instruction_set_is_not_mixed_in() {
    check_starts_over(|lab| {
        lab.script = Arc::new(Script::new(Arc::clone(&lab.clock)).with_instruction_set("another"));
    })
    .await;
}

#[tokio::test]
async fn a_checkpoint_that_the_trainer_cannot_read_costs_only_time() {
    check_starts_over(|lab| {
        lab.coordinator.change(|state| {
            let content = b"script\nnot a number\n".to_vec();
            let hash = descent_spec::id::ContentHash::of(&content);
            for trial in state.trials.values_mut() {
                trial.claimed.checkpoint.as_mut().unwrap().hash = hash;
            }
            state.artifacts.insert(hash, content);
        });
    })
    .await;
}
