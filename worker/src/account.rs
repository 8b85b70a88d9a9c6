//! What is still to be told about one attempt: written by the slot's thread, emptied by its courier.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use descent_spec::id::{AttemptNumber, TrialId};
use descent_spec::lease::{Artifact, Claimed, Fence, Held};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::spool::{Backlog, Content, Spool};

/// Measurements in one chunk: far below the largest message, far above what a second of training measures.
const CHUNK_MEASUREMENTS: usize = 512;

/// A checkpoint on its way.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) content: Content,
    pub(crate) epoch: u32,
    pub(crate) step: u64,
}

/// How an attempt ended here. There is one ending.
pub(crate) enum Ending {
    Finished {
        result: Box<TrialResult>,
        weights: Option<Content>,
    },
    Failed(Failure),
    Released,
}

/// What the courier does next.
pub(crate) enum Errand {
    /// Send these measurements.
    Metrics(Vec<Measurement>),
    /// Upload this checkpoint: every measurement before it has been accepted.
    Checkpoint(Snapshot),
    /// Deliver the ending: nothing else is left.
    End(Ending),
    /// Measurements are gathering.
    Gather,
    /// Nothing yet.
    Wait,
}

/// One attempt's account.
pub(crate) struct Account {
    pub(crate) fence: Fence,
    pub(crate) claimed: Claimed,
    pub(crate) span: tracing::Span,
    /// Cancelled when the coordinator takes the attempt away: nothing further is written for it.
    pub(crate) dropped: CancellationToken,
    /// Rung when something is to be looked at.
    pub(crate) bell: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    measurements: Backlog,
    /// Epoch of the newest measurement taken: a pack that is trained again after a panic measures again.
    measured_epoch: Option<u32>,
    checkpoint: Option<Snapshot>,
    /// The newest checkpoint that the coordinator has of this attempt.
    committed: Option<Artifact>,
    ending: Option<Ending>,
    /// Set with the ending and kept: directives concern only what is in training.
    ended: bool,
    checkpoint_wanted: bool,
    /// The coordinator wants the trial back, where it was saved last.
    release_wanted: bool,
    epoch: u32,
    step: u64,
}

impl State {
    fn is_urgent(&self) -> bool {
        self.ending.is_some() || self.checkpoint.is_some()
    }

    /// Final weights that wait.
    fn weights(&mut self) -> Option<&mut Content> {
        match &mut self.ending {
            Some(Ending::Finished { weights, .. }) => weights.as_mut(),
            Some(Ending::Failed(_) | Ending::Released) | None => None,
        }
    }
}

impl Account {
    pub(crate) fn new(fence: Fence, claimed: Claimed, worker: &str) -> Self {
        let span = tracing::info_span!(
            "trial",
            sweep = claimed.sweep,
            trial = %claimed.trial,
            attempt = %claimed.attempt,
            worker
        );
        let committed = claimed.checkpoint;
        Self {
            fence,
            claimed,
            span,
            dropped: CancellationToken::new(),
            bell: Notify::new(),
            state: Mutex::new(State {
                committed,
                ..State::default()
            }),
        }
    }

    pub(crate) fn name(&self) -> (TrialId, AttemptNumber) {
        (self.fence.trial, self.fence.attempt)
    }

    pub(crate) fn held(&self) -> Held {
        let state = self.lock();
        Held {
            trial: self.fence.trial,
            attempt: self.fence.attempt,
            epoch: state.epoch,
            step: state.step,
        }
    }

    // --- the slot's side ---

    pub(crate) fn moved(&self, epoch: u32, step: u64) {
        let mut state = self.lock();
        state.epoch = epoch;
        state.step = step;
    }

    /// It waits to be trained once more. At the very start nobody takes it for one that hangs.
    pub(crate) fn waits(&self) {
        self.moved(0, 0);
    }

    pub(crate) fn measured(&self, measurement: Measurement) {
        let mut state = self.lock();
        if state.measured_epoch >= Some(measurement.epoch) {
            return;
        }
        state.measured_epoch = Some(measurement.epoch);
        state.measurements.push(measurement);
        drop(state);
        self.bell.notify_one();
    }

    /// Takes a checkpoint; one that has not been sent yet is replaced.
    pub(crate) fn checkpointed(&self, snapshot: Snapshot) {
        self.lock().checkpoint = Some(snapshot);
        self.bell.notify_one();
    }

