//! Computing in simulated time, on the one thread that there is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use descent_coordinator::outside::Offload;
use descent_worker::clock::Clock;
use descent_worker::stage::{Slices, Stage, Turn};

use crate::shared::Shared;

/// A worker's clock. While a slice is computed it runs ahead of the simulation by what the slice costs; afterwards the slice's slot
/// sleeps for that long.
pub(crate) struct Meter {
    shared: Arc<Shared>,
    owed: Mutex<Duration>,
}

impl Meter {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            owed: Mutex::default(),
        }
    }

    pub(crate) fn owe(&self, cost: Duration) {
        *self.owed.lock().unwrap() += cost;
    }

    fn pay(&self) -> Duration {
        std::mem::take(&mut self.owed.lock().unwrap())
    }
}

impl Clock for Meter {
    fn now(&self) -> Duration {
        self.shared.now() + *self.owed.lock().unwrap()
    }
}

/// A worker's stage.
pub(crate) struct OneThread {
    pub(crate) shared: Arc<Shared>,
    pub(crate) worker: usize,
    pub(crate) meter: Arc<Meter>,
}

#[async_trait]
impl Stage for OneThread {
    async fn train(&self, _: usize, mut slices: Slices) {
        loop {
            while self.shared.is_frozen(self.worker) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let turn = slices();
            tokio::time::sleep(self.meter.pay()).await;
            match turn {
                Turn::More => {}
                Turn::Rest(time) => tokio::time::sleep(time).await,
                Turn::Over => return,
            }
        }
    }

    async fn compute(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

/// A coordinator's computing takes no time.
pub(crate) struct AtOnce;

#[async_trait]
impl Offload for AtOnce {
    async fn compute(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}
