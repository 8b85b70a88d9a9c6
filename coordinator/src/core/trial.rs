//! A trial's state machine.

use descent_spec::id::{AttemptNumber, SessionId, Timestamp};
use descent_spec::outcome::FailureKind;
use descent_spec::state::TrialState;

use super::fence::{self, Claimant};
use super::retry::{self, Retry, RetryPolicy};

/// Where a trial is, with what belongs to being there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrialPhase {
    /// Waits for its parent.
    Blocked,
    /// May be claimed; nobody has a right to it.
    Ready,
    /// May be claimed, but the worker whose lease ran out may still come back first.
    Suspect {
        /// That worker's session.
        holder: SessionId,
    },
    /// Held.
    Leased {
        /// The holding session.
        holder: SessionId,
    },
    /// Waits out a back-off.
    Delayed {
        /// Until when.
        until: Timestamp,
    },
    /// Has its result.
    Succeeded,
    /// Failed for good.
    Failed,
    /// Took down too many workers.
    Poisoned,
    /// Given up by the user.
    Cancelled,
    /// Given up because its parent cannot succeed.
    Skipped,
}

impl TrialPhase {
    /// The word for it, which does not tell a suspect trial from another ready one.
    #[must_use]
    pub const fn state(self) -> TrialState {
        match self {
            Self::Blocked => TrialState::Blocked,
            Self::Ready | Self::Suspect { .. } => TrialState::Ready,
            Self::Leased { .. } => TrialState::Leased,
            Self::Delayed { .. } => TrialState::Delayed,
            Self::Succeeded => TrialState::Succeeded,
            Self::Failed => TrialState::Failed,
            Self::Poisoned => TrialState::Poisoned,
            Self::Cancelled => TrialState::Cancelled,
            Self::Skipped => TrialState::Skipped,
        }
    }
}

/// A trial, as far as decisions need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trial {
    /// Where it is.
    pub phase: TrialPhase,
    /// Number of its last attempt; 0 before the first.
    pub attempt: AttemptNumber,
    /// Attempts that ended in a failure, since the last rerun.
    pub failures: u32,
    /// Attempts that were lost with their worker, since the last rerun.
    pub crashes: u32,
    /// Attempts that were handed back. Never charged.
    pub releases: u32,
}

impl Trial {
    /// A trial that nobody has touched.
    #[must_use]
    pub const fn new(phase: TrialPhase) -> Self {
        Self {
            phase,
            attempt: AttemptNumber(0),
            failures: 0,
            crashes: 0,
            releases: 0,
        }
    }
}

/// What can happen to a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// Its parent has succeeded.
    Unblock,
    /// Its parent cannot succeed.
    Skip,
    /// A session takes it.
    Claim {
        /// Which.
        session: SessionId,
    },
    /// Its holder's lease ran out.
    Expire,
    /// Its holder says that it is at work.
    Beat(Claimant),
    /// Its holder reports the result.
    Complete(Claimant),
    /// Its holder reports a failure.
    Fail {
        /// Who reports.
        by: Claimant,
        /// What kind.
        kind: FailureKind,
        /// A random number in `[0, 1)` for the delay.
        uniform: f64,
    },
    /// Its holder hands it back.
    Release(Claimant),
    /// Time has passed.
    Promote,
    /// Nobody wants it any more.
    Cancel,
    /// Somebody wants it again.
    Rerun {
        /// Whether it has no parent, or one that has succeeded.
        unblocked: bool,
    },
}

/// An event that does not fit the trial's state. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The attempt is not the reporter's any more.
    #[error("attempt {} was superseded: the trial is {found} at attempt {current}", claimed.attempt)]
    Fenced {
        /// What the reporter claims.
        claimed: Claimant,
        /// Where the trial is.
        found: TrialState,
        /// Its current attempt.
        current: AttemptNumber,
    },
    /// The event makes no sense in this state.
    #[error("a trial that is {found} cannot do this")]
    WrongState {
        /// Where the trial is.
        found: TrialState,
    },
    /// It is not time yet.
    #[error("the trial is delayed until {} ms", until.0)]
    TooEarly {
        /// When it may run again.
        until: Timestamp,
    },
}

