//! What a submitter found under the names of data sets.

use descent_spec::data::{Image, KnownData};
use descent_spec::id::ContentHash;

use super::{InvalidField, digest, positive};
use crate::v1;

impl TryFrom<v1::DataSet> for KnownData {
    type Error = InvalidField;

    fn try_from(wire: v1::DataSet) -> Result<Self, InvalidField> {
        let inputs = positive(wire.inputs, "inputs")?;
        let image = wire.image.map(|image| {
            Image::new(image.channels, image.height, image.width, inputs).ok_or_else(|| {
                InvalidField::new("image", "does not have as many numbers as inputs")
            })
        });
        Ok(Self {
            hash: digest(&wire.hash, "hash", ContentHash)?,
            inputs,
            outputs: positive(wire.outputs, "outputs")?,
            train_samples: positive(wire.train_samples, "train_samples")?,
            test_samples: wire.test_samples,
            image: image.transpose()?,
        })
    }
}

impl From<KnownData> for v1::DataSet {
    fn from(domain: KnownData) -> Self {
        Self {
            hash: domain.hash.0.to_vec(),
            inputs: domain.inputs,
            outputs: domain.outputs,
            train_samples: domain.train_samples,
            test_samples: domain.test_samples,
            image: domain.image.map(|image| v1::Image {
                channels: image.channels,
                height: image.height,
                width: image.width,
            }),
        }
    }
}
