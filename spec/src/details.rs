//! What an experiment says of a trial beyond the numbers that all trials have.

use serde::{Deserialize, Serialize};

use crate::robustness::LayerRow;

/// Numbers of one experiment. Stored and sent as JSON; the experiment's view shows each as a column.
///
/// No number is ever infinite or none: what is not finite is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Details {
    /// How well a network of 2n + d weights fits.
    Expressivity(Expressivity),
    /// Lengths of codes of the labels.
    DescriptionLength(DescriptionLength),
    /// How far fitted values follow their targets.
    DegreesOfFreedom(DegreesOfFreedom),
    /// What becomes of a trained network when one of its layers is changed: a row for each epoch that counts as its end, layer,
    /// operation and checkpoint.
    LayerRobustness(Vec<LayerRow>),
    /// Where the validation loss was least.
    EarlyStop(EarlyStop),
    /// What a step of a search for the smallest subspace tried.
    SubspaceSearch(SubspaceSearch),
}

/// The look with the least validation loss, of those after every so many steps and at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStop {
    /// Steps trained when it was taken; of equal losses, the first.
    pub step: u64,
    /// Steps trained in all.
    pub steps: u64,
    /// Loss on the samples held out.
    pub validation_loss: Option<f64>,
    /// Zero-one error on them.
    pub validation_error: Option<f64>,
    /// Loss on the test samples.
    pub test_loss: Option<f64>,
    /// Zero-one error on them.
    pub test_error: Option<f64>,
}

/// One dimension that a search tried, and what it leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubspaceSearch {
    /// The dimension.
    pub dim: u32,
    /// The accuracy that is looked for.
    pub target: f64,
    /// The accuracy in this dimension: on the test samples, with random labels on the training samples.
    pub accuracy: Option<f64>,
    /// The largest dimension that fell short, or the smallest of all.
    pub low: u32,
    /// The smallest dimension that reached it, or the largest of all.
    pub high: u32,
}

/// How well a network that was built for n samples takes their labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expressivity {
    /// Samples that differ: each has a kink and a weight.
    pub distinct: u32,
    /// Which of the directions tried it is built along, from 0.
    pub direction: u32,
    /// Training samples whose label is not the whole number nearest to the output.
    pub misfits: u32,
    /// The largest distance of an output from its label.
    pub max_error: Option<f64>,
    /// The least distance of two projections; `None` for one sample.
    pub smallest_gap: Option<f64>,
    /// The largest |w|.
    pub largest_weight: Option<f64>,
}

/// Codes of a trial's training labels, for somebody who has the inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescriptionLength {
    /// Each code's length.
    pub codes: Vec<Code>,
    /// What the prequential codes are made of, in the order in which it is sent.
    pub blocks: Vec<CodeBlock>,
}

/// A code of all training labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Its name: `uniform`, `two-part`, `two-part-quantised`, `intrinsic-dimension`, `intrinsic-dimension-quantised`, `prequential` or
    /// `prequential-switch`.
    pub code: String,
    /// Bits of weights, and of what was chosen about them.
    pub model_bits: f64,
    /// Bits of labels.
    pub label_bits: f64,
    /// Bits of a weight; `None` where none are sent.
    pub weight_bits: Option<u32>,
    /// Zero-one error on the test samples of the network that the receiver has in the end.
    pub test_error: Option<f64>,
}

/// A block of labels that is coded with what was learned from all before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeBlock {
    /// Labels sent before it.
    pub sent: u32,
    /// Labels in it.
    pub samples: u32,
    /// Bits that they take with equal probabilities.
    pub uniform_bits: f64,
    /// Bits that they take with the network's; with equal ones in the first block, and where the network is not finite.
    pub bits: f64,
    /// The network's zero-one error on them; `None` without one.
    pub error: Option<f64>,
    /// Epochs after which the network coded them; `None` without one.
    pub epoch: Option<u32>,
}

/// Degrees of freedom Σ ∂f_ij/∂y_ij of a fit, over samples and outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DegreesOfFreedom {
    /// The mean over draws of Σ B∘(f′ − f) / ε; `None` where a repeated fit is not finite.
    pub estimate: Option<f64>,
    /// Its standard error over draws; `None` for one draw.
    pub standard_error: Option<f64>,
    /// The trace of the hat matrix, times the outputs: of linear fits.
    pub closed_form: Option<f64>,
    /// Draws.
    pub draws: u32,
}

impl Details {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("finite numbers and plain names")
    }

    /// From JSON.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn from_json(text: &str) -> Result<Self, InvalidDetails> {
        serde_json::from_str(text).map_err(|error| InvalidDetails(error.to_string()))
    }
}

/// A text that is not the details of a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these are no details that this descent knows: {0}")]
pub struct InvalidDetails(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_the_same_after_json() {
        let details = Details::Expressivity(Expressivity {
            distinct: 3,
            direction: 0,
            misfits: 1,
            max_error: Some(0.1 + 0.2),
            smallest_gap: None,
            largest_weight: Some(1e300),
        });
        let json = details.to_json();
        assert_eq!(Details::from_json(&json), Ok(details));
        assert!(
            json.starts_with(r#"{"expressivity":{"distinct":3"#),
            "{json}"
        );
        assert!(Details::from_json(r#"{"expressivity":{"distinct":3}}"#).is_err());
    }
}
