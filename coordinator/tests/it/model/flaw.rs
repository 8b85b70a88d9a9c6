//! Guards left out, one at a time. A checker that does not notice would prove nothing.

/// What is wrong with the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Reports about attempts are taken from everybody.
    NoFence,
    /// Reports are taken while the trial is leased, by whomever.
    StateOnly,
    /// Reports are taken from the holding session, whichever attempt they name.
    AttemptUnchecked,
    /// Reports are taken if they name the current attempt, from whichever session.
    SessionUnchecked,
    /// The sweeper writes about the trials that it saw, whatever has become of them.
    SweeperById,
    /// Expiry takes the next attempt number.
    SweeperBumps,
    /// Expiry takes the trial from its holder at once.
    SweeperRevokes,
    /// Expiry charges the trial, not the claim that supersedes it.
    SweeperCharges,
    /// Expiry leaves the sweep's counters as they were.
    SweeperMiscounts,
    /// The end of a delay is written for the trials that were seen delayed, whatever has become of them.
    PromoterById,
    /// A claim takes what it has chosen without looking again.
    ClaimUnchecked,
    /// Claims do not remember what they were answered with.
    ClaimForgotten,
    /// Two calls with one request id may both take something.
    ClaimTwice,
    /// A closed session may claim.
    ClosedMayClaim,
    /// A claim that has looked at its session does not look again when it takes what it has chosen.
    SessionUncheckedLater,
    /// A beat makes the trial its sender's whoever has it.
    BeatTakes,
    /// What a worker does not list stays its own.
    NothingTakenBack,
    /// A repeated report is treated as a new one.
    ReportForgotten,
    /// A hand-back is charged as a crash.
    HandBackCharged,
    /// Cancelling reaches trials that have ended.
    CancelUnchecked,
    /// A rerun begins to count attempts anew.
    RerunRestartsNumbers,
    /// A failed trial releases those that wait for it.
    FailureUnblocks,
    /// Calls are answered before they are durable.
    AnsweredEarly,
}
