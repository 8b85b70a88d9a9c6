//! What is held on to while training: the best network so far, and states of layers.

use super::{Unresolved, Values};
use crate::robustness::{NormPart, Redraw, RobustnessSpec, epochs};
use crate::setting::Key;
use crate::trial::{EarlyStop, Experiment};
use crate::value::Value;

impl Values {
    pub(super) fn early_stop(&self) -> Result<EarlyStop, Unresolved> {
        let stop = EarlyStop::from_word(self.word(Key::TrainEarlyStop)?)
            .expect("the table lists what ends training");
        if stop != EarlyStop::Never && self.count(Key::DataValidation)? == 0 {
            return Err(Unresolved::NothingHeldOut);
        }
        Ok(stop)
    }

    pub(super) fn robustness(
        &self,
        experiment: Experiment,
    ) -> Result<Option<RobustnessSpec>, Unresolved> {
        if self.given(Key::RobustnessCheckpoints).is_none() {
            return match experiment {
                Experiment::LayerRobustness => Err(Unresolved::Missing(
                    Key::RobustnessCheckpoints.setting().name,
                )),
                _ => Ok(None),
            };
        }
        Ok(Some(RobustnessSpec {
            checkpoints: self.epochs(Key::RobustnessCheckpoints)?,
            tested: self.epochs(Key::RobustnessTested)?,
            dropout: self.applies(Key::RobustnessDropout)
                && self.required(Key::RobustnessDropout)? == Value::Boolean(true),
            redraw: Redraw::from_word(self.word(Key::RobustnessRedraw)?)
                .expect("the table lists every way to draw anew"),
            norm: if self.applies(Key::RobustnessNorm) {
                NormPart::from_word(self.word(Key::RobustnessNorm)?)
                    .expect("the table lists every part of a normalisation")
            } else {
                NormPart::All
            },
        }))
    }

    /// Epochs within training; none where none are given.
    fn epochs(&self, key: Key) -> Result<Vec<u32>, Unresolved> {
        let text = self.given(key).and_then(Value::as_text);
        let asked = text.map_or(Vec::new(), |text| {
            epochs(text).expect("the table checks the text")
        });
        let last = self.count(Key::TrainEpochs)?;
        match asked.last() {
            Some(&epoch) if epoch > last => Err(Unresolved::AfterTheEnd {
                setting: key,
                epoch,
                epochs: last,
            }),
            _ => Ok(asked),
        }
    }
}
