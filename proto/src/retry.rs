//! When a call may be repeated, and how long to wait first.

use std::time::Duration;

use tonic::{Code, Status};

/// Shortest cap of the wait between two tries.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// Longest wait between two tries.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// Whether the same call may succeed later. Every call of ours is idempotent, so that repeating one is always safe.
///
/// A client-side timeout of tonic's arrives as `Cancelled`, not as `DeadlineExceeded`; and a connection that breaks in the
/// middle of a call arrives as `Unknown` or `Internal` with the transport's error as its source, which a status that the
/// server sent never has.
#[must_use]
pub fn may_retry(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::ResourceExhausted => true,
        Code::Unknown | Code::Internal => std::error::Error::source(status).is_some(),
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// Waits between tries with full jitter: the i-th is uniform in [0, min(longest, first·2ⁱ)]. Endless.
///
/// `random` gives numbers in [0, 1): randomness is handed in, so that a test or a simulation repeats itself. Full jitter
/// spreads a thousand workers that lost their coordinator at the same moment (Brooker, AWS Architecture Blog, 2015).
pub fn backoff(
    first: Duration,
    longest: Duration,
    mut random: impl FnMut() -> f64,
) -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(first.min(longest)), move |cap| {
        Some(cap.saturating_mul(2).min(longest))
    })
    .map(move |cap| cap.mul_f64(random().clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_decided() {
        let retried: Vec<Code> = (0..=16)
            .map(Code::from_i32)
            .filter(|&code| may_retry(&Status::new(code, "")))
            .collect();
        assert_eq!(
            retried,
            [
                Code::Cancelled,
                Code::DeadlineExceeded,
                Code::ResourceExhausted,
                Code::Aborted,
                Code::Unavailable,
            ]
        );
    }

    #[test]
    fn a_broken_connection_is_retried_a_servers_bug_is_not() {
        let broken = Status::from_error(Box::new(std::io::Error::other("connection reset")));
        assert_eq!(broken.code(), Code::Unknown);
        assert!(may_retry(&broken));
        assert!(!may_retry(&Status::unknown("a bug")));
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let caps: Vec<_> = backoff(FIRST_BACKOFF, Duration::from_millis(500), || 1.0)
            .take(5)
            .map(|wait| wait.as_millis())
            .collect();
        assert_eq!(caps, [100, 200, 400, 500, 500]);
        assert_eq!(
            backoff(FIRST_BACKOFF, LONGEST_BACKOFF, || 0.0).nth(1000),
            Some(Duration::ZERO)
        );
    }
}
