//! A data set in memory: images as bytes, labels, and the hash that names its content.

use descent_spec::data::{Image, KnownData};
use descent_spec::id::ContentHash;

/// Images with their classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// One byte per input, row-major `[samples, inputs]`; 255 stands for 1.
    pub pixels: Vec<u8>,
    /// One class per sample, below the data set's `outputs`.
    pub labels: Vec<u8>,
}

impl Samples {
    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// A data set, complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Inputs per sample.
    pub inputs: usize,
    /// Number of classes.
    pub outputs: usize,
    /// What a sample looks like; `None` where samples are not images.
    pub image: Option<Image>,
    /// Samples to train on.
    pub train: Samples,
    /// Samples to test on.
    pub test: Samples,
}

impl Dataset {
    /// The name of the content: BLAKE3 over a header with the shape, then training images and labels, then test images and
    /// labels. It is taken over decoded samples, so that compressed and plain files of the same images are the same data.
    /// Rows and columns come in where the number of inputs alone does not tell them: where images are not square.
    #[must_use]
    pub fn hash(&self) -> ContentHash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"descent data 1\0");
        for number in [self.inputs, self.outputs, self.train.len(), self.test.len()] {
            hasher.update(&(number as u64).to_le_bytes());
        }
        if let Some(image) = self.image.filter(|image| image.height != image.width) {
            for side in [image.channels, image.height, image.width] {
                hasher.update(&side.to_le_bytes());
            }
        }
        for samples in [&self.train, &self.test] {
            hasher.update(&samples.pixels);
            hasher.update(&samples.labels);
        }
        ContentHash(*hasher.finalize().as_bytes())
    }

    /// What others need to know of it without having it.
    #[must_use]
    pub fn describe(&self) -> KnownData {
        let count = |number: usize| {
            u32::try_from(number).expect("readers refuse data sets of more than 2³⁰ bytes")
        };
        KnownData {
            hash: self.hash(),
            inputs: count(self.inputs),
            outputs: count(self.outputs),
            train_samples: count(self.train.len()),
            test_samples: count(self.test.len()),
            image: self.image,
        }
    }
}
