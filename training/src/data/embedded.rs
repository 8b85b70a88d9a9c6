//! The data set in the binary: `mnist-4k`, real MNIST, 4,000 training images and all 10,000 test images.
//!
//! Its files, how they were made and their terms: `training/data/mnist-4k/`.

use std::path::Path;

use descent_spec::data::{Image, KnownData};
use descent_spec::id::ContentHash;

use super::dataset::Dataset;
use super::{idx, source};

/// Name, content and counts, known without decoding.
pub(super) const MNIST_4K: KnownData = KnownData {
    hash: ContentHash([
        0x3e, 0x08, 0x88, 0xab, 0x72, 0xe5, 0x35, 0xa7, 0xb2, 0x24, 0x68, 0x1e, 0x11, 0xe5, 0xc3,
        0xa5, 0x09, 0x34, 0x3c, 0x98, 0xfc, 0x9d, 0x63, 0x8c, 0x4e, 0xd3, 0x1f, 0xdc, 0x83, 0x22,
        0xd3, 0xc9,
    ]),
    inputs: 784,
    outputs: 10,
    train_samples: 4_000,
    test_samples: 10_000,
    image: Some(Image {
        channels: 1,
        height: 28,
        width: 28,
    }),
};

/// Decodes the embedded files.
pub(super) fn mnist_4k() -> Dataset {
    let read = || {
        let name = Path::new("mnist-4k");
        let train = (
            idx::images(
                &include_bytes!("../../data/mnist-4k/train-images-idx3-ubyte.gz")[..],
                name,
            )?,
            idx::labels(
                &include_bytes!("../../data/mnist-4k/train-labels-idx1-ubyte.gz")[..],
                name,
            )?,
        );
        let test = (
            idx::images(
                &include_bytes!("../../data/mnist-4k/t10k-images-idx3-ubyte.gz")[..],
                name,
            )?,
            idx::labels(
                &include_bytes!("../../data/mnist-4k/t10k-labels-idx1-ubyte.gz")[..],
                name,
            )?,
        );
        source::assemble(train, test, [name; 4])
    };
    read().expect("the bytes are compiled in, and a test reads them")
}
