//! What is known of a data set before anything is trained: whoever submits a sweep has looked.

use serde::{Deserialize, Serialize};

use crate::id::ContentHash;

/// The extent of an image. Its numbers come channel by channel, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Image {
    /// Colours.
    pub channels: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

impl Image {
    /// Most rows, columns or channels.
    pub const MAX_EXTENT: u32 = 1 << 16;

    /// The image of this extent; `None` where it would not have so many numbers, or an extent is 0 or too large.
    #[must_use]
    pub fn new(channels: u32, height: u32, width: u32, inputs: u32) -> Option<Self> {
        let sides = [channels, height, width];
        let numbers: u128 = sides.iter().map(|&side| u128::from(side)).product();
        let sound = sides
            .iter()
            .all(|&side| (1..=Self::MAX_EXTENT).contains(&side));
        (sound && numbers == u128::from(inputs)).then_some(Self {
            channels,
            height,
            width,
        })
    }
}

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
    /// What a sample looks like; `None` where samples are not images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
}
