//! Settings of the model as what they mean.

use super::{Unresolved, Values};
use crate::architecture::Architecture;
use crate::closed::{Closed, Precision};
use crate::setting::{Key, layers};
use crate::trial::{FeatureKind, Init, ModelSpec};
use crate::value::Value;

impl Values {
    /// The bandwidth of a kernel that has one.
    fn bandwidth(&self, kind: FeatureKind) -> Result<f64, Unresolved> {
        match kind {
            FeatureKind::Fourier => self.number(Key::ModelBandwidth),
            FeatureKind::Relu => Ok(1.0),
        }
    }

    /// What learns, by the word of `model.kind`.
    pub(super) fn model(&self, kind: &'static str) -> Result<ModelSpec, Unresolved> {
        if kind == "linear" {
            let ridge = self.number(Key::ModelRidge)?;
            return Ok(ModelSpec::Closed(Closed::Linear { ridge }));
        }
        if let Some(features) = Closed::kernel(kind) {
            return Ok(ModelSpec::Closed(Closed::Kernel {
                kind: features,
                bandwidth: self.bandwidth(features)?,
                ridge: self.number(Key::ModelRidge)?,
            }));
        }
        if kind == "interpolator" {
            return Ok(ModelSpec::Closed(Closed::Interpolator {
                directions: self.count(Key::ModelDirections)?,
                precision: Precision::from_word(self.word(Key::ModelPrecision)?)
                    .expect("the table lists every precision"),
            }));
        }
        Ok(match FeatureKind::from_word(kind) {
            Some(kind) => ModelSpec::Features {
                kind,
                width: self.count(Key::ModelWidth)?,
                bandwidth: self.bandwidth(kind)?,
                ridge: self.number(Key::ModelRidge)?,
            },
            None => match Architecture::from_word(self.word(Key::ModelKind)?) {
                Some(architecture) => ModelSpec::Conv {
                    architecture,
                    width: self.count(Key::ModelWidth)?,
                    batch_norm: self.batch_norm()?,
                    init: self.init()?,
                },
                None if self.batch_norm()? => ModelSpec::NormalisedMlp {
                    hidden: self.hidden()?,
                    init: self.init()?,
                },
                None => ModelSpec::Mlp {
                    hidden: self.hidden()?,
                    init: self.init()?,
                },
            },
        })
    }

    /// Units of each hidden layer.
    fn hidden(&self) -> Result<Vec<u32>, Unresolved> {
        match self.given(Key::ModelShape).and_then(Value::as_text) {
            Some(text) => Ok(layers(text).expect("the table checks the text")),
            None => {
                let (width, depth) = (self.count(Key::ModelWidth)?, self.count(Key::ModelDepth)?);
                Ok(vec![width; depth as usize])
            }
        }
    }

    fn batch_norm(&self) -> Result<bool, Unresolved> {
        let asked = self.required(Key::ModelBatchNorm)? == Value::Boolean(true);
        let always = self.architecture().is_some_and(Architecture::is_normalised);
        if always && !asked {
            return Err(Unresolved::Conflict {
                key: Key::ModelBatchNorm,
                message: "this network is built with batch normalisation",
                help: "leave batch_norm out, or choose another model.kind",
            });
        }
        Ok(asked)
    }

    fn init(&self) -> Result<Init, Unresolved> {
        Ok(match self.word(Key::ModelInit)? {
            "glorot-uniform" => Init::GlorotUniform,
            "glorot-normal" => Init::GlorotNormal,
            "he-normal" => Init::HeNormal,
            "normal" => Init::Normal {
                sd: self.number(Key::ModelInitSd)?,
            },
            other => unreachable!("the table does not list the init `{other}`"),
        })
    }
}
