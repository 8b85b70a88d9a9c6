//! What each slot is doing right now, for a live view. Written once a slice; reading costs the trainer nothing.

use tokio::sync::watch;

/// What one slot is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlotActivity {
    /// A sweep that wants the trials; empty while the slot has none.
    pub sweep: String,
    /// Widths of the networks in training.
    pub widths: Vec<u32>,
    /// Epochs that the slowest of them has behind it.
    pub epoch: u32,
    /// Epochs that the longest of them shall train.
    pub epochs: u32,
    /// Training samples seen per second, all of them together.
    pub samples_per_s: f64,
}

/// One entry per slot, in order.
pub type Activity = watch::Receiver<Vec<SlotActivity>>;

/// A board and its reader. The board goes into [`crate::World`].
#[must_use]
pub fn board() -> (watch::Sender<Vec<SlotActivity>>, Activity) {
    watch::channel(Vec::new())
}
