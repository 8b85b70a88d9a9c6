//! How large a world is explored, and what may happen in it. Several small worlds are checked whole rather than one large one in part.

use descent_coordinator::core::retry::RetryPolicy;
use descent_spec::id::Timestamp;

use super::flaw::Flaw;

/// When everything happens that needs no time. Leases that begin now end now: see [`LATE`].
pub(super) const NOW: Timestamp = Timestamp(0);

/// After the end of every lease and every delay. Whoever looks at the clock finds either time, whichever does more harm: so every
/// duration is covered, clocks that are set included.
pub(super) const LATE: Timestamp = Timestamp(1);

/// Most trials.
pub(super) const TRIALS: usize = 2;
/// Most attempts of a trial, one more than a scope allows: the last belongs to the recovery.
pub(super) const ATTEMPTS: usize = 4;
/// Workers.
pub(super) const WORKERS: usize = 2;
/// Most lives of a worker, one session each.
pub(super) const LIVES: usize = 2;
/// Sessions of workers.
pub(super) const SESSIONS: usize = WORKERS * LIVES;
/// The session of a worker that is well and joins when everybody else has had their turn.
pub(super) const SPARE: usize = SESSIONS;
/// Most requests for work in one life.
pub(super) const ASKS: usize = 3;

/// What may happen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scope {
    /// The second trial starts from the first one's weights.
    pub(super) trials: usize,
    /// Most attempts of a trial.
    pub(super) attempts: usize,
    /// Lives of each worker.
    pub(super) lives: [usize; WORKERS],
    /// Requests for work in each life of each worker.
    pub(super) asks: [usize; WORKERS],
    /// Coordinators that look for silent sessions and delayed trials.
    pub(super) sweepers: usize,
    /// Failures after which a trial is given up; 0: workers report none.
    pub(super) failures: u32,
    /// Workers hand trials back, close their sessions, and give up asking.
    pub(super) hand_backs: bool,
    /// Workers commit checkpoints.
    pub(super) checkpoints: bool,
    /// The user cancels, once.
    pub(super) cancel: bool,
    /// How often the user asks for what has failed or was cancelled once more.
    pub(super) reruns: u8,
    /// A claim first chooses, without a lock, then takes; two coordinators do so side by side.
    pub(super) slow_claims: bool,
    /// Calls are executed, then become durable together, then are answered; the coordinator may die in between.
    pub(super) group_commit: bool,
    /// A worker reports, after a restart, what it finds of its former life on its disk.
    pub(super) confused: bool,
    /// From every state, whoever is still there brings all trials to an end.
    pub(super) recovery: bool,
}

/// A world: its size, and what is wrong with the coordinator in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) scope: Scope,
    pub(super) flaw: Option<Flaw>,
}

impl Rules {
    /// How failures and crashes are answered: after a second crash a trial is poisoned.
    pub(super) fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_failures: self.scope.failures,
            max_crashes: Some(2),
            first_delay_ms: 2,
            longest_delay_ms: 2,
        }
    }

    pub(super) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}
