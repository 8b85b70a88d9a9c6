//! A data set made of nothing but random numbers, for tests and first looks.

use descent_spec::data::KnownData;
use descent_spec::id::ContentHash;

use super::dataset::{Dataset, Samples};
use crate::stream::Stream;

const INPUTS: usize = 20;
const OUTPUTS: usize = 10;
const TRAIN_SAMPLES: usize = 2_000;
const TEST_SAMPLES: usize = 1_000;
/// Standard deviation of the centres and of the samples around them, in units of the full pixel range.
const CENTRE_SD: f64 = 0.12;
const SAMPLE_SD: f64 = 0.12;

/// Name, content and counts, known without making it.
pub(super) const GAUSSIANS: KnownData = KnownData {
    hash: ContentHash([
        0xa1, 0x8e, 0xc4, 0xe6, 0x1c, 0x36, 0xda, 0x48, 0xc1, 0x5b, 0x90, 0xac, 0xb0, 0x3d, 0x77,
        0x3d, 0x2a, 0x4c, 0x9b, 0x55, 0xf6, 0x45, 0x2f, 0x28, 0x85, 0x48, 0x6e, 0x7b, 0xf2, 0xdf,
        0xb6, 0xa0,
    ]),
    inputs: 20,
    outputs: 10,
    train_samples: 2_000,
    test_samples: 1_000,
    image: None,
};

/// Ten normal clusters of equal width around normal centres, in 20 dimensions; classes in turn. Values are rounded to bytes
/// as an image's would be. The recipe is fixed for ever: its hash names trials.
pub(super) fn gaussians() -> Dataset {
    let mut stream = Stream::new("gaussians", 0, 0);
    let centres: Vec<f64> = (0..OUTPUTS * INPUTS)
        .map(|_| 0.5 + CENTRE_SD * stream.normal())
        .collect();
    let mut draw = |count: usize| {
        let mut samples = Samples {
            pixels: Vec::with_capacity(count * INPUTS),
            labels: Vec::with_capacity(count),
        };
        for label in (0..OUTPUTS).cycle().take(count) {
            let centre = &centres[label * INPUTS..][..INPUTS];
            let pixels = centre.iter().map(|&centre| {
                let value = 255.0 * (centre + SAMPLE_SD * stream.normal());
                value.round().clamp(0.0, 255.0) as u8
            });
            samples.pixels.extend(pixels);
            samples
                .labels
                .push(u8::try_from(label).expect("ten classes"));
        }
        samples
    };
    let train = draw(TRAIN_SAMPLES);
    let test = draw(TEST_SAMPLES);
    Dataset {
        inputs: INPUTS,
        outputs: OUTPUTS,
        image: None,
        train,
        test,
    }
}
