//! What trains, as the worker sees it.

use descent_spec::id::ContentHash;
use descent_spec::trial::TrialSpec;
use descent_training::pack::{Event, Member, Pack, TrainError};

/// What trains packs. Synchronous; called from slot threads.
pub trait Trainer: Send + Sync + 'static {
    /// Builds a pack; members that cannot start come back as failed events.
    fn open(&self, members: Vec<Member>) -> (Box<dyn Pack>, Vec<Event>);
    /// Content of the data sets at hand now. Cheap: asked at every lease.
    fn data_hashes(&self) -> Vec<ContentHash>;
    /// `cpu`, `cuda:0`, …
    fn device(&self) -> String;
    /// `avx512`, `avx2`, `portable`, …
    fn instruction_set(&self) -> String;
    /// What training one trial takes, in bytes; an estimate from above.
    fn memory_bytes(&self, spec: &TrialSpec, data: ContentHash) -> u64;
    /// The instruction set that a checkpoint was made with.
    ///
    /// # Errors
    /// When the bytes are not a checkpoint.
    fn checkpoint_instruction_set(&self, checkpoint: &[u8]) -> Result<String, TrainError>;
}
