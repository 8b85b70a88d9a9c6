//! When a session counts as dead.

use descent_spec::id::Timestamp;

/// Where a worker's session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionPhase {
    /// Alive until `until` without another beat.
    Open {
        /// End of the lease.
        until: Timestamp,
    },
    /// Not heard of for longer than its lease; its next beat brings it back.
    Expired,
    /// Ended by its worker, for good.
    Closed,
}

/// The session after time has passed.
#[must_use]
pub fn at(session: SessionPhase, now: Timestamp) -> SessionPhase {
    match session {
        SessionPhase::Open { until } if until < now => SessionPhase::Expired,
        SessionPhase::Open { .. } | SessionPhase::Expired | SessionPhase::Closed => session,
    }
}

/// The session after a beat; `None` when it is closed and cannot come back.
#[must_use]
pub fn beat(session: SessionPhase, until: Timestamp) -> Option<SessionPhase> {
    match session {
        SessionPhase::Open { .. } | SessionPhase::Expired => Some(SessionPhase::Open { until }),
        SessionPhase::Closed => None,
    }
}

/// Whether a trial that was leased at `leased_at` and is not in its worker's list is taken back: its grant was lost.
#[must_use]
pub fn was_lost(leased_at: Timestamp, grace_ms: i64, now: Timestamp) -> bool {
    leased_at.plus_ms(grace_ms) <= now
}
