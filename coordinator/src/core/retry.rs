//! Whether a failed trial runs again, and when.

use descent_spec::id::Timestamp;
use descent_spec::outcome::FailureKind;

/// How failures are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Failures after which a trial is given up.
    pub max_failures: u32,
    /// Lost attempts after which a trial is poisoned ([`super::poison`] says on how many workers); `None`: never.
    pub max_crashes: Option<u32>,
    /// Upper end of the first delay.
    pub first_delay_ms: u32,
    /// Upper end of every delay.
    pub longest_delay_ms: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_failures: 3,
            max_crashes: Some(5),
            first_delay_ms: 1_000,
            longest_delay_ms: 300_000,
        }
    }
}

impl RetryPolicy {
    /// The last time that a delay which was drawn by now may end at.
    #[must_use]
    pub fn latest_end(&self, now: Timestamp) -> Timestamp {
        now.plus_ms(i64::from(self.longest_delay_ms))
    }

    /// Whether a delay is over. One that seems to be longer than any is given was drawn before the clock was set back: to wait until
    /// the clock has caught up could take hours.
    #[must_use]
    pub fn is_over(&self, until: Timestamp, now: Timestamp) -> bool {
        until <= now || self.latest_end(now) < until
    }
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Another attempt, not before this time.
    At(Timestamp),
    /// None.
    GiveUp,
}

/// What follows the failure of a trial that had failed `failures` times before.
///
/// The delay is uniform between 0 and an upper end that doubles with every failure ("full jitter"), so that trials that
/// failed together do not come back together. `uniform` is a random number in `[0, 1)`.
#[must_use]
pub fn after_failure(
    kind: FailureKind,
    failures: u32,
    policy: &RetryPolicy,
    uniform: f64,
    now: Timestamp,
) -> Retry {
    if !kind.is_retryable() || failures.saturating_add(1) >= policy.max_failures {
        return Retry::GiveUp;
    }
    Retry::At(now.plus_ms(delay_ms(kind, failures, policy, uniform)))
}

/// How much longer than others a kind of failure waits: as long as its cause may take to go away.
const fn patience(kind: FailureKind) -> u64 {
    match kind {
        // Somebody has to fetch it.
        FailureKind::Data => 30,
        // A disk or a link that recovers.
        FailureKind::Artifact => 5,
        // Another worker may take it at once, or it is not tried again.
        FailureKind::OutOfMemory
        | FailureKind::Device
        | FailureKind::Stalled
        | FailureKind::TimeLimit
        | FailureKind::BadSpec
        | FailureKind::Panic => 1,
    }
}

/// The delay after `failures` earlier failures, in milliseconds.
fn delay_ms(kind: FailureKind, failures: u32, policy: &RetryPolicy, uniform: f64) -> i64 {
    let first = u64::from(policy.first_delay_ms) * patience(kind);
    let doubled = first << failures.min(16);
    let upper = doubled.min(u64::from(policy.longest_delay_ms));
    // At most 2³² − 1, so both conversions are exact; a float cast saturates, and NaN is 0.
    (uniform.clamp(0.0, 1.0) * upper as f64) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn a_failure_that_repeats_itself_is_not_tried_again() {
        let policy = RetryPolicy::default();
        for kind in [
            FailureKind::TimeLimit,
            FailureKind::BadSpec,
            FailureKind::Panic,
        ] {
            assert_eq!(after_failure(kind, 0, &policy, 0.5, NOW), Retry::GiveUp);
        }
    }

    #[test]
    fn every_kind_has_its_own_way_on() {
        let policy = RetryPolicy::default();
        let first = |kind| match after_failure(kind, 0, &policy, 1.0, NOW) {
            Retry::At(at) => Some(at.0 - NOW.0),
            Retry::GiveUp => None,
        };
        for (kind, expected) in [
            (FailureKind::OutOfMemory, Some(1_000)),
            (FailureKind::TimeLimit, None),
            (FailureKind::BadSpec, None),
            (FailureKind::Data, Some(30_000)),
            (FailureKind::Artifact, Some(5_000)),
            (FailureKind::Device, Some(1_000)),
            (FailureKind::Panic, None),
            (FailureKind::Stalled, Some(1_000)),
        ] {
            assert_eq!(first(kind), expected, "{kind}");
        }
    }

    #[test]
    fn a_delay_drawn_before_the_clock_was_set_back_is_over() {
        let policy = RetryPolicy::default();
        let longest = i64::from(policy.longest_delay_ms);
        for (ahead_ms, expected) in [
            (0, true),
            (1, false),
            (longest, false),
            (longest + 1, true),
            (3_600_000, true),
        ] {
            assert_eq!(
                policy.is_over(NOW.plus_ms(ahead_ms), NOW),
                expected,
                "{ahead_ms}"
            );
        }
    }

    #[test]
    fn the_last_failure_of_the_budget_gives_up() {
        let policy = RetryPolicy {
            max_failures: 3,
            ..RetryPolicy::default()
        };
        let after = |failures| after_failure(FailureKind::Device, failures, &policy, 0.5, NOW);
        assert_eq!(after(0), Retry::At(Timestamp(1_000_500)));
        assert_eq!(after(1), Retry::At(Timestamp(1_001_000)));
        assert_eq!(after(2), Retry::GiveUp);
    }

    proptest! {
        #[test]
        fn delays_stay_within_their_bounds(failures in 0_u32..200, uniform in 0.0..1.0_f64) {
            let policy = RetryPolicy { max_failures: u32::MAX, ..RetryPolicy::default() };
            let Retry::At(at) = after_failure(FailureKind::Device, failures, &policy, uniform, NOW) else {
                return Err(TestCaseError::fail("gave up within the budget"));
            };
            prop_assert!(at >= NOW);
            prop_assert!(at <= NOW.plus_ms(i64::from(policy.longest_delay_ms)));
        }
    }
}
