//! Memory that packs share, handed out in parts: a device's own, or the machine's for what the processor computes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use descent_spec::id::{ContentHash, PackKey};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is handed out in MiB: fine enough, and a semaphore counts no further than 2⁶¹.
const UNIT_BYTES: u64 = 1 << 20;

/// A part of the memory, given back when it is dropped.
pub(crate) type Memory = OwnedSemaphorePermit;

/// The samples that trials of one pack key and data set share.
type Samples = (PackKey, ContentHash);

/// Memory of one kind.
pub(crate) struct Budget {
    /// What packs may take together.
    pub(crate) bytes: u64,
    /// What a person can do where that is too little.
    pub(crate) way_out: &'static str,
    pub(crate) units: u32,
    pub(crate) free: Arc<Semaphore>,
    samples: Mutex<BTreeMap<Samples, Weak<Memory>>>,
}

impl Budget {
    pub(crate) fn new(bytes: u64, way_out: &'static str) -> Self {
        let units = units(bytes).max(1);
        Self {
            bytes,
            way_out,
            units,
            free: Arc::new(Semaphore::new(units as usize)),
            samples: Mutex::default(),
        }
    }

    /// What packs may still take.
    pub(crate) fn free_bytes(&self) -> u64 {
        (self.free.available_permits() as u64).saturating_mul(UNIT_BYTES)
    }

    /// The memory of samples that a pack in training holds already.
    pub(crate) fn samples(&self, of: Samples) -> Option<Arc<Memory>> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.get(&of).and_then(Weak::upgrade)
    }

    /// The kinds of packs whose samples are held.
    pub(crate) fn samples_held(&self) -> Vec<PackKey> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let held = samples.iter().filter(|(_, held)| held.strong_count() > 0);
        held.map(|((kind, _), _)| *kind).collect()
    }

    /// Counts samples once for all packs that share them.
    pub(crate) fn hold_samples(&self, of: Samples, memory: &Arc<Memory>) {
        // Nothing in here panics half way through a change.
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.retain(|_, held| held.strong_count() > 0);
        samples.insert(of, Arc::downgrade(memory));
    }
}

/// Units that cover so many bytes.
pub(crate) fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}
