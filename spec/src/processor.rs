//! What only a processor computes.

use crate::asked::Asked;
use crate::trial::{AugmentSpec, EarlyStop, MaskSpec, ModelSpec, Spread, TrialSpec};

impl TrialSpec {
    /// What of it only the processor computes, whatever a worker's device; `None`: nothing, it is trained on the device.
    #[must_use]
    pub fn only_on_processor(&self) -> Option<&'static str> {
        if self.model.is_closed_form() {
            Some("closed forms")
        } else if matches!(self.asked, Asked::Freedom(_)) {
            Some("degrees of freedom")
        } else if matches!(self.model, ModelSpec::Conv { .. }) {
            Some("convolution networks")
        } else if matches!(self.model, ModelSpec::NormalisedMlp { .. }) {
            Some("networks with batch normalisation")
        } else if self.subspace.is_some() {
            Some("networks in random subspaces")
        } else if self.robustness.is_some() {
            Some("networks with changed layers")
        } else if self.train.dropout > 0.0 {
            Some("networks with dropout")
        } else if self.train.augment != AugmentSpec::default() {
            Some("networks of augmented images")
        } else if self.train.early_stop != EarlyStop::Never {
            Some("trainings that may end early")
        } else if matches!(self.mask, MaskSpec::Magnitude(_)) {
            Some("pruned networks")
        } else if self.evaluate.spread == Spread::Steps {
            Some("looks between the epochs")
        } else {
            None
        }
    }
}
