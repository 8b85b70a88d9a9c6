//! Trials whose workers die: when one is given up, and whom it is trained beside until then.

use super::retry::RetryPolicy;

/// Lost attempts from which on a trial is trained alone, so that what it may do to its worker is not charged to others.
pub const ALONE_FROM: u32 = 2;

/// What is known of a trial that lost its worker once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Losses {
    /// Attempts lost since the last rerun, this one included.
    pub crashes: u32,
    /// Workers, by name, that those attempts were on.
    pub workers: u32,
    /// Whether a worker is at hand, by name, that has not lost it yet.
    pub others: bool,
}

/// Whether a trial is given up: after [`RetryPolicy::max_crashes`] on two workers at least, because a single worker may be what is
/// broken; on one worker alone after twice as many, while another one is at hand. Where there is one worker only, never: it may be
/// killed by hand again and again, and goes on each time where it was.
#[must_use]
pub fn is_poisoned(losses: Losses, policy: &RetryPolicy) -> bool {
    let Some(max) = policy.max_crashes else {
        return false;
    };
    let again_and_again = losses.others && max.saturating_mul(2) <= losses.crashes;
    max <= losses.crashes && (losses.workers >= 2 || again_and_again)
}

/// Keeps what may kill its worker apart: where it is the first of those chosen it goes alone, else without it.
pub fn set_apart<T>(chosen: &mut Vec<T>, fragile: impl Fn(&T) -> bool) {
    if chosen.first().is_some_and(&fragile) {
        chosen.truncate(1);
    } else {
        chosen.retain(|trial| !fragile(trial));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_kill_its_worker_goes_alone() {
        let apart = |chosen: &[i64], fragile: &[i64]| {
            let mut chosen = chosen.to_vec();
            set_apart(&mut chosen, |trial| fragile.contains(trial));
            chosen
        };
        assert_eq!(apart(&[1, 2, 3], &[]), [1, 2, 3]);
        assert_eq!(apart(&[1, 2, 3], &[1, 3]), [1]);
        assert_eq!(apart(&[1, 2, 3], &[2, 3]), [1]);
        assert_eq!(apart(&[1, 2, 3], &[2]), [1, 3]);
        assert_eq!(apart(&[], &[2]), [0_i64; 0]);
    }

    #[test]
    fn one_worker_alone_does_not_poison_a_trial_that_another_one_could_try() {
        let policy = RetryPolicy {
            max_crashes: Some(5),
            ..RetryPolicy::default()
        };
        for (crashes, workers, others, expected) in [
            (4, 4, false, false),
            (5, 2, true, true),
            (5, 1, true, false),
            (9, 1, true, false),
            (10, 1, true, true),
            (100, 1, false, false),
        ] {
            let losses = Losses {
                crashes,
                workers,
                others,
            };
            assert_eq!(is_poisoned(losses, &policy), expected, "{losses:?}");
        }
        let never = RetryPolicy {
            max_crashes: None,
            ..policy
        };
        let many = Losses {
            crashes: 1_000,
            workers: 9,
            others: true,
        };
        assert!(!is_poisoned(many, &never));
    }
}
