//! The worlds in which every promise holds. The small ones are checked with every change, the large ones when asked for:
//! `cargo nextest run --run-ignored only -E 'test(model::holds)'`.

use super::check;
use super::scope::Scope;

/// Leases alone: two workers, one of which may be started again.
pub(super) const LEASES: Scope = Scope {
    trials: 1,
    attempts: 2,
    lives: [2, 1],
    asks: [1, 1],
    sweepers: 1,
    failures: 0,
    hand_backs: false,
    checkpoints: true,
    cancel: false,
    reruns: 0,
    slow_claims: false,
    group_commit: false,
    confused: false,
    recovery: true,
};

/// Hand-backs, closed sessions, cancelling.
pub(super) const FAREWELLS: Scope = Scope {
    lives: [1, 1],
    hand_backs: true,
    checkpoints: false,
    cancel: true,
    ..LEASES
};

/// Failures, delays, poison, the user who asks once more, and a worker that reports what another life of it began.
pub(super) const BUDGETS: Scope = Scope {
    lives: [2, 0],
    asks: [2, 0],
    failures: 2,
    checkpoints: false,
    cancel: true,
    reruns: 1,
    confused: true,
    ..LEASES
};

/// A chain of two trials.
pub(super) const CHAIN: Scope = Scope {
    trials: 2,
    lives: [1, 1],
    asks: [2, 1],
    failures: 1,
    checkpoints: false,
    cancel: true,
    ..LEASES
};

/// Two coordinators of one database, whose sweeps and claims overlap.
pub(super) const TWO_COORDINATORS: Scope = Scope {
    lives: [1, 1],
    checkpoints: false,
    slow_claims: true,
    ..LEASES
};

/// The same with hand-backs and cancelling, and without sweeps.
pub(super) const TWO_CLAIMS: Scope = Scope {
    sweepers: 0,
    hand_backs: true,
    cancel: true,
    ..TWO_COORDINATORS
};

/// One coordinator that dies between executing calls and making them durable.
pub(super) const GROUP_COMMIT: Scope = Scope {
    lives: [1, 1],
    checkpoints: false,
    group_commit: true,
    recovery: false,
    ..LEASES
};

#[test]
fn leases() {
    check("leases", LEASES);
}

#[test]
fn farewells() {
    check("farewells", FAREWELLS);
}

#[test]
fn budgets() {
    check("budgets", BUDGETS);
}

#[test]
fn a_chain() {
    check("chain", CHAIN);
}

#[test]
fn two_coordinators() {
    check("two coordinators", TWO_COORDINATORS);
}

#[test]
fn two_claims() {
    check("two claims", TWO_CLAIMS);
}

#[test]
fn group_commit() {
    check("group commit", GROUP_COMMIT);
}

/// Makes a test of each of the large worlds.
macro_rules! at_large {
    ($($name:ident: $scope:expr),+ $(,)?) => {
        mod at_large {
            use super::*;

            $(#[test]
            #[ignore = "minutes: a larger world"]
            fn $name() {
                check(concat!(stringify!($name), " at large"), $scope);
            })+
        }
    };
}

at_large! {
    leases: Scope { attempts: 3, sweepers: 2, ..LEASES },
    farewells: Scope { asks: [2, 1], ..FAREWELLS },
    budgets: Scope { attempts: 3, ..BUDGETS },
    two_budgets: Scope { attempts: 3, lives: [1, 1], asks: [2, 1], ..BUDGETS },
    chain: Scope { reruns: 1, ..CHAIN },
    two_coordinators: Scope { sweepers: 2, ..TWO_COORDINATORS },
    group_commit: Scope { asks: [2, 1], failures: 2, recovery: true, ..GROUP_COMMIT },
}