    pub(crate) fn end(&self, ending: Ending) {
        let mut state = self.lock();
        debug_assert!(!state.ended, "a lease is consumed by its ending");
        if !matches!(ending, Ending::Released) {
            // Nobody goes on from a checkpoint of what has ended.
            state.checkpoint = None;
        }
        state.ending = Some(ending);
        state.ended = true;
        drop(state);
        self.bell.notify_one();
    }

    /// Whether a checkpoint was asked for since the last look.
    pub(crate) fn take_checkpoint_wish(&self) -> bool {
        mem::take(&mut self.lock().checkpoint_wanted)
    }

    /// Whether the coordinator wants the trial back.
    pub(crate) fn is_wanted_back(&self) -> bool {
        self.lock().release_wanted
    }

    // --- the heartbeat's side ---

    /// The coordinator wants the trial back, or no longer does.
    pub(crate) fn want_back(&self, wanted: bool) {
        self.lock().release_wanted = wanted;
    }

    pub(crate) fn want_checkpoint(&self) {
        self.lock().checkpoint_wanted = true;
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Moves what waits for a coordinator that does not answer to disk. Blocks, but nobody who trains: files are written while
    /// nothing is locked.
    pub(crate) fn spill(&self, spool: &Spool) {
        let batch = self.lock().measurements.begin_spill();
        if let Some(mut batch) = batch {
            batch.write(spool);
            self.lock().measurements.end_spill(batch);
            self.bell.notify_one();
        }
        let waiting = |state: &mut State| -> [Option<Content>; 2] {
            let checkpoint = state.checkpoint.as_ref();
            [
                checkpoint.map(|snapshot| snapshot.content.clone()),
                state.weights().map(|weights| weights.clone()),
            ]
        };
        let contents = waiting(&mut self.lock());
        for content in contents.into_iter().flatten() {
            let Some(spooled) = content.to_disk(spool) else {
                continue;
            };
            let mut state = self.lock();
            // Taken or replaced meanwhile? Then the file goes again.
            if let Some(snapshot) = &mut state.checkpoint
                && snapshot.content.is(&content)
            {
                snapshot.content = spooled;
            } else if let Some(weights) = state.weights()
                && weights.is(&content)
            {
                *weights = spooled;
            }
        }
    }

    // --- the courier's side ---

    /// The next errand; `gathered` says that measurements have waited long enough.
    pub(crate) fn next_errand(&self, gathered: bool) -> Errand {
        let mut state = self.lock();
        if !state.measurements.is_empty() {
            if !(gathered || state.is_urgent() || CHUNK_MEASUREMENTS <= state.measurements.len()) {
                return Errand::Gather;
            }
            match state.measurements.take(CHUNK_MEASUREMENTS) {
                Ok(chunk) if chunk.is_empty() => return Errand::Wait,
                Ok(chunk) => return Errand::Metrics(chunk),
                Err(error) => {
                    // Whoever takes it next measures them once more.
                    self.span.in_scope(
                        || tracing::error!(%error, "measurements that waited on disk cannot be read: the trial is handed back"),
                    );
                    return Errand::End(Ending::Released);
                }
            }
        }
        if let Some(snapshot) = state.checkpoint.take() {
            return Errand::Checkpoint(snapshot);
        }
        state.ending.take().map_or(Errand::Wait, Errand::End)
    }

    /// Whether something waits that measurements must not hold up.
    pub(crate) fn is_urgent(&self) -> bool {
        let state = self.lock();
        state.is_urgent() || CHUNK_MEASUREMENTS <= state.measurements.len()
    }

    /// Whether a checkpoint waits, which makes an older one superfluous.
    pub(crate) fn has_checkpoint(&self) -> bool {
        self.lock().checkpoint.is_some()
    }

    pub(crate) fn committed(&self, artifact: Artifact) {
        self.lock().committed = Some(artifact);
    }

    /// Where a second start of the same attempt goes on from.
    pub(crate) fn newest_checkpoint(&self) -> Option<Artifact> {
        self.lock().committed
    }

    /// Starts over: whatever checkpoint there was cannot be used.
    pub(crate) fn forget_checkpoint(&self) {
        self.lock().committed = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
