//! The worker's own clock: monotonic, for time limits, checkpoint intervals and durations. It says nothing about the date.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time since some start.
pub trait Clock: Send + Sync + 'static {
    /// Time since the clock's start; never goes back.
    fn now(&self) -> Duration;
}

/// The machine's monotonic clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts at zero now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that is moved by hand, for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: Mutex<Duration>,
}

impl ManualClock {
    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        *self.now.lock().expect("no holder of this lock panics") += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        *self.now.lock().expect("no holder of this lock panics")
    }
}