/// The trial after an event.
///
/// # Errors
/// [`Rejected`] says what was found instead; the trial stays as it is.
pub fn transition(
    trial: Trial,
    event: Event,
    now: Timestamp,
    policy: &RetryPolicy,
) -> Result<Trial, Rejected> {
    let wrong = Rejected::WrongState {
        found: trial.phase.state(),
    };
    match event {
        Event::Unblock => match trial.phase {
            TrialPhase::Blocked => Ok(to(trial, TrialPhase::Ready)),
            _ => Err(wrong),
        },
        Event::Skip => match trial.phase {
            TrialPhase::Blocked => Ok(to(trial, TrialPhase::Skipped)),
            _ => Err(wrong),
        },
        Event::Claim { session } => claim(trial, session, policy).ok_or(wrong),
        Event::Expire => match trial.phase {
            TrialPhase::Leased { holder } => Ok(to(trial, TrialPhase::Suspect { holder })),
            _ => Err(wrong),
        },
        Event::Beat(by) => guard(trial, by).map(|()| {
            let holder = by.session;
            to(trial, TrialPhase::Leased { holder })
        }),
        Event::Complete(by) => guard(trial, by).map(|()| to(trial, TrialPhase::Succeeded)),
        Event::Fail { by, kind, uniform } => {
            guard(trial, by)?;
            let phase = match retry::after_failure(kind, trial.failures, policy, uniform, now) {
                Retry::At(until) => TrialPhase::Delayed { until },
                Retry::GiveUp => TrialPhase::Failed,
            };
            let failures = trial.failures.saturating_add(1);
            Ok(Trial {
                phase,
                failures,
                ..trial
            })
        }
        Event::Release(by) => guard(trial, by).map(|()| Trial {
            phase: TrialPhase::Ready,
            releases: trial.releases.saturating_add(1),
            ..trial
        }),
        Event::Promote => match trial.phase {
            TrialPhase::Delayed { until } if policy.is_over(until, now) => {
                Ok(to(trial, TrialPhase::Ready))
            }
            TrialPhase::Delayed { until } => Err(Rejected::TooEarly { until }),
            _ => Err(wrong),
        },
        Event::Cancel if trial.phase.state().is_terminal() => Err(wrong),
        Event::Cancel => Ok(to(trial, TrialPhase::Cancelled)),
        Event::Rerun { unblocked } => match trial.phase {
            TrialPhase::Failed
            | TrialPhase::Poisoned
            | TrialPhase::Cancelled
            | TrialPhase::Skipped => Ok(Trial {
                phase: if unblocked {
                    TrialPhase::Ready
                } else {
                    TrialPhase::Blocked
                },
                failures: 0,
                crashes: 0,
                ..trial
            }),
            _ => Err(wrong),
        },
    }
}

/// The same trial in another phase.
const fn to(trial: Trial, phase: TrialPhase) -> Trial {
    Trial { phase, ..trial }
}

/// A claim: the next attempt, and the end of a suspect one, which is charged to the trial here and nowhere else.
fn claim(trial: Trial, session: SessionId, policy: &RetryPolicy) -> Option<Trial> {
    let crashes = match trial.phase {
        TrialPhase::Ready => trial.crashes,
        TrialPhase::Suspect { .. } => trial.crashes.saturating_add(1),
        _ => return None,
    };
    if crashes > trial.crashes && policy.max_crashes.is_some_and(|max| crashes >= max) {
        return Some(Trial {
            phase: TrialPhase::Poisoned,
            crashes,
            ..trial
        });
    }
    Some(Trial {
        phase: TrialPhase::Leased { holder: session },
        attempt: AttemptNumber(trial.attempt.0 + 1),
        crashes,
        ..trial
    })
}

/// Whether the reporter may write about this trial.
fn guard(trial: Trial, by: Claimant) -> Result<(), Rejected> {
    if fence::holds(&trial, by) {
        return Ok(());
    }
    Err(Rejected::Fenced {
        claimed: by,
        found: trial.phase.state(),
        current: trial.attempt,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests;
