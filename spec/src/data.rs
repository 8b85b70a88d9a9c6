//! What is known of a data set before anything is trained: whoever submits a sweep has looked.

use serde::{Deserialize, Serialize};

use crate::id::ContentHash;

/// A data set's content and its extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KnownData {
    /// BLAKE3 of its content.
    pub hash: ContentHash,
    /// Numbers per sample.
    pub inputs: u32,
    /// Classes.
    pub outputs: u32,
    /// Training samples that it has.
    pub train_samples: u32,
    /// Test samples that it has.
    pub test_samples: u32,
}
