//! Time: who is found silent, and when. A worker that beats whenever somebody listens is never taken for dead, however long the
//! coordinator was away or asleep; a dead one is, in time.

use std::time::Duration;

use descent_coordinator::core::lease::{self, SessionPhase, stalled};
use descent_spec::id::Timestamp;
use stateright::{Checker, HasDiscoveries, Model, Property};

/// A lease, in the milliseconds of this world.
const LEASE: i64 = 4;
/// Between two rounds of upkeep.
const EVERY: i64 = 1;
/// Dead workers are found within this time beyond their lease, counted from the last moment at which they were given grace.
const SLACK: i64 = 2 * EVERY;
/// The end of this world.
const END: i64 = 11;

/// What is wrong with the upkeep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Nobody is given time after a start.
    NoGraceAtStart,
    /// Nobody is given time after a pause of the coordinator.
    NoGraceAfterPause,
    /// Everybody is given time in every round.
    GraceAlways,
}

/// The coordinator's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Process {
    Down,
    /// Stopped, or its machine asleep: it remembers its last round.
    Paused {
        last: Option<i64>,
    },
    Up {
        last: Option<i64>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    now: i64,
    coordinator: Process,
    session: SessionPhase,
    /// When the worker died.
    died: Option<i64>,
    /// Its last beat.
    beat: i64,
    /// Since when the coordinator has been up without a pause.
    up_since: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// A millisecond passes.
    Tick,
    /// The worker is heard.
    Beat,
    /// The worker dies.
    Die,
    /// A round of upkeep.
    Round,
    /// The coordinator dies.
    Kill,
    Start,
    Pause,
    Wake,
}

struct Upkeep(Option<Flaw>);

impl Upkeep {
    /// Whether sessions are given a full lease before this round.
    fn gives_grace(&self, last: Option<i64>, now: i64) -> bool {
        let every = Duration::from_millis(EVERY.unsigned_abs());
        let lease = Duration::from_millis(LEASE.unsigned_abs());
        let stalled = |last| stalled(last, Timestamp(now), every, lease);
        match (self.0, last) {
            (Some(Flaw::GraceAlways), _) => true,
            (Some(Flaw::NoGraceAtStart), None) | (Some(Flaw::NoGraceAfterPause), Some(_)) => false,
            (_, last) => stalled(last.map(Timestamp)),
        }
    }
}

impl Model for Upkeep {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            coordinator: Process::Up { last: None },
            session: SessionPhase::Open {
                until: Timestamp(LEASE),
            },
            died: None,
            beat: 0,
            up_since: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let lives = state.died.is_none();
        if lives {
            actions.push(Action::Die);
        }
        match state.coordinator {
            Process::Down => actions.extend([Action::Tick, Action::Start]),
            Process::Paused { .. } => actions.extend([Action::Tick, Action::Wake, Action::Kill]),
            Process::Up { last } => {
                actions.extend([Action::Kill, Action::Round]);
                if lives {
                    actions.push(Action::Beat);
                }
                // Who is up does what is due before time goes on; which of the two comes first is open.
                let heard = !lives || state.beat == state.now;
                if heard && last == Some(state.now) {
                    actions.push(Action::Tick);
                }
                // Two pauses with no beat heard in between would be told from one worker's silence by nobody. Beats wait in the
                // connection, and are heard as soon as the coordinator is awake; if not, expiry is soft all the same.
                if heard {
                    actions.push(Action::Pause);
                }
            }
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        let now = state.now;
        match (action, state.coordinator) {
            (Action::Tick, _) => state.now += 1,
            (Action::Die, _) => state.died = Some(now),
            (Action::Beat, _) => {
                state.beat = now;
                let until = Timestamp(now + LEASE);
                state.session = lease::beat(state.session, until)?;
            }
            (Action::Round, Process::Up { last }) => {
                if self.gives_grace(last, now)
                    && let SessionPhase::Open { until } = &mut state.session
                {
                    *until = Timestamp(now + LEASE).max(*until);
                }
                state.session = lease::at(state.session, Timestamp(now));
                state.coordinator = Process::Up { last: Some(now) };
            }
            (Action::Kill, _) => state.coordinator = Process::Down,
            (Action::Start, _) => {
                state.coordinator = Process::Up { last: None };
                state.up_since = now;
            }
            (Action::Pause, Process::Up { last }) => state.coordinator = Process::Paused { last },
            (Action::Wake, Process::Paused { last }) => {
                state.coordinator = Process::Up { last };
                state.up_since = now;
            }
            (Action::Round | Action::Pause | Action::Wake, _) => return None,
        }
        (state != *before).then_some(state)
    }

    fn within_boundary(&self, state: &State) -> bool {
        state.now <= END
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("the living are not taken for dead", |_, state: &State| {
                state.died.is_some() || state.session != SessionPhase::Expired
            }),
            Property::always("the dead are found in time", |_, state: &State| {
                let up = matches!(state.coordinator, Process::Up { .. });
                let known = state.died.map(|died| died.max(state.up_since));
                known.filter(|_| up).is_none_or(|known| {
                    state.now <= known + LEASE + SLACK || state.session == SessionPhase::Expired
                })
            }),
            Property::sometimes(
                "an outage longer than a lease is survived",
                |_, state: &State| {
                    let up = state.up_since > LEASE && state.coordinator != Process::Down;
                    up && state.died.is_none() && state.beat > state.up_since
                },
            ),
        ]
    }
}

#[test]
fn nobody_is_expired_for_an_outage_and_the_dead_are_found() {
    let checker = Upkeep(None).checker().spawn_bfs().join();
    checker.assert_properties();
    println!("silence: {} states", checker.unique_state_count());
}

#[allow(clippy::print_stdout, reason = "what a run is asked to show")]
fn catch(flaw: Flaw, property: &'static str) {
    let checker = Upkeep(Some(flaw))
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let path = checker.discovery(property).expect("the flaw is found");
    let steps = path.into_actions();
    println!(
        "{flaw:?} breaks \"{property}\" in {} steps: {steps:?}",
        steps.len()
    );
}

#[test]
fn a_start_without_grace_is_caught() {
    catch(Flaw::NoGraceAtStart, "the living are not taken for dead");
}

#[test]
fn a_pause_without_grace_is_caught() {
    catch(Flaw::NoGraceAfterPause, "the living are not taken for dead");
}

#[test]
fn grace_without_end_is_caught() {
    catch(Flaw::GraceAlways, "the dead are found in time");
}
