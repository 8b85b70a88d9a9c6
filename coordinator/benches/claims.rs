//! How long one claim takes, by the number of classes that have a ready trial, on both engines:
//! `DESCENT_BENCH_TRIALS=1000000 cargo bench -p descent-coordinator --bench claims`.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]
#![allow(clippy::unwrap_used, reason = "a panic is how a measurement fails")]

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/store/fixture.rs"]
mod fixture;
#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/postgres.rs"]
mod postgres;

use std::time::{Duration, Instant};

use descent_coordinator::store::{Ask, IfExists, NewSession, NewTrial, Slice, TrialColumns};
use descent_spec::id::{PackKey, SessionId};
use fixture::{Fixture, T0, data, new_sweep, new_trial};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let trials: u64 =
        std::env::var("DESCENT_BENCH_TRIALS").map_or(100_000, |text| text.parse().unwrap());
    for classes in [1, 1_000, 10_000] {
        let mut fixtures = vec![("sqlite", fixture::sqlite().await)];
        fixtures.extend(fixture::postgres().await.map(|f| ("postgresql", f)));
        for (engine, f) in fixtures {
            fill(&f, trials, classes).await;
            for (who, slots) in [("plenty", 2), ("near the end", 10_000_000)] {
                let session = f.open_sharing(1, slots, u64::MAX >> 1).await;
                let mut times = Vec::new();
                for _ in 0..100 {
                    let begun = Instant::now();
                    assert!(!take(&f, session, 32, u64::MAX >> 1).await.is_empty());
                    times.push(begun.elapsed());
                }
                println!(
                    "{engine}, {classes} classes, {who}: {}",
                    summary(&mut times)
                );
            }
            let other = open_elsewhere(&f).await;
            let mut times = Vec::new();
            for _ in 0..20 {
                let begun = Instant::now();
                assert!(take(&f, other, 32, 1).await.is_empty());
                times.push(begun.elapsed());
            }
            println!(
                "{engine}, {classes} classes, nothing fits: {}",
                summary(&mut times)
            );
        }
    }
}

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
    let ask = Ask {
        session,
        request: f.request(),
        max_trials,
        memory,
        data: vec![data(1)],
        samples: Vec::new(),
    };
    let claim = f.store.claim(&ask, T0).await.unwrap();
    claim
        .claimed
        .iter()
        .map(|claimed| claimed.trial.0)
        .collect()
}

fn summary(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
    format!("median {median:?}, longest {last:?}")
}

/// Makes `trials` trials of `classes` classes, in turn, all for processors.
async fn fill(f: &Fixture, trials: u64, classes: u64) {
    let sweep = f
        .store
        .submit(f.request(), &new_sweep("s", trials), IfExists::Refuse, T0)
        .await
        .unwrap();
    let slice = 10_000;
    for from in (0..trials).step_by(slice) {
        let to = (from + slice as u64).min(trials);
        let trial = |n: u64| {
            let class = (n % classes).to_le_bytes();
            let mut key = [0; 16];
            key[..8].copy_from_slice(&class);
            NewTrial {
                pack_key: PackKey(key),
                device: "cpu".to_owned(),
                ..trial(n, 1.0, 1)
            }
        };
        let slice = Slice {
            sweep,
            edition: 1,
            from,
            to,
            trials: (from..to).map(trial).collect(),
            last: to == trials,
        };
        f.store.expand(&slice, T0).await.unwrap();
    }
    f.store.maintain(T0).await.unwrap();
}

async fn open_elsewhere(f: &Fixture) -> SessionId {
    let new = NewSession {
        id: fixture::session(9),
        worker: "elsewhere".to_owned(),
        version: "1".to_owned(),
        device: "cuda:0".to_owned(),
        instruction_set: "cuda".to_owned(),
        slots: 1,
        memory: 1,
        data: vec![data(1)],
        lease_until: T0.plus_ms(1_000_000),
    };
    f.store.open_session(&new, T0).await.unwrap();
    new.id
}
