//! What only a processor computes.

use crate::asked::Asked;
use crate::trial::{ModelSpec, TrialSpec};

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
        } else if self.subspace.is_some() {
            Some("networks in random subspaces")
        } else {
            None
        }
    }
}
