//! What trains, as the worker sees it.

use std::sync::Arc;

use descent_spec::data::KnownData;
use descent_spec::id::ContentHash;
use descent_spec::shape::{DataShape, data_bytes, memory_bytes};
use descent_spec::trial::TrialSpec;
use descent_training::data::DataStore;
use descent_training::device::Device;
use descent_training::pack::{Event, Member, Pack, TrainError};

/// What trains packs. Synchronous; called from slot threads.
pub trait Trainer: Send + Sync + 'static {
    /// Builds a pack; members that cannot start come back as failed events.
    fn open(&self, members: Vec<Member>) -> (Box<dyn Pack>, Vec<Event>);
    /// Content of the data sets at hand now. Cheap: asked at every lease.
    fn data_hashes(&self) -> Vec<ContentHash>;
    /// `cpu`, `cuda:0`, …
    fn device(&self) -> String;
    /// `avx512`, `avx2`, `portable`, … of the device.
    fn instruction_set(&self) -> String;
    /// That of the arithmetic of one trial: the processor's, where the device leaves it to the processor.
    fn instruction_set_for(&self, spec: &TrialSpec) -> String;
    /// Whether a trial is computed on the processor though the device is another one: in the machine's memory, not in the
    /// device's.
    fn leaves_device(&self, spec: &TrialSpec) -> bool;
    /// What one trial's own buffers take, in bytes; an estimate from above. May read the data set.
    fn memory_bytes(&self, spec: &TrialSpec, data: ContentHash) -> u64;
    /// What the samples take that the trial shares with others of its pack key, in bytes. May read the data set.
    fn data_bytes(&self, spec: &TrialSpec, data: ContentHash) -> u64;
    /// The instruction set that a checkpoint was made with.
    ///
    /// # Errors
    /// When the bytes are not a checkpoint.
    fn checkpoint_instruction_set(&self, checkpoint: &[u8]) -> Result<String, TrainError>;
}

/// Training in this process, on one device.
pub struct LocalTrainer {
    data: Arc<DataStore>,
    device: Device,
}

impl LocalTrainer {
    /// On this device, with the data sets of this store.
    #[must_use]
    pub fn new(data: Arc<DataStore>, device: Device) -> Self {
        Self { data, device }
    }

    /// What of a data set a trial sees; `None` where the data is missing or too small, which opening the pack reports.
    fn shape(&self, spec: &TrialSpec, hash: ContentHash) -> Option<DataShape> {
        let data = self.data.load(hash).ok()?;
        let known = KnownData {
            hash,
            inputs: u32::try_from(data.inputs).ok()?,
            outputs: u32::try_from(data.outputs).ok()?,
            train_samples: u32::try_from(data.train.len()).ok()?,
            test_samples: u32::try_from(data.test.len()).ok()?,
            image: data.image,
        };
        DataShape::of(&known, &spec.data).ok()
    }
}

impl Trainer for LocalTrainer {
    fn open(&self, members: Vec<Member>) -> (Box<dyn Pack>, Vec<Event>) {
        descent_training::open(members, &self.data, &self.device)
    }

    fn data_hashes(&self) -> Vec<ContentHash> {
        self.data.hashes()
    }

    fn device(&self) -> String {
        self.device.to_string()
    }

    fn instruction_set(&self) -> String {
        self.device.instruction_set()
    }

    fn instruction_set_for(&self, spec: &TrialSpec) -> String {
        self.device.computing(spec).instruction_set()
    }

    fn leaves_device(&self, spec: &TrialSpec) -> bool {
        self.device.computing(spec) != self.device
    }

    fn memory_bytes(&self, spec: &TrialSpec, data: ContentHash) -> u64 {
        self.shape(spec, data)
            .map_or(0, |shape| memory_bytes(spec, &shape))
    }

    fn data_bytes(&self, spec: &TrialSpec, data: ContentHash) -> u64 {
        self.shape(spec, data).map_or(0, |shape| data_bytes(&shape))
    }

    fn checkpoint_instruction_set(&self, checkpoint: &[u8]) -> Result<String, TrainError> {
        descent_training::checkpoint::instruction_set(checkpoint)
    }
}
