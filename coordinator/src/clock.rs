//! What time it is: handed in, so that tests and simulations move it themselves.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use descent_spec::id::Timestamp;
use tokio::time::Instant;

use crate::fail_point;
use crate::service::millis;
use crate::store::{Store, StoreError};

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock. It may jump; `maintain` notices and expires nobody for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let now = Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        now.plus_ms(fail_point::clock_ahead_ms())
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub const fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Moves it by `ms` milliseconds (backwards when negative).
    pub fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// An answer about the time that took longer than this says too little about it.
const TOO_LONG: Duration = Duration::from_secs(1);

/// The clock by which leases of one queue are reckoned: the database's where several coordinators share one, because their own may
/// differ by hours; the coordinator's own elsewhere.
///
/// The database is asked now and then, and between two answers monotonic time goes on: a machine's clock that is wrong, or is set
/// while it runs, changes nothing.
pub(crate) struct QueueClock {
    own: Arc<dyn Clock>,
    /// What the database said, and when here.
    said: Mutex<Option<(Instant, Timestamp)>>,
}

impl QueueClock {
    pub(crate) fn new(own: Arc<dyn Clock>) -> Self {
        Self {
            own,
            said: Mutex::new(None),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let said = *self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match said {
            Some((then, time)) => time.plus_ms(millis(then.elapsed())),
            None => self.own.now(),
        }
    }

    /// Asks a shared database for its time.
    ///
    /// # Errors
    /// What the database reports.
    pub(crate) async fn set(&self, store: &dyn Store) -> Result<(), StoreError> {
        let asked = Instant::now();
        let Some(time) = store.time().await? else {
            return Ok(());
        };
        let took = asked.elapsed();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if took < TOO_LONG || said.is_none() {
            // Read on its way, which is the middle as far as anybody knows.
            *said = Some((asked + took / 2, time));
        }
        Ok(())
    }
}
