//! Random histories: whatever happens, the three stores give the same answers, and counters equal the rows.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use descent_coordinator::store::{
    AfterFailure, Artifact, Ask, Claimed, Fence, Held, IfExists, NewSession, NewTrial, Purpose,
    Rerun, Slice, Steer, StoreError, TrialColumns,
};
use descent_spec::id::{
    AttemptNumber, ContentHash, Identity, PackKey, SessionId, SweepId, Timestamp, TrialId,
};
use descent_spec::outcome::{Failure, FailureKind};
use descent_spec::state::TrialState;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::fixture::{self, Fixture, LEASE_MS, data, identity, measurement, new_sweep, request};

const NAMES: [&str; 3] = ["a", "b", "c-d"];
/// Trials that may come to be.
const TRIALS: u64 = 14;
const SESSIONS: u8 = 3;

/// One thing that happens. Grants are named by how many claims ago they were given.
#[derive(Clone, Debug)]
enum Op {
    Submit {
        name: usize,
        refuse: bool,
        priority: i64,
    },
    Expand {
        name: usize,
        first: u64,
        length: u64,
        last: bool,
        stale: bool,
    },
    DropAbsent {
        name: usize,
    },
    Steer {
        name: usize,
        steer: Steer,
        again: bool,
    },
    Delete {
        name: usize,
    },
    Rerun {
        name: usize,
        which: Rerun,
    },
    Open {
        slot: u8,
    },
    Beat {
        slot: u8,
        listed: bool,
    },
    Claim {
        slot: u8,
        max: u32,
        all_data: bool,
        again: bool,
    },
    Metrics {
        grant: usize,
        seq: u64,
    },
    Commit {
        grant: usize,
        purpose: Purpose,
    },
    Complete {
        grants: Vec<usize>,
    },
    Fail {
        grant: usize,
        delay_ms: Option<i64>,
    },
    Release {
        grant: usize,
    },
    Close {
        slot: u8,
    },
    Disown {
        slot: u8,
    },
    Maintain,
    Wait {
        ms: i64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let name = || 0..NAMES.len();
    let slot = || 0..SESSIONS;
    let grant = || 0..8_usize;
    let steer = prop_oneof![Just(Steer::Pause), Just(Steer::Resume), Just(Steer::Cancel)];
    prop_oneof![
        2 => (name(), any::<bool>(), 0..3_i64)
            .prop_map(|(name, refuse, priority)| Op::Submit { name, refuse, priority }),
        6 => (name(), 0..TRIALS, 1..8_u64, prop::bool::weighted(0.7), prop::bool::weighted(0.1))
            .prop_map(|(name, first, length, last, stale)| {
                Op::Expand { name, first, length, last, stale }
            }),
        1 => name().prop_map(|name| Op::DropAbsent { name }),
        3 => (name(), steer, any::<bool>())
            .prop_map(|(name, steer, again)| Op::Steer { name, steer, again }),
        1 => name().prop_map(|name| Op::Delete { name }),
        2 => (name(), prop_oneof![Just(Rerun::Failed), Just(Rerun::Missing)])
            .prop_map(|(name, which)| Op::Rerun { name, which }),
        2 => slot().prop_map(|slot| Op::Open { slot }),
        4 => (slot(), prop::bool::weighted(0.7)).prop_map(|(slot, listed)| Op::Beat { slot, listed }),
        10 => (slot(), 0..4_u32, any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(slot, max, all_data, again)| Op::Claim { slot, max, all_data, again }),
        3 => (grant(), 1..4_u64).prop_map(|(grant, seq)| Op::Metrics { grant, seq }),
        3 => (grant(), prop_oneof![Just(Purpose::Checkpoint), Just(Purpose::Weights)])
            .prop_map(|(grant, purpose)| Op::Commit { grant, purpose }),
        8 => vec(grant(), 1..4).prop_map(|grants| Op::Complete { grants }),
        4 => (grant(), prop::option::of(0..40_000_i64))
            .prop_map(|(grant, delay_ms)| Op::Fail { grant, delay_ms }),
        2 => grant().prop_map(|grant| Op::Release { grant }),
        1 => slot().prop_map(|slot| Op::Close { slot }),
        1 => slot().prop_map(|slot| Op::Disown { slot }),
        3 => Just(Op::Maintain),
        4 => (0..40_000_i64).prop_map(|ms| Op::Wait { ms }),
    ]
}

/// The `n`-th trial: chains of three (n, n + 4, n + 8), two pack keys, costs and sizes that differ, now and then another device or data set.
fn trial(n: u64) -> NewTrial {
    let plain = fixture::new_trial(n);
    NewTrial {
        columns: TrialColumns {
            cost: 1000.0 * (1 + n % 5) as f64,
            memory: (1 + n % 3) << 20,
            ..plain.columns.clone()
        },
        pack_key: PackKey([u8::try_from(n % 2).unwrap(); 16]),
        data: data(if n % 7 == 6 { 2 } else { 1 }),
        data_memory: (n % 2) << 20,
        device: if n == 13 {
            "cuda".to_owned()
        } else {
            String::new()
        },
        parent: (4..12).contains(&n).then(|| identity(n - 4)),
        keep_weights: n.is_multiple_of(3),
        ..plain
    }
}

/// A store, and what its caller knows.
struct World {
    fixture: Fixture,
    now: Timestamp,
    requests: u64,
    claims: u64,
    lives: [u8; SESSIONS as usize],
    sweeps: HashMap<usize, SweepId>,
    grants: Vec<(SessionId, Claimed)>,
    trials: HashMap<TrialId, Identity>,
}

/// An answer in words that mean the same for every store: identities for row numbers, kinds for errors.
fn told<T: Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(StoreError::MetricGap { last, found }) => format!("gap {last} {found}"),
        Err(StoreError::NotFound { what, .. }) => format!("no {what}"),
        Err(StoreError::Conflict(why)) => format!("conflict {why}"),
        Err(StoreError::SessionClosed(session)) => format!("closed {session}"),
        Err(other) => panic!("{other}"),
    }
}

