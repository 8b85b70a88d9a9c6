//! When a session counts as dead.

use std::time::Duration;

use descent_spec::id::Timestamp;

/// Where a worker's session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// Whether a trial that was leased at `leased_at` and is not in its worker's list is taken back: its grant was lost. One that seems to
/// be leased in the future was so before the clock was set back, and is not waited for until the clock has caught up; a little
/// into the future it may be because two coordinators do not agree to the millisecond.
#[must_use]
pub fn was_lost(leased_at: Timestamp, grace_ms: i64, now: Timestamp) -> bool {
    leased_at.plus_ms(grace_ms) <= now || now.plus_ms(grace_ms) < leased_at
}

/// Whether beats may have been missed here, so that every session is given a full lease before anybody is expired: after a start (no
/// `last` round), or when so much more time has passed since the last round than should have. The machine slept, the database hung,
/// or the clock was set, forwards or back.
#[must_use]
pub fn stalled(last: Option<Timestamp>, now: Timestamp, every: Duration, lease: Duration) -> bool {
    let most = every.saturating_add(lease / 2);
    let most = i64::try_from(most.as_millis()).unwrap_or(i64::MAX);
    last.is_none_or(|last| now < last || now > last.plus_ms(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_lost_after_its_grace_or_when_the_clock_was_set_back() {
        for (now_ms, expected) in [
            (10_000, true),
            (9_999, false),
            (0, false),
            (-10_000, false),
            (-10_001, true),
            (-3_600_000, true),
        ] {
            let lost = was_lost(Timestamp(0), 10_000, Timestamp(now_ms));
            assert_eq!(lost, expected, "{now_ms}");
        }
    }

    #[test]
    fn a_late_round_or_a_clock_that_was_set_is_a_stall() {
        let every = Duration::from_secs(1);
        let lease = Duration::from_secs(30);
        let round = |last, now_ms| stalled(last, Timestamp(now_ms), every, lease);
        for (now_ms, expected) in [
            (1_000, false),
            (16_000, false),
            (16_001, true),
            (3_600_000, true),
            (-1, true),
        ] {
            assert_eq!(round(Some(Timestamp(0)), now_ms), expected, "{now_ms}");
        }
        assert!(round(None, 0), "a start");
    }
}
