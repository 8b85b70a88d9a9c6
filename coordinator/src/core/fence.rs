//! The one guard of every write about an attempt.

use descent_spec::id::{AttemptNumber, SessionId};

use super::trial::{Trial, TrialPhase};

/// Who claims to hold a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The worker's session.
    pub session: SessionId,
    /// The attempt that it was given.
    pub attempt: AttemptNumber,
}

/// Whether the trial is still this claimant's: same attempt, same session, and leased or at most suspect.
#[must_use]
pub fn holds(trial: &Trial, claimant: Claimant) -> bool {
    let holder = match trial.phase {
        TrialPhase::Leased { holder } | TrialPhase::Suspect { holder } => holder,
        TrialPhase::Blocked
        | TrialPhase::Ready
        | TrialPhase::Delayed { .. }
        | TrialPhase::Succeeded
        | TrialPhase::Failed
        | TrialPhase::Poisoned
        | TrialPhase::Cancelled
        | TrialPhase::Skipped => return false,
    };
    trial.attempt == claimant.attempt && holder == claimant.session
}
