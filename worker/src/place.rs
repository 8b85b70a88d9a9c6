//! One device and what its slots share: the trainer, the memory, who is in training there, and whether it still answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use descent_spec::id::PackKey;
use descent_spec::trial::TrialSpec;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::trainer::Trainer;

/// One device.
pub(crate) struct Place {
    pub(crate) trainer: Arc<dyn Trainer>,
    /// The device's memory.
    pub(crate) memory: Arc<Budget>,
    /// The machine's, for trials that the processor computes in the device's stead; one for all places.
    machine: Arc<Budget>,
    /// Held by the slot that asks for trials until it has reserved what it got.
    pub(crate) asking: tokio::sync::Mutex<()>,
    /// Cancelled when the device no longer answers: nothing further is taken for it.
    pub(crate) lost: CancellationToken,
    /// Members in training, of all slots.
    members: watch::Sender<usize>,
    /// Most members of a pack, where more did not fit.
    sizes: Mutex<BTreeMap<PackKey, usize>>,
}

/// One member in training at a place.
pub(crate) struct Seat(Arc<Place>);

impl Place {
    pub(crate) fn new(trainer: Arc<dyn Trainer>, memory_bytes: u64, machine: &Arc<Budget>) -> Self {
        Self {
            trainer,
            memory: Arc::new(Budget::new(memory_bytes, "give it more with --memory-mib")),
            machine: Arc::clone(machine),
            asking: tokio::sync::Mutex::default(),
            lost: CancellationToken::new(),
            members: watch::Sender::new(0),
            sizes: Mutex::default(),
        }
    }

    /// The memory that a trial takes its part of.
    pub(crate) fn budget(&self, spec: &TrialSpec) -> &Arc<Budget> {
        if self.trainer.leaves_device(spec) {
            &self.machine
        } else {
            &self.memory
        }
    }

    /// A member begins to train.
    pub(crate) fn sit_down(self: &Arc<Self>) -> Seat {
        self.members.send_modify(|members| *members += 1);
        Seat(Arc::clone(self))
    }

    /// Members in training.
    pub(crate) fn members(&self) -> usize {
        *self.members.borrow()
    }

    /// Waits until fewer members than this train here.
    pub(crate) async fn fewer_than(&self, members: usize) {
        let mut watched = self.members.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = watched.wait_for(|&now| now < members).await;
    }

    /// A pack of so many members ran out of memory: the next ones of its kind are half as large.
    pub(crate) fn was_too_many(&self, kind: PackKey, members: usize) {
        let half = members.div_ceil(2);
        let mut sizes = lock(&self.sizes);
        let size = sizes.entry(kind).or_insert(half);
        *size = half.min(*size);
    }

    /// Most members that a pack of this kind may have, where that is known.
    pub(crate) fn pack_size(&self, kind: PackKey) -> Option<usize> {
        lock(&self.sizes).get(&kind).copied()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.members.send_modify(|members| *members -= 1);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half way through a change.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