impl World {
    fn new(fixture: Fixture) -> Self {
        Self {
            fixture,
            now: fixture::T0,
            requests: 0,
            claims: 0,
            lives: [0; SESSIONS as usize],
            sweeps: HashMap::new(),
            grants: Vec::new(),
            trials: HashMap::new(),
        }
    }

    fn session(&self, slot: u8) -> SessionId {
        SessionId([slot + 10 * self.lives[usize::from(slot)] + 1; 16])
    }

    fn fence(&self, ago: usize) -> Fence {
        let grant = self
            .grants
            .len()
            .checked_sub(ago + 1)
            .map(|at| &self.grants[at]);
        let nobody = Fence {
            session: SessionId([99; 16]),
            trial: TrialId(9_999),
            attempt: AttemptNumber(1),
        };
        grant.map_or(nobody, |(session, claimed)| {
            fixture::fence(*session, claimed)
        })
    }

    #[allow(clippy::too_many_lines, reason = "one arm for each operation")]
    async fn run(&mut self, op: &Op) -> String {
        let store = self.fixture.store.clone();
        let now = self.now;
        self.requests += 1;
        let fresh = request(self.requests);
        match op {
            Op::Submit {
                name,
                refuse,
                priority,
            } => {
                let mut new = new_sweep(NAMES[*name], 10);
                new.priority = *priority;
                let exists = if *refuse {
                    IfExists::Refuse
                } else {
                    IfExists::Replace
                };
                let answer = store.submit(fresh, &new, exists, now).await;
                if let Ok(id) = &answer {
                    self.sweeps.insert(*name, *id);
                    assert_eq!(store.submit(fresh, &new, exists, now).await.unwrap(), *id);
                }
                told(answer.map(|_| "submitted"))
            }
            Op::Expand {
                name,
                first,
                length,
                last,
                stale,
            } => {
                let Some(&sweep) = self.sweeps.get(name) else {
                    return String::new();
                };
                let row = store.sweep(NAMES[*name]).await.unwrap();
                let (cursor, edition) = row.map_or((0, 1), |row| (row.cursor, row.edition));
                let from = cursor + u64::from(*stale);
                let trials = (*first..(first + length).min(TRIALS)).map(trial).collect();
                let slice = Slice {
                    sweep,
                    edition,
                    from,
                    to: from + length,
                    trials,
                    last: *last,
                };
                told(store.expand(&slice, now).await)
            }
            Op::DropAbsent { name } => {
                let Some(&sweep) = self.sweeps.get(name) else {
                    return String::new();
                };
                let row = store.sweep(NAMES[*name]).await.unwrap();
                let edition = row.map_or(1, |row| row.edition);
                told(store.drop_absent(sweep, edition, now).await)
            }
            Op::Steer { name, steer, again } => {
                let answer = store.steer(fresh, NAMES[*name], *steer, now).await;
                if *again && answer.is_ok() {
                    store.steer(fresh, NAMES[*name], *steer, now).await.unwrap();
                }
                told(answer.map(|row| row.state))
            }
            Op::Delete { name } => told(store.delete(fresh, NAMES[*name], now).await),
            Op::Rerun { name, which } => {
                let answer = store.rerun(fresh, NAMES[*name], *which, now).await;
                if let Ok(trials) = answer {
                    let again = store.rerun(fresh, NAMES[*name], *which, now).await;
                    assert_eq!(again.unwrap(), trials);
                }
                told(answer)
            }
            Op::Open { slot } => {
                let new = NewSession {
                    id: self.session(*slot),
                    worker: format!("worker-{slot}"),
                    version: "1".to_owned(),
                    device: if *slot == 2 {
                        "cuda:0".to_owned()
                    } else {
                        "cpu".to_owned()
                    },
                    instruction_set: "avx2".to_owned(),
                    slots: u32::from(*slot),
                    memory: (4 + 2 * u64::from(*slot)) << 20,
                    data: vec![data(1)],
                    lease_until: now.plus_ms(LEASE_MS),
                };
                told(store.open_session(&new, now).await)
            }
            Op::Beat { slot, listed } => {
                let session = self.session(*slot);
                let mine = self.grants.iter().filter(|(holder, _)| *holder == session);
                let held: Vec<Held> = if *listed {
                    mine.map(|(_, claimed)| fixture::held(claimed)).collect()
                } else {
                    Vec::new()
                };
                let until = now.plus_ms(LEASE_MS);
                told(store.heartbeat(session, &held, until, 10_000, now).await)
            }
            Op::Claim {
                slot,
                max,
                all_data,
                again,
            } => {
                if !again {
                    self.claims += 1;
                }
                let session = self.session(*slot);
                let mut have = vec![data(1)];
                have.extend(all_data.then(|| data(2)));
                let ask = Ask {
                    session,
                    request: request(100_000 + self.claims * 10 + u64::from(*slot)),
                    max_trials: *max,
                    memory: (1 + self.claims % 8) << 20,
                    data: have,
                    samples: (0..self.claims % 2).map(|_| PackKey([1; 16])).collect(),
                };
                let answer = store.claim(&ask, now).await;
                if let Ok(claim) = &answer {
                    for claimed in &claim.claimed {
                        self.trials.insert(claimed.trial, claimed.identity);
                        self.grants.push((session, claimed.clone()));
                    }
                }
                told(answer.map(|mut claim| {
                    claim
                        .claimed
                        .iter_mut()
                        .for_each(|claimed| claimed.trial = TrialId(0));
                    claim
                        .lost
                        .iter_mut()
                        .for_each(|lost| lost.trial = TrialId(0));
                    claim
                }))
            }
            Op::Metrics { grant, seq } => {
                let epoch = u32::try_from(*seq * 3).unwrap();
                let measured = [measurement(epoch, 0.5), measurement(epoch + 1, f64::NAN)];
                told(
                    store
                        .append_metrics(self.fence(*grant), *seq, &measured, now)
                        .await,
                )
            }
            Op::Commit { grant, purpose } => {
                let artifact = Artifact {
                    hash: ContentHash([*grant as u8; 32]),
                    bytes: 7,
                };
                told(
                    store
                        .commit_artifact(self.fence(*grant), *purpose, artifact, 1, 2, now)
                        .await,
                )
            }
            Op::Complete { grants } => {
                let done: Vec<_> = grants
                    .iter()
                    .map(|&ago| (self.fence(ago), fixture::result()))
                    .collect();
                told(store.complete(&done, now).await)
            }
            Op::Fail { grant, delay_ms } => {
                let fence = self.fence(*grant);
                let after = match delay_ms {
                    Some(ms) => AfterFailure::Retry {
                        at: now.plus_ms(*ms),
                    },
                    None => AfterFailure::GiveUp,
                };
                let budget = store.budget(fence).await;
                let message = format!("failure {}", self.requests);
                let failure = Failure {
                    kind: FailureKind::Device,
                    message,
                };
                format!(
                    "{} {}",
                    told(budget),
                    told(store.fail(fence, &failure, after, now).await)
                )
            }
            Op::Release { grant } => told(store.release(&[self.fence(*grant)], now).await),
            Op::Close { slot } => {
                let answer = store.close_session(self.session(*slot), now).await;
                self.lives[usize::from(*slot)] += 1;
                told(answer)
            }
            Op::Disown { slot } => told(store.disown(&format!("worker-{slot}"), now).await),
            Op::Maintain => told(store.maintain(now).await),
            Op::Wait { ms } => {
                self.now = now.plus_ms(*ms);
                String::new()
            }
        }
    }

