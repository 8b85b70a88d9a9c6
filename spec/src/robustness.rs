//! Setting layers of a trained network back, or drawing them anew: what is asked, and what is answered for each layer.

use serde::{Deserialize, Serialize};

use crate::shape::DataShape;
use crate::state::words;
use crate::trial::TrialSpec;

words!(
    /// Where a layer that is drawn anew comes from.
    Redraw {
        /// The distribution that its initial weights came from; biases are 0 (Zhang, Bengio & Singer 2019).
        Initial = "initial",
        /// Weights and biases uniform in `[0, 1)`, whatever the initial weights were.
        UnitUniform = "unit-uniform",
    }
);

words!(
    /// What of a normalisation changes with the layer that it stands behind.
    NormPart {
        /// Scales, shifts and running statistics.
        All = "all",
        /// Scales and shifts.
        Scales = "scales",
        /// Nothing.
        None = "none",
    }
);

/// Which layers' states a training keeps, and what is done with them at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobustnessSpec {
    /// Epochs whose layers the trained network's are set back to, ascending; 0 is before training.
    pub checkpoints: Vec<u32>,
    /// Epochs after which the network counts as trained, ascending; the end is always one.
    pub tested: Vec<u32>,
    /// Where layers drawn anew come from.
    pub redraw: Redraw,
    /// What of a normalisation belongs to its layer.
    pub norm: NormPart,
    /// Whether dropout stays on where networks are tested.
    pub dropout: bool,
}

impl RobustnessSpec {
    /// Most epochs of either list.
    pub const MOST: usize = 64;
    /// Most networks tested in one trial.
    pub const MOST_NETWORKS: u64 = 10_000;

    /// The epochs after which the whole network is kept, ascending.
    #[must_use]
    pub fn kept(&self) -> Vec<u32> {
        let mut kept = [self.checkpoints.as_slice(), &self.tested].concat();
        kept.sort_unstable();
        kept.dedup();
        kept
    }

    /// Networks with a changed layer that are tested side by side.
    pub const AT_ONCE: u64 = 4;

    /// Networks in memory besides the one in training: those of earlier epochs, and those tested side by side, each with so many
    /// numbers per weight.
    pub(crate) fn held(&self, copies: u64) -> u64 {
        self.kept().len() as u64 + Self::AT_ONCE * copies
    }

    /// Networks tested at the end, at most: each layer at each checkpoint and drawn anew, and the whole network, for each tested epoch.
    #[must_use]
    pub fn networks(&self, layers: u64) -> u64 {
        let each = layers
            .saturating_mul(self.checkpoints.len() as u64 + 1)
            .saturating_add(1);
        each.saturating_mul(self.tested.len() as u64 + 1)
    }
}

/// Operations of testing a trained network with each layer changed; `multiplications`: those of one sample.
pub(crate) fn changed_flops(spec: &TrialSpec, shape: &DataShape, multiplications: f64) -> f64 {
    let layers = u64::from(spec.model.depth()) + 1;
    let robustness = spec.robustness.as_ref();
    let networks = robustness.map_or(0, |robustness| robustness.networks(layers));
    networks as f64 * f64::from(shape.test_samples) * 2.0 * multiplications
}

/// Numbers in memory per weight, of which the training itself takes `copies`: networks of earlier epochs come beside them, and those that
/// are tested side by side.
pub(crate) fn with_kept(spec: &TrialSpec, copies: u64) -> u64 {
    let robustness = spec.robustness.as_ref();
    copies + robustness.map_or(0, |robustness| robustness.held(copies))
}

/// The numbers of a text like `0,1,10`, if it is such a list, ascending and in its one spelling.
#[must_use]
pub fn epochs(text: &str) -> Option<Vec<u32>> {
    let number = |text: &str| {
        let plain = text == "0" || text.starts_with(|first: char| ('1'..='9').contains(&first));
        let digits = text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
        (plain && digits).then(|| text.parse().ok()).flatten()
    };
    let epochs: Vec<u32> = text.split(',').map(number).collect::<Option<_>>()?;
    let ascending = epochs.windows(2).all(|pair| pair[0] < pair[1]);
    (ascending && epochs.len() <= RobustnessSpec::MOST).then_some(epochs)
}

words!(
    /// What is done to one layer, the others staying as they are.
    Operation {
        /// It is set back to its state after an earlier epoch.
        Reinitialise = "reinitialise",
        /// It is drawn anew.
        Rerandomise = "rerandomise",
    }
);

/// A trained network with one layer changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRow {
    /// Epochs that the network was trained for.
    pub epoch: u32,
    /// Which layer is changed: 0 is the one at the inputs.
    pub layer: u32,
    /// What is done to it.
    pub operation: Operation,
    /// The epoch that it is set back to; `None` where it is drawn anew.
    pub checkpoint: Option<u32>,
    /// Test loss of the network as it was trained.
    pub trained_loss: Option<f64>,
    /// Its test error.
    pub trained_error: Option<f64>,
    /// Test loss with the layer changed.
    pub test_loss: Option<f64>,
    /// Test error with the layer changed.
    pub test_error: Option<f64>,
    /// ‖θ − θ′‖₂ of the layer's weights and biases, trained and changed.
    pub distance_l2: Option<f64>,
    /// The same over the root of their number.
    pub distance_rms: Option<f64>,
    /// ‖θ − θ′‖_∞.
    pub distance_max: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_have_one_spelling() {
        assert_eq!(epochs("0,1,10"), Some(vec![0, 1, 10]));
        assert_eq!(epochs("7"), Some(vec![7]));
        for text in [
            "",
            "1,",
            ",1",
            "1,1",
            "2,1",
            "01",
            "1, 2",
            "-1",
            "+1",
            "1.0",
            "1-2",
            "1000000000",
        ] {
            assert_eq!(epochs(text), None, "{text}");
        }
        let many: Vec<String> = (0..65).map(|epoch| epoch.to_string()).collect();
        assert_eq!(epochs(&many.join(",")), None);
    }

    #[test]
    fn what_is_kept_is_either_list() {
        let spec = RobustnessSpec {
            checkpoints: vec![0, 1, 5],
            tested: vec![5, 7],
            redraw: Redraw::Initial,
            norm: NormPart::All,
            dropout: false,
        };
        assert_eq!(spec.kept(), [0, 1, 5, 7]);
        assert_eq!(spec.networks(4), (4 * 4 + 1) * 3);
    }
}
