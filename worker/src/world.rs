//! All that a worker touches outside itself, handed in, so that the same code runs in a simulation.

use std::sync::Arc;

use tokio::sync::watch;

use crate::activity::SlotActivity;
use crate::clock::{Clock, SystemClock};
use crate::link::Link;
use crate::random::{Random, SystemRandom};
use crate::stage::{Stage, Threads};
use crate::trainer::Trainer;

/// The outside.
pub struct World {
    /// The coordinator.
    pub link: Arc<dyn Link>,
    /// What trains: one for each device, at least one. Slots are spread over them in turn; devices past the last slot stay idle.
    pub trainers: Vec<Arc<dyn Trainer>>,
    /// Where it computes.
    pub stage: Arc<dyn Stage>,
    /// Monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Names and jitter.
    pub random: Arc<dyn Random>,
    /// Where slots write what they are doing.
    pub activity: watch::Sender<Vec<SlotActivity>>,
}

impl World {
    /// The machine's own threads, clock and randomness; nobody watches.
    #[must_use]
    pub fn real(link: Arc<dyn Link>, trainers: Vec<Arc<dyn Trainer>>) -> Self {
        Self {
            link,
            trainers,
            stage: Arc::new(Threads::default()),
            clock: Arc::new(SystemClock::start()),
            random: Arc::new(SystemRandom),
            activity: watch::Sender::new(Vec::new()),
        }
    }
}
