//! Reads CIFAR-10's binary files: records of one label byte and 3 × 32 × 32 pixel bytes, whole colour planes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use descent_spec::data::Image;

use super::dataset::Samples;
use super::error::DataError;
use super::idx::MAX_BYTES;

/// Pixels per image.
pub(super) const INPUTS: usize = 3 * 32 * 32;
/// What an image looks like.
pub(super) const IMAGE: Image = Image {
    channels: 3,
    height: 32,
    width: 32,
};
/// Number of classes.
pub(super) const OUTPUTS: usize = 10;
/// The training files' names, in the order in which they are read.
pub(super) const TRAIN: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
/// The test file's name.
pub(super) const TEST: &str = "test_batch.bin";
const REMEDY: &str = "fetch or copy it again: `descent data fetch cifar10`";

/// Adds one file's records to `samples`.
pub(super) fn append(path: &Path, samples: &mut Samples) -> Result<(), DataError> {
    let malformed = |problem: String| DataError::Malformed {
        path: path.to_owned(),
        problem,
        remedy: REMEDY,
    };
    let unreadable = |source| DataError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let record = INPUTS + 1;
    if bytes.is_empty() || bytes.len() % record != 0 || bytes.len() as u64 > MAX_BYTES {
        return Err(malformed(format!(
            "has {} bytes, which is no whole number of {record}-byte records",
            bytes.len()
        )));
    }
    for (index, record) in bytes.chunks_exact(record).enumerate() {
        let (&label, pixels) = record.split_first().expect("a record has 3073 bytes");
        if usize::from(label) >= OUTPUTS {
            return Err(malformed(format!(
                "record {index} has the label {label}, but there are {OUTPUTS} classes"
            )));
        }
        samples.labels.push(label);
        samples.pixels.extend_from_slice(pixels);
    }
    Ok(())
}
