//! What a trial learns from: samples, what they show, and their labels.

use crate::state::words;

words!(
    /// Training labels, before noise. Validation and test labels are always true.
    Labels {
        /// The data set's own.
        True = "true",
        /// Each drawn uniformly from all classes, once.
        Random = "random",
    }
);

words!(
    /// What the samples show. Labels stay with their samples; nothing is drawn anew while training.
    Inputs {
        /// The data set's own images.
        True = "true",
        /// The same permutation of the pixels for every image, tested ones included; the channels of a pixel stay together.
        Shuffled = "shuffled",
        /// A permutation of its own for every image.
        RandomPixels = "random-pixels",
        /// Normal numbers, with the mean and the variance that the training images have in each channel.
        Gaussian = "gaussian",
    }
);

words!(
    /// What label noise does to a training label.
    NoiseKind {
        /// Exactly the noisy share of the labels become another class, each other one being equally likely.
        Other = "other",
        /// Each label by itself, with the noisy share as its probability, becomes any class, its own among them (Zhang et al. 2017).
        Uniform = "uniform",
    }
);

/// What is learned from.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSpec {
    /// Name of a known data set, or a path.
    pub dataset: String,
    /// Training samples, drawn with `seed`; `None`: all.
    pub samples: Option<u32>,
    /// Training samples held out (drawn besides `samples`).
    pub validation: u32,
    /// Test samples, the first ones; `None`: all.
    pub test_samples: Option<u32>,
    /// Whether the mean image of the training samples is subtracted from every input.
    pub centre: bool,
    /// What the samples show.
    pub inputs: Inputs,
    /// What the training labels are, before noise.
    pub labels: Labels,
    /// Share of training labels that are noisy, in `[0, 1]`.
    pub label_noise: f64,
    /// What noise does to them.
    pub noise_kind: NoiseKind,
    /// Which samples, which labels are noisy, what takes the images' place.
    pub seed: u64,
}
