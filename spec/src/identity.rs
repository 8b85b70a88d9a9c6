//! Names of trials that hold for ever, and keys of trials that can be trained side by side.
//!
//! Both are the first 128 bits of BLAKE3 in key-derivation mode over an unambiguous byte string (all integers little-endian):
//!
//! * a setting: `u32` length of its name, the name, one tag byte, the value: `b` and one byte, `i` and a `u64`, `f` and the bits
//!   of an `f64`, or `t` and a `u32` length and the bytes of a word or text;
//! * settings: `u32` count, then each, sorted by name;
//! * an identity: `u32` numerics version, 32 bytes content hash of the data, one byte 0 or (1 and 16 bytes of the parent's
//!   identity), settings;
//! * a pack key: 32 bytes content hash of the data, settings.
//!
//! Changing any of this renames every trial of every user: it is held by golden tests and never changes.

use crate::NUMERICS_VERSION;
use crate::id::{ContentHash, Identity, PackKey};
use crate::params::Params;
use crate::setting::Key;
use crate::trial::{Inputs, ModelSpec, Optimizer, TrialSpec};
use crate::value::Value;

const IDENTITY_CONTEXT: &str = "descent 2026-11-23 trial identity v1";
const PACK_CONTEXT: &str = "descent 2026-11-23 pack key v1";

/// The name of a trial: covers the settings that decide its numbers, the content of its data, the trial whose weights it
/// starts from, and the version of the numerics. The data set's *name* is not covered.
#[must_use]
pub fn identity(params: &Params, data: ContentHash, parent: Option<Identity>) -> Identity {
    identity_at(NUMERICS_VERSION, params, data, parent)
}

fn identity_at(
    numerics: u32,
    params: &Params,
    data: ContentHash,
    parent: Option<Identity>,
) -> Identity {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend(numerics.to_le_bytes());
    bytes.extend(data.0);
    match parent {
        None => bytes.push(0),
        Some(parent) => {
            bytes.push(1);
            bytes.extend(parent.0);
        }
    }
    let deciding = params.iter().filter(|(key, _)| key.setting().identifies);
    write_settings(
        &mut bytes,
        deciding.map(|(key, value)| (key.setting().name, value)),
    );
    Identity(digest(IDENTITY_CONTEXT, &bytes))
}

/// What trials must share to be trained as one stacked model: the same inputs in the same order, and the same kind of step.
/// Widths, seeds, learning rates, labels, lengths and stopping rules may differ.
#[must_use]
pub fn pack_key(spec: &TrialSpec, data: ContentHash) -> PackKey {
    let name = |key: Key| key.setting().name;
    let mut settings = vec![
        (name(Key::DataCentre), Value::Boolean(spec.data.centre)),
        (name(Key::DataSeed), Value::Integer(spec.data.seed)),
        (
            name(Key::DataValidation),
            Value::Integer(spec.data.validation.into()),
        ),
        (name(Key::Experiment), Value::Word(spec.experiment.word())),
    ];
    if spec.data.inputs != Inputs::True {
        settings.push((name(Key::DataInputs), Value::Word(spec.data.inputs.word())));
    }
    // Members of a pack see the same images, moved alike.
    let augment = spec.train.augment;
    if augment.shift > 0 {
        let shift = Value::Integer(augment.shift.into());
        settings.push((name(Key::TrainAugmentShift), shift));
    }
    if augment.flip {
        settings.push((name(Key::TrainAugmentFlip), Value::Boolean(true)));
    }
    if let Some(samples) = spec.data.samples {
        settings.push((name(Key::DataSamples), Value::Integer(samples.into())));
    }
    if let Some(samples) = spec.data.test_samples {
        settings.push((name(Key::DataTestSamples), Value::Integer(samples.into())));
    }
    match &spec.model {
        ModelSpec::Mlp { .. } | ModelSpec::NormalisedMlp { .. } | ModelSpec::Conv { .. } => {
            let optimizer = match spec.train.optimizer {
                Optimizer::Sgd { .. } => "sgd",
                Optimizer::Adam { .. } => "adam",
            };
            let (kind, depth) = match &spec.model {
                ModelSpec::Conv { architecture, .. } => (architecture.word(), None),
                model => ("mlp", Some(model.depth())),
            };
            let normalised = match &spec.model {
                ModelSpec::NormalisedMlp { .. } => true,
                ModelSpec::Conv {
                    architecture,
                    batch_norm,
                    ..
                } => *batch_norm && !architecture.is_normalised(),
                _ => false,
            };
            if normalised {
                settings.push((name(Key::ModelBatchNorm), Value::Boolean(true)));
            }
            settings
                .extend(depth.map(|depth| (name(Key::ModelDepth), Value::Integer(depth.into()))));
            settings.extend([
                (name(Key::ModelKind), Value::Word(kind)),
                (
                    name(Key::TrainBatch),
                    Value::Integer(spec.train.batch.into()),
                ),
                (name(Key::TrainLoss), Value::Word(spec.train.loss.word())),
                (name(Key::TrainOptimizerKind), Value::Word(optimizer)),
                (
                    name(Key::TrainOrderSeed),
                    Value::Integer(spec.train.order_seed),
                ),
            ]);
        }
        ModelSpec::Features { kind, .. } => {
            settings.push((name(Key::ModelKind), Value::Word(kind.word())));
        }
        ModelSpec::Closed(closed) => {
            settings.push((name(Key::ModelKind), Value::Word(closed.word())));
        }
    }
    settings.sort_by_key(|(name, _)| *name);
    let mut bytes = Vec::with_capacity(512);
    bytes.extend(data.0);
    write_settings(
        &mut bytes,
        settings.iter().map(|(name, value)| (*name, value)),
    );
    PackKey(digest(PACK_CONTEXT, &bytes))
}

fn digest(context: &str, bytes: &[u8]) -> [u8; 16] {
    let long = blake3::derive_key(context, bytes);
    let mut short = [0; 16];
    short.copy_from_slice(&long[..16]);
    short
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes)
        .expect("names and texts are bounded by the table")
        .to_le_bytes()
}

fn write_settings<'a>(bytes: &mut Vec<u8>, settings: impl Iterator<Item = (&'a str, &'a Value)>) {
    let at = bytes.len();
    bytes.extend(0_u32.to_le_bytes());
    let mut count = 0_u32;
    for (name, value) in settings {
        count += 1;
        bytes.extend(length(name.len()));
        bytes.extend(name.as_bytes());
        match value {
            Value::Boolean(value) => bytes.extend([b'b', u8::from(*value)]),
            Value::Integer(value) => {
                bytes.push(b'i');
                bytes.extend(value.to_le_bytes());
            }
            Value::Float(value) => {
                bytes.push(b'f');
                bytes.extend(value.to_bits().to_le_bytes());
            }
            Value::Word(_) | Value::Text(_) => {
                let text = value.as_text().unwrap_or_default();
                bytes.push(b't');
                bytes.extend(length(text.len()));
                bytes.extend(text.as_bytes());
            }
        }
    }
    bytes[at..at + 4].copy_from_slice(&count.to_le_bytes());
}
