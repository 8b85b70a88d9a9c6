//! One device and what its slots share: the trainer, the memory, who is in training there, and whether it still answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use descent_spec::id::{ContentHash, PackKey};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::trainer::Trainer;

/// Memory is handed out in MiB: fine enough, and a semaphore counts no further than 2⁶¹.
const MEMORY_UNIT_BYTES: u64 = 1 << 20;

/// A part of the memory, given back when it is dropped.
pub(crate) type Memory = OwnedSemaphorePermit;

/// The samples that trials of one pack key and data set share.
type Samples = (PackKey, ContentHash);

/// One device.
pub(crate) struct Place {
    pub(crate) trainer: Arc<dyn Trainer>,
    /// What its packs may take together.
    pub(crate) memory_bytes: u64,
    pub(crate) memory_units: u32,
    pub(crate) free: Arc<Semaphore>,
    /// Held by the slot that asks for trials until it has reserved what it got.
    pub(crate) asking: tokio::sync::Mutex<()>,
    /// Cancelled when the device no longer answers: nothing further is taken for it.
    pub(crate) lost: CancellationToken,
    samples: Mutex<BTreeMap<Samples, Weak<Memory>>>,
    /// Members in training, of all slots.
    members: watch::Sender<usize>,
    /// Most members of a pack, where more did not fit.
    sizes: Mutex<BTreeMap<PackKey, usize>>,
}

/// One member in training at a place.
pub(crate) struct Seat(Arc<Place>);

impl Place {
    pub(crate) fn new(trainer: Arc<dyn Trainer>, memory_bytes: u64) -> Self {
        let memory_units = units(memory_bytes).max(1);
        Self {
            trainer,
            memory_bytes,
            memory_units,
            free: Arc::new(Semaphore::new(memory_units as usize)),
            asking: tokio::sync::Mutex::default(),
            lost: CancellationToken::new(),
            samples: Mutex::default(),
            members: watch::Sender::new(0),
            sizes: Mutex::default(),
        }
    }

    /// What packs may still take.
    pub(crate) fn free_memory_bytes(&self) -> u64 {
        (self.free.available_permits() as u64).saturating_mul(MEMORY_UNIT_BYTES)
    }

    /// The memory of samples that a pack in training holds already.
    pub(crate) fn samples(&self, of: Samples) -> Option<Arc<Memory>> {
        lock(&self.samples).get(&of).and_then(Weak::upgrade)
    }

    /// Counts samples once for all packs that share them.
    pub(crate) fn hold_samples(&self, of: Samples, memory: &Arc<Memory>) {
        let mut samples = lock(&self.samples);
        samples.retain(|_, held| held.strong_count() > 0);
        samples.insert(of, Arc::downgrade(memory));
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

/// Memory units that cover so many bytes.
pub(crate) fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MEMORY_UNIT_BYTES)).unwrap_or(u32::MAX)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here panics half way through a change.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
