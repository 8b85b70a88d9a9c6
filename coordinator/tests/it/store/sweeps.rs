//! Sweeps: acknowledged, expanded, shared, steered.

use descent_coordinator::store::{IfExists, Rerun, Slice, Steer, StoreError};
use descent_spec::state::{SweepState, TrialState};

use super::fixture::{Fixture, T0, at, fence, identity, new_sweep, new_trial, result};

super::on_every_engine!(
    a_slice_that_comes_twice_counts_once,
    two_sweeps_share_a_trial_and_neither_takes_it_from_the_other,
    an_edited_sweep_keeps_what_it_still_names,
    what_was_begun_for_an_edition_that_was_replaced_changes_nothing,
    a_cancelled_sweep_can_be_taken_up_again,
    the_more_urgent_sweep_goes_first,
    names_that_cannot_be_are_refused,
    a_request_is_one_call_and_no_other,
    a_large_sweep_goes_in_slices_and_spares_what_another_one_shares,
);

async fn a_slice_that_comes_twice_counts_once(f: &Fixture) {
    let sweep = f.submit(&new_sweep("s", 4)).await;
    let trials = || (0..4).map(new_trial).collect();
    let first = Slice {
        sweep,
        edition: 1,
        from: 0,
        to: 4,
        trials: trials(),
        last: false,
    };
    f.store.expand(&first, T0).await.unwrap();
    f.store.expand(&first, T0).await.unwrap();
    let row = f.row("s").await;
    assert_eq!((row.cursor, row.state), (4, SweepState::Expanding));
    // The rest of the points are the same trials.
    let rest = Slice {
        sweep,
        edition: 1,
        from: 4,
        to: 8,
        trials: trials(),
        last: true,
    };
    f.store.expand(&rest, T0).await.unwrap();
    let row = f.row("s").await;
    assert_eq!(row.counts.get(&TrialState::Ready), Some(&4));
    assert_eq!((row.cursor, row.state), (8, SweepState::Running));
}

async fn two_sweeps_share_a_trial_and_neither_takes_it_from_the_other(f: &Fixture) {
    f.sweep_of("a", (0..2).map(new_trial).collect()).await;
    f.sweep_of("b", (1..3).map(new_trial).collect()).await;
    f.store
        .steer(f.request(), "a", Steer::Pause, T0)
        .await
        .unwrap();
    assert!(
        f.store
            .explain(&identity(0).to_string())
            .await
            .unwrap()
            .held_back
    );
    assert!(
        !f.store
            .explain(&identity(1).to_string())
            .await
            .unwrap()
            .held_back
    );
    f.store
        .steer(f.request(), "a", Steer::Resume, T0)
        .await
        .unwrap();
    f.store
        .steer(f.request(), "a", Steer::Cancel, T0)
        .await
        .unwrap();
    let (ready, cancelled) = (TrialState::Ready, TrialState::Cancelled);
    assert_eq!(f.states(0..3).await, [cancelled, ready, ready]);
    let worker = f.open(1).await;
    let claimed = f.claim(worker, 5).await;
    assert_eq!(claimed.len(), 2);
    let done: Vec<_> = claimed
        .iter()
        .map(|trial| (fence(worker, trial), result()))
        .collect();
    f.store.complete(&done, at(1)).await.unwrap();
    assert_eq!(f.row("b").await.state, SweepState::Finished);
    f.store.delete(f.request(), "b", at(2)).await.unwrap();
    assert!(f.store.sweep("b").await.unwrap().is_none());
    // Trial 1 is still a's; trial 2 was b's alone.
    assert_eq!(f.state(1).await, TrialState::Succeeded);
    let gone = f.store.explain(&identity(2).to_string()).await;
    assert!(matches!(
        gone,
        Err(StoreError::NotFound { what: "trial", .. })
    ));
}

