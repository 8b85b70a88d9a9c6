//! What one claim takes: a share near the end, the wide ones first, no more than there is memory for, at any size of the queue.

use descent_coordinator::store::{Ask, NewTrial, TrialColumns};
use descent_spec::id::{PackKey, SessionId};

use super::fixture::{Fixture, T0, data, new_trial};
use super::on_every_engine;

on_every_engine!(
    the_first_of_eight_slots_does_not_take_all_45_trials,
    the_widest_go_first_when_trials_are_shared,
    no_more_is_taken_than_there_is_memory_for,
    trials_that_do_not_fit_do_not_hide_those_that_do,
    trials_behind_many_of_others_are_found_near_the_end,
    what_is_too_large_does_not_hide_what_fits,
    who_has_the_data_says_what_is_too_large,
    samples_need_room_unless_they_are_held,
    slots_of_one_worker_that_ask_together_take_half_each,
);

/// Trial `n` with another cost and another size.
fn trial(n: u64, cost: f64, memory: u64) -> NewTrial {
    let plain = new_trial(n);
    NewTrial {
        columns: TrialColumns {
            cost,
            memory,
            ..plain.columns.clone()
        },
        ..plain
    }
}

async fn take(f: &Fixture, session: SessionId, max_trials: u32, memory: u64) -> Vec<i64> {
    take_with(f, session, max_trials, memory, |_| {}).await
}

/// The same for a worker that has other data, or holds samples.
async fn take_with(
    f: &Fixture,
    session: SessionId,
    max_trials: u32,
    memory: u64,
    change: impl FnOnce(&mut Ask),
) -> Vec<i64> {
    let mut ask = Ask {
        session,
        request: f.request(),
        max_trials,
        memory,
        data: vec![data(1)],
        samples: Vec::new(),
    };
    change(&mut ask);
    let claim = f.store.claim(&ask, T0).await.unwrap();
    claim
        .claimed
        .iter()
        .map(|claimed| claimed.trial.0)
        .collect()
}

async fn the_first_of_eight_slots_does_not_take_all_45_trials(f: &Fixture) {
    f.sweep_of("s", (0..45).map(|n| trial(n, 1.0, 1)).collect())
        .await;
    // Two processes, whichever coordinator they have said hello to.
    let first = f.open_sharing(1, 4, 100).await;
    let second = f.open_sharing(2, 4, 100).await;
    let mut taken = Vec::new();
    for round in 0..8 {
        let session = if round % 2 == 0 { first } else { second };
        taken.push(take(f, session, 32, 100).await.len());
    }
    assert_eq!(taken, [3, 3, 2, 2, 2, 2, 2, 2]);
    f.store.close_session(second, T0).await.unwrap();
    // Half of the slots, and all of the share, for the slots of one worker are equally fast: a quarter of the 36 that are left
    // and the 9 that it has just taken.
    assert_eq!(take(f, first, 32, 100).await.len(), 12);
}

async fn the_widest_go_first_when_trials_are_shared(f: &Fixture) {
    let trials = (0..10)
        .map(|n| trial(n, f64::from(1_u32 << n), 1))
        .collect();
    f.sweep_of("s", trials).await;
    let session = f.open_sharing(1, 1, 100).await;
    let other = f.open_sharing(2, 1, 100).await;
    // 1,023 in all: a quarter is less than half of the widest.
    assert_eq!(take(f, session, 32, 100).await, [10]);
    assert_eq!(take(f, session, 32, 100).await, [9]);
    // As many as would be asked for anyway: urgency decides.
    assert_eq!(take(f, session, 2, 100).await, [1, 2]);
    // Alone: the costliest, and the cheapest that a pack of their own would not be worth.
    f.store.close_session(session, T0).await.unwrap();
    f.store.close_session(other, T0).await.unwrap();
    let both = f.open_sharing(3, 2, 100).await;
    let mut taken = take(f, both, 32, 100).await;
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 3, 4, 10]);
}

async fn no_more_is_taken_than_there_is_memory_for(f: &Fixture) {
    f.sweep_of("s", (0..6).map(|n| trial(n, 1.0, 40)).collect())
        .await;
    let session = f.open_sharing(1, 1, 100).await;
    assert_eq!(take(f, session, 2, 100).await, [1, 2]);
    assert_eq!(take(f, session, 2, 60).await, [3]);
    assert_eq!(take(f, session, 2, 20).await, [0_i64; 0], "later");
    let small = f.open_sharing(2, 1, 20).await;
    let none = take(f, small, 2, 20).await;
    assert!(none.is_empty(), "there is a larger one: {none:?}");
    f.store.close_session(session, T0).await.unwrap();
    // Nobody has more: it has to say so. The three that the other one held are there again.
    assert_eq!(take(f, small, 2, 20).await, [1]);
}

async fn trials_that_do_not_fit_do_not_hide_those_that_do(f: &Fixture) {
    let elsewhere = |n: u64| NewTrial {
        device: "cuda".to_owned(),
        pack_key: PackKey([u8::try_from(n % 8).unwrap(); 16]),
        ..new_trial(n)
    };
    let mut trials: Vec<NewTrial> = (0..200).map(elsewhere).collect();
    trials.push(new_trial(200));
    f.sweep_of("s", trials).await;
    let session = f.open(1).await;
    assert_eq!(f.claim(session, 32).await.len(), 1);
    let ask = f.ask(session, 32, T0).await;
    assert!(ask.claimed.is_empty() && ask.missing_data.is_empty());
}

