//! Two ways to stop: in order, and at once.

use tokio_util::sync::CancellationToken;

/// Tells a worker to stop. Clones are the same switch.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    abort: CancellationToken,
}

impl Shutdown {
    /// A switch that nobody has touched.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// First signal: checkpoint, upload, hand the leases back, close the session. Also how to end an idle worker.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Second signal: return at once. What was acknowledged is safe; the rest is another attempt's.
    pub fn abort(&self) {
        self.abort.cancel();
        self.drain.cancel();
    }

    /// Whether draining (or aborting) was asked for.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Whether stopping at once was asked for.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.abort.is_cancelled()
    }

    /// Waits for either.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Waits for the abort.
    pub async fn aborted(&self) {
        self.abort.cancelled().await;
    }
}