    /// Everything that can be seen, in words that mean the same for every store.
    async fn look(&self) -> String {
        let store = &self.fixture.store;
        let mut seen = String::new();
        let mut rows: BTreeMap<String, BTreeMap<TrialState, u64>> = BTreeMap::new();
        for n in 0..TRIALS {
            match store.explain(&identity(n).to_string()).await {
                Err(error) => seen.push_str(&told::<()>(Err(error))),
                Ok(mut trial) => {
                    trial.trial = TrialId(0);
                    for sweep in &trial.sweeps {
                        *rows
                            .entry(sweep.clone())
                            .or_default()
                            .entry(trial.state)
                            .or_default() += 1;
                    }
                    seen.push_str(&format!("{trial:?}"));
                }
            }
            seen.push('\n');
        }
        for mut sweep in store.sweeps(SweepId(0), 100).await.unwrap() {
            assert_eq!(
                rows.remove(&sweep.name).unwrap_or_default(),
                sweep.counts,
                "{}",
                sweep.name
            );
            sweep.id = SweepId(0);
            seen.push_str(&format!("{sweep:?}\n"));
        }
        let expanding = store.expanding().await.unwrap();
        let names: Vec<&str> = expanding.iter().map(|row| row.name.as_str()).collect();
        let identities: Vec<Identity> = (0..TRIALS).map(identity).collect();
        let finished = store.finished(&identities).await.unwrap();
        let artifacts = store.artifacts_in_use().await.unwrap();
        seen.push_str(&format!("{names:?} {finished:?} {artifacts:?}"));
        seen
    }
}