async fn an_edited_sweep_keeps_what_it_still_names(f: &Fixture) {
    f.sweep_of("s", (0..3).map(new_trial).collect()).await;
    let worker = f.open(1).await;
    let trial = f.claim(worker, 1).await.remove(0);
    f.store
        .complete(&[(fence(worker, &trial), result())], T0)
        .await
        .unwrap();
    let sweep = f
        .sweep_of("s", vec![new_trial(0), new_trial(2), new_trial(3)])
        .await;
    assert_eq!(f.store.drop_absent(sweep, 2, T0).await.unwrap(), 1);
    let (succeeded, ready) = (TrialState::Succeeded, TrialState::Ready);
    assert_eq!(
        f.states(0..4).await,
        [succeeded, TrialState::Cancelled, ready, ready]
    );
    let row = f.row("s").await;
    assert_eq!(row.counts.get(&ready), Some(&2));
    assert_eq!(row.counts.get(&succeeded), Some(&1));
    assert_eq!(row.counts.len(), 2);
}

async fn a_cancelled_sweep_can_be_taken_up_again(f: &Fixture) {
    f.sweep_of("s", (0..2).map(new_trial).collect()).await;
    let worker = f.open(1).await;
    f.claim(worker, 1).await;
    let request = f.request();
    let row = f
        .store
        .steer(request, "s", Steer::Cancel, at(1))
        .await
        .unwrap();
    assert_eq!(
        (row.state, row.finished_at),
        (SweepState::Cancelled, Some(at(1)))
    );
    let resumed = f.store.steer(f.request(), "s", Steer::Resume, at(1)).await;
    assert!(matches!(resumed, Err(StoreError::Conflict(_))));
    assert_eq!(
        f.store
            .rerun(f.request(), "s", Rerun::Missing, at(2))
            .await
            .unwrap(),
        2
    );
    assert_eq!(f.row("s").await.state, SweepState::Running);
    // The first cancellation, come once more, does nothing.
    let row = f
        .store
        .steer(request, "s", Steer::Cancel, at(3))
        .await
        .unwrap();
    assert_eq!(row.state, SweepState::Running);
    let again = f.claim(worker, 2).await;
    assert_eq!(again.iter().map(|trial| trial.attempt.0).max(), Some(2));
}

async fn the_more_urgent_sweep_goes_first(f: &Fixture) {
    f.sweep_of("low", (0..2).map(new_trial).collect()).await;
    let mut high = new_sweep("high", 1);
    high.priority = 5;
    let sweep = f.submit(&high).await;
    // Behind in order, but more urgent; and one that both want.
    let trials = vec![new_trial(9), new_trial(1)];
    f.store
        .expand(
            &Slice {
                sweep,
                edition: 1,
                from: 0,
                to: 2,
                trials,
                last: true,
            },
            T0,
        )
        .await
        .unwrap();
    let worker = f.open(1).await;
    let order: Vec<_> = f
        .claim(worker, 3)
        .await
        .iter()
        .map(|trial| trial.identity)
        .collect();
    assert_eq!(order, [identity(1), identity(9), identity(0)]);
}

async fn names_that_cannot_be_are_refused(f: &Fixture) {
    f.submit(&new_sweep("a-b", 0)).await;
    for name in ["trial", "", "a_b", &"x".repeat(58)] {
        let answer = f
            .store
            .submit(f.request(), &new_sweep(name, 0), IfExists::Replace, T0)
            .await;
        assert!(matches!(answer, Err(StoreError::Conflict(_))), "{name}");
    }
    let again = f
        .store
        .submit(f.request(), &new_sweep("a-b", 0), IfExists::Refuse, T0)
        .await;
    assert!(matches!(again, Err(StoreError::Conflict(_))));
}

async fn what_was_begun_for_an_edition_that_was_replaced_changes_nothing(f: &Fixture) {
    f.sweep_of("s", vec![new_trial(0)]).await;
    let seen = f.row("s").await;
    let sweep = f.submit(&new_sweep("s", 1)).await;
    let now = f.row("s").await;
    assert_eq!((seen.edition, now.edition), (1, 2));
    let slice = |edition| Slice {
        sweep,
        edition,
        from: 0,
        to: 1,
        trials: vec![new_trial(1)],
        last: true,
    };
    // Another coordinator that has not seen the edit: neither its points nor its tidying up.
    f.store.expand(&slice(seen.edition), T0).await.unwrap();
    assert_eq!(
        f.store.drop_absent(sweep, seen.edition, T0).await.unwrap(),
        0
    );
    let row = f.row("s").await;
    assert_eq!((row.cursor, row.state), (0, SweepState::Expanding));
    assert_eq!(row.counts.get(&TrialState::Ready), Some(&1));
    // Nor an edit of what it saw.
    let exists = IfExists::ReplaceEdition(seen.edition);
    let edit = new_sweep("s", 1);
    let answer = f.store.submit(f.request(), &edit, exists, T0);
    assert!(matches!(answer.await, Err(StoreError::Conflict(_))));
    let exists = IfExists::ReplaceEdition(now.edition);
    let answer = f.store.submit(f.request(), &edit, exists, T0);
    assert_eq!(answer.await.unwrap(), sweep);
    f.store.expand(&slice(3), T0).await.unwrap();
    assert_eq!(f.row("s").await.counts.get(&TrialState::Ready), Some(&2));
}

