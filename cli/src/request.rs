//! One call that changes something: its request id, and its repeats while the coordinator is out of reach.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use descent_proto::retry;
use tonic::Status;

/// Tries of one call. With the waits between them, a person waits about ten seconds for a coordinator that is restarting.
const TRIES: usize = 6;

/// 128 random bits: the same in every repeat of a call.
pub(crate) fn id() -> Vec<u8> {
    // The standard library seeds each `RandomState` from the system's source of randomness.
    (0..2_u64)
        .flat_map(|half| RandomState::new().hash_one(half).to_be_bytes())
        .collect()
}

/// A number in [0, 1) for spreading repeats.
fn jitter() -> f64 {
    (RandomState::new().hash_one(0_u8) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Makes a call, and again while [`retry::may_retry`] says so.
///
/// # Errors
/// The last try's status.
pub(crate) async fn repeat<T>(call: impl AsyncFn() -> Result<T, Status>) -> Result<T, Status> {
    let mut waits =
        retry::backoff(retry::FIRST_BACKOFF, Duration::from_secs(4), jitter).take(TRIES - 1);
    loop {
        match call().await {
            Ok(answer) => return Ok(answer),
            Err(status) if retry::may_retry(&status) => match waits.next() {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(status),
            },
            Err(status) => return Err(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sixteen_bytes_and_differ() {
        assert_eq!(id().len(), 16);
        assert_ne!(id(), id());
        assert!((0.0..1.0).contains(&jitter()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_not_repeated_an_outage_is() {
        for (code, tries) in [
            (tonic::Code::InvalidArgument, 1),
            (tonic::Code::Unavailable, TRIES),
        ] {
            let made = std::cell::Cell::new(0);
            let answer = repeat(async || {
                made.set(made.get() + 1);
                Err::<(), _>(Status::new(code, ""))
            })
            .await;
            assert_eq!((answer.unwrap_err().code(), made.get()), (code, tries));
        }
    }
}
