//! One member of a pack, as its driver keeps it: the lease, and when its next checkpoint is due.

use std::time::Duration;

use descent_spec::trial::TrialSpec;
use descent_training::pack::Progress;

use crate::lease::Lease;
use crate::place::Seat;

/// One member.
pub(super) struct Entry {
    pub(super) lease: Lease,
    /// What its own buffers were expected to take.
    pub(super) memory_bytes: u64,
    /// What it and those beside it may take.
    pub(super) there_bytes: u64,
    /// Counts it as in training.
    _seat: Seat,
    pub(super) width: u32,
    pub(super) epochs: u32,
    pub(super) batch: u32,
    /// Whether it went on from a checkpoint.
    pub(super) resumed: bool,
    pub(super) started_at: Duration,
    pub(super) now: Progress,
    /// When and where it was last saved; at the start, where it started.
    saved_at: Duration,
    saved: Progress,
}

impl Entry {
    pub(super) fn new(
        key: u64,
        (lease, memory_bytes, there_bytes): (Lease, u64, u64),
        seat: Seat,
        spec: &TrialSpec,
        resumed: bool,
    ) -> Self {
        let start = Progress {
            key,
            epoch: 0,
            step: 0,
        };
        Self {
            lease,
            memory_bytes,
            there_bytes,
            _seat: seat,
            width: spec.model.width(),
            epochs: spec.train.epochs,
            batch: spec.train.batch,
            resumed,
            started_at: Duration::ZERO,
            now: start,
            saved_at: Duration::ZERO,
            saved: start,
        }
    }

    /// Training begins here.
    pub(super) fn start(&mut self, at: Duration, progress: Progress) {
        self.started_at = at;
        self.saved_at = at;
        self.saved = progress;
        self.moved(progress);
    }

    pub(super) fn moved(&mut self, progress: Progress) {
        self.now = progress;
        self.lease.account().moved(progress.epoch, progress.step);
    }

    /// Its time limit, when it has passed.
    pub(super) fn overdue(&self, now: Duration) -> Option<Duration> {
        let limit = Duration::from_millis(self.lease.claimed().time_limit_ms);
        let spent = now.saturating_sub(self.started_at);
        (!limit.is_zero() && limit <= spent).then_some(limit)
    }

    /// Whether there is anything that the last checkpoint does not hold.
    pub(super) fn is_unsaved(&self) -> bool {
        self.now.step != self.saved.step
    }

    /// Whether a checkpoint is due: by time, by epochs, or because the coordinator asked.
    pub(super) fn wants_checkpoint(&self, now: Duration) -> bool {
        let claimed = self.lease.claimed();
        let wished = self.lease.account().take_checkpoint_wish();
        let by_time = Duration::from_millis(claimed.checkpoint_ms.into());
        let late = !by_time.is_zero() && by_time <= now.saturating_sub(self.saved_at);
        let epochs = self.now.epoch.saturating_sub(self.saved.epoch);
        let far = claimed.checkpoint_epochs != 0 && claimed.checkpoint_epochs <= epochs;
        self.is_unsaved() && (wished || late || far)
    }

    /// Takes a checkpoint of where it is now.
    pub(super) fn saved(&mut self, now: Duration, content: Vec<u8>) {
        self.saved_at = now;
        self.saved = self.now;
        self.lease
            .checkpointed(content, self.now.epoch, self.now.step);
    }
}
