//! The lease protocol, checked in every state that it can reach: coordinators, workers that crash, pause and come back, a user who
//! cancels and asks again, and a network that loses, repeats and reorders.
//!
//! The coordinator's side is the product's own [`core`](descent_coordinator::core). A worker's pause is every step that it does not take
//! while others do; a lease may have run out whenever somebody looks.

mod broken;
mod flaw;
mod holds;
mod message;
mod promise;
mod queue;
mod scope;
mod silence;
mod state;
mod worker;

use std::sync::Mutex;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Property};

use self::flaw::Flaw;
use self::promise::{Broken, Promise};
use self::scope::{Rules, Scope};
use self::state::{Action, State};

/// The checker's view of a world.
struct Leases {
    rules: Rules,
    /// Promises that were seen broken. The checker keeps the last state of many that break one; we want the first, which is the
    /// nearest to the beginning.
    seen: Mutex<Broken>,
}

impl Leases {
    fn new(scope: Scope, flaw: Option<Flaw>) -> Self {
        Self {
            rules: Rules { scope, flaw },
            seen: Mutex::default(),
        }
    }

    /// Whether a promise holds, or was seen broken before.
    fn holds(&self, promise: Promise, holds: bool) -> bool {
        if holds {
            return true;
        }
        let mut seen = self.seen.lock().unwrap();
        let before = seen.has(promise);
        seen.add(promise);
        before
    }
}

/// A promise as the checker's property: of a step, which has left a note behind, or of a state.
macro_rules! property {
    ($promise:ident) => {
        Property::<Leases>::always(Promise::$promise.name(), |model, state| {
            model.holds(
                Promise::$promise,
                !state.queue.broken.has(Promise::$promise),
            )
        })
    };
    ($promise:ident, |$rules:ident, $state:ident| $holds:expr) => {
        Property::<Leases>::always(Promise::$promise.name(), |model, $state| {
            let $rules = &model.rules;
            model.holds(Promise::$promise, $holds)
        })
    };
}

impl Model for Leases {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.rules)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        state.actions(&self.rules, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        state.after(&self.rules, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            property!(OneResult, |_rules, state| state.queue.has_one_result()),
            property!(Durable, |rules, state| state.is_durable(rules)),
            property!(WritersGrow),
            property!(OnlyTheNewest),
            property!(Counters, |rules, state| state.queue.counts_rows(rules)),
            property!(ParentsFirst, |_rules, state| state
                .queue
                .has_parents_first()),
            property!(Charges, |_rules, state| state.queue.charges_causes()),
            property!(SoftExpiry),
            property!(NumbersGrow),
            property!(Repeatable),
        ];
        if self.rules.scope.recovery {
            properties.push(property!(Ends, |rules, state| state.can_end(rules)));
        }
        properties
    }
}

/// Checks a world whole: no promise can be broken in it. Prints how large it is.
#[allow(clippy::print_stdout, reason = "what a run is asked to show")]
fn check(name: &str, scope: Scope) {
    let begun = Instant::now();
    let checker = Leases::new(scope, None)
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    checker.assert_properties();
    println!(
        "{name}: {} states, {} steps, at most {} from the beginning, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64()
    );
}

/// Leaves a guard out and asks for the shortest way in which that breaks a promise.
#[allow(clippy::print_stdout, reason = "what a run is asked to show")]
fn catch(scope: Scope, flaw: Flaw, promise: Promise) {
    let begun = Instant::now();
    let checker = Leases::new(scope, Some(flaw))
        .checker()
        .finish_when(HasDiscoveries::AnyOf([promise.name()].into()))
        .spawn_bfs()
        .join();
    let mut found = checker.discoveries();
    let path = found.remove(promise.name()).unwrap_or_else(|| {
        let others: Vec<_> = found.keys().collect();
        panic!("{flaw:?} does not break {promise:?}, but {others:?}")
    });
    let steps = path.into_actions();
    println!(
        "{flaw:?} breaks \"{}\" in {} steps ({} states, {:.1} s): {steps:?}",
        promise.name(),
        steps.len(),
        checker.unique_state_count(),
        begun.elapsed().as_secs_f64()
    );
}