async fn a_request_is_one_call_and_no_other(f: &Fixture) {
    f.sweep_of("a", vec![new_trial(0)]).await;
    f.sweep_of("b", vec![new_trial(1)]).await;
    let request = f.request();
    let store = &f.store;
    store.steer(request, "a", Steer::Pause, T0).await.unwrap();
    let taken = |answer: Result<(), StoreError>| {
        let refusal = answer.unwrap_err();
        assert!(matches!(refusal, StoreError::Conflict(_)), "{refusal}");
        let told = refusal.to_string();
        assert!(told.contains("another call's (`pause a`)"), "{told}");
    };
    taken(store.delete(request, "a", T0).await);
    taken(
        store
            .steer(request, "a", Steer::Resume, T0)
            .await
            .map(|_| ()),
    );
    taken(
        store
            .steer(request, "b", Steer::Pause, T0)
            .await
            .map(|_| ()),
    );
    taken(
        store
            .rerun(request, "a", Rerun::Missing, T0)
            .await
            .map(|_| ()),
    );
    let new = new_sweep("c", 0);
    let submitted = store.submit(request, &new, IfExists::Replace, T0).await;
    taken(submitted.map(|_| ()));
    let worker = f.open(1).await;
    let ask = descent_coordinator::store::Ask {
        session: worker,
        request,
        max_trials: 1,
        memory: 1 << 30,
        data: vec![super::fixture::data(1)],
        samples: Vec::new(),
    };
    taken(store.claim(&ask, T0).await.map(|_| ()));
    assert_eq!(f.row("a").await.state, SweepState::Paused);
    assert_eq!(f.row("b").await.state, SweepState::Running);
    assert_eq!(f.states(0..2).await, [TrialState::Ready; 2]);
    // The call itself may be repeated.
    store.steer(request, "a", Steer::Pause, T0).await.unwrap();
}

async fn a_large_sweep_goes_in_slices_and_spares_what_another_one_shares(f: &Fixture) {
    let chained = |n: u64| {
        let mut trial = new_trial(n);
        trial.parent = (n >= 600).then(|| identity(n - 600));
        trial
    };
    f.sweep_of("large", (0..1200).map(chained).collect()).await;
    f.sweep_of("small", vec![chained(3), chained(603), chained(5)])
        .await;
    let worker = f.open(1).await;
    let claimed = f.claim(worker, 2).await;
    f.store.delete(f.request(), "large", at(1)).await.unwrap();
    assert!(f.store.sweep("large").await.unwrap().is_none());
    // What is in training of it is told to stop, whether its rows are gone or not.
    let held: Vec<_> = claimed.iter().map(super::fixture::held).collect();
    let told = f.store.heartbeat(worker, &held, at(60), 0, at(2)).await;
    assert_eq!(
        told.unwrap(),
        [descent_coordinator::store::Directive::Cancel; 2]
    );
    // One of those on their way out is taken up again before it is gone.
    f.sweep_of("again", vec![chained(1)]).await;
    let mut slices = 0;
    while f.store.bury(100).await.unwrap() > 0 {
        slices += 1;
        assert!(slices < 20, "it never ends");
    }
    assert_eq!(f.state(1).await, TrialState::Ready);
    assert_eq!(f.states(3..4).await, [TrialState::Ready]);
    assert_eq!(f.state(603).await, TrialState::Blocked);
    for gone in [0, 2, 4, 601, 1199] {
        let told = f.store.explain(&identity(gone).to_string()).await;
        assert!(matches!(told, Err(StoreError::NotFound { .. })), "{gone}");
    }
    let row = f.row("small").await;
    assert_eq!(row.counts.values().sum::<u64>(), 3);
    assert_eq!(f.claim(worker, 100).await.len(), 3);
}