async fn trials_behind_many_of_others_are_found_near_the_end(f: &Fixture) {
    let elsewhere = |n: u64| NewTrial {
        device: "cuda".to_owned(),
        ..trial(n, 1.0, 1)
    };
    let mut trials: Vec<NewTrial> = (0..2_100).map(elsewhere).collect();
    trials.extend((2_100..2_108).map(|n| trial(n, 1.0, 1)));
    f.sweep_of("s", trials).await;
    let session = f.open_sharing(1, 2, 100).await;
    // A share of those that are seen, not all of them: the other slot gets some too.
    let taken = take(f, session, 1_024, 100).await;
    assert_eq!(taken, [2_101, 2_102, 2_103, 2_104]);
    assert_eq!(take(f, session, 1_024, 100).await.len(), 4, "the rest");
}

async fn what_is_too_large_does_not_hide_what_fits(f: &Fixture) {
    let other = |n: u64, memory| NewTrial {
        pack_key: PackKey([2; 16]),
        ..trial(n, 1.0, memory)
    };
    // First trials that only the large one has room for, more than a claim takes, then smaller ones of the class and of another.
    let mut trials: Vec<NewTrial> = (0..100).map(|n| trial(n, 1.0, 200)).collect();
    trials.extend((100..103).map(|n| other(n, 40)));
    trials.extend((103..106).map(|n| trial(n, 1.0, 30)));
    f.sweep_of("s", trials).await;
    let small = f.open_sharing(1, 0, 50).await;
    let large = f.open_sharing(2, 0, 300).await;
    assert_eq!(take(f, small, 32, 50).await, [101]);
    assert_eq!(take(f, small, 32, 35).await, [104]);
    assert_eq!(take(f, small, 32, 45).await, [102]);
    assert_eq!(take(f, large, 32, 300).await, [1]);
    assert_eq!(take(f, small, 32, 25).await, [0_i64; 0]);
    // What is larger than any is told at once, by whom it is told to.
    f.store.close_session(large, T0).await.unwrap();
    assert_eq!(take(f, small, 32, 50).await, [1]);
}

async fn who_has_the_data_says_what_is_too_large(f: &Fixture) {
    let rare = |n: u64| NewTrial {
        data: data(2),
        ..trial(n, 1.0, 200)
    };
    f.sweep_of("s", (0..2).map(rare).collect()).await;
    f.open_sharing(1, 0, 300).await;
    let small = f.open_sharing(2, 0, 100).await;
    let both = |ask: &mut Ask| ask.data = vec![data(2), data(1)];
    // The larger one cannot train it: nobody else would tell its owner.
    assert_eq!(take_with(f, small, 4, 100, both).await, [1]);
    // Until it gets the data.
    let large = f.open_sharing(3, 0, 300).await;
    assert_eq!(take_with(f, large, 4, 10, both).await, [0_i64; 0]);
    assert_eq!(take_with(f, small, 4, 100, both).await, [0_i64; 0]);
    assert_eq!(take_with(f, large, 4, 300, both).await, [2]);
}

async fn samples_need_room_unless_they_are_held(f: &Fixture) {
    let with_samples = |n: u64| NewTrial {
        data_memory: 50,
        ..trial(n, 1.0, 40)
    };
    f.sweep_of("s", (0..5).map(with_samples).collect()).await;
    let small = f.open_sharing(1, 0, 80).await;
    let large = f.open_sharing(2, 0, 200).await;
    // 40 fit, 40 with their samples do not.
    assert_eq!(take(f, small, 4, 80).await, [0_i64; 0]);
    let holding = |ask: &mut Ask| ask.samples = vec![PackKey([1; 16])];
    assert_eq!(take_with(f, small, 4, 80, holding).await, [1, 2]);
    // 50 + 3 × 40.
    assert_eq!(take(f, large, 4, 175).await, [3, 4, 5]);
}

async fn slots_of_one_worker_that_ask_together_take_half_each(f: &Fixture) {
    f.sweep_of("s", (0..16).map(|n| trial(n, 1.0, 1)).collect())
        .await;
    let session = f.open_sharing(1, 2, 100).await;
    assert_eq!(take(f, session, 32, 100).await.len(), 8);
    assert_eq!(take(f, session, 32, 100).await.len(), 8);
    // Long after, nobody knows how much of what the other slot holds is still to be done.
    f.sweep_of("t", (16..32).map(|n| trial(n, 1.0, 1)).collect())
        .await;
    f.store
        .heartbeat(session, &[], T0.plus_ms(100_000), 1_000_000, T0)
        .await
        .unwrap();
    let late = Ask {
        session,
        request: f.request(),
        max_trials: 32,
        memory: 100,
        data: vec![data(1)],
        samples: Vec::new(),
    };
    let claim = f.store.claim(&late, T0.plus_ms(60_000)).await.unwrap();
    assert_eq!(claim.claimed.len(), 8);
    let again = Ask {
        request: f.request(),
        ..late
    };
    let claim = f.store.claim(&again, T0.plus_ms(75_000)).await.unwrap();
    assert_eq!(claim.claimed.len(), 4);
}