/// Runs a history in all stores and compares answer by answer.
async fn compare(ops: &[Op], with_postgres: bool) -> Result<(), TestCaseError> {
    let mut worlds = vec![World::new(fixture::memory())];
    if with_postgres {
        worlds.extend(fixture::postgres().await.map(World::new));
    } else {
        worlds.push(World::new(fixture::sqlite().await));
    }
    // A quiet beginning would be most of a short history.
    let mut all: Vec<Op> = (0..SESSIONS).map(|slot| Op::Open { slot }).collect();
    all.push(Op::Submit {
        name: 0,
        refuse: false,
        priority: 0,
    });
    all.push(Op::Expand {
        name: 0,
        first: 0,
        length: TRIALS,
        last: true,
        stale: false,
    });
    all.extend_from_slice(ops);
    for (at, op) in all.iter().enumerate() {
        let mut answers = Vec::new();
        for world in &mut worlds {
            answers.push(world.run(op).await);
        }
        let looked = at % 5 == 4 || at + 1 == all.len();
        if looked {
            for (world, answer) in worlds.iter().zip(&mut answers) {
                answer.push_str(&world.look().await);
            }
        }
        for answer in &answers[1..] {
            prop_assert_eq!(&answers[0], answer, "after {}: {:?}", at, op);
        }
    }
    for world in &worlds {
        world.fixture.store.close().await;
    }
    Ok(())
}

/// Tries `cases` histories, the same ones every time.
fn try_histories(cases: u32, with_postgres: bool) {
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    TestRunner::new_with_rng(config, rng)
        .run(&vec(op(), 20..80), |ops| {
            runtime.block_on(compare(&ops, with_postgres))
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn sqlite_answers_every_history_as_memory_does() {
    try_histories(40, false);
}

#[test]
fn postgresql_answers_every_history_as_memory_does() {
    try_histories(6, true);
}
