//! What a member keeps beside its weights: the best look at the samples held out, what its file carries on to later stages, and
//! how far a search is.

use serde::{Deserialize, Serialize};

use descent_spec::details::{Details, EarlyStop};
use descent_spec::outcome::Measurement;

use crate::mlp::Plan;
use crate::search::Bracket;
use crate::weights::Named;

/// Beside the weights.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// Tensors that the file of final weights carries beside them: masks, and the state that later stages are set back to.
    pub(crate) carried: Vec<Named>,
    /// The look with the least validation loss.
    pub(crate) best: Option<Look>,
    /// What is left of the dimensions that a search goes through.
    pub(crate) search: Option<Bracket>,
}

/// What was seen after a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    pub(crate) step: u64,
    pub(crate) validation_loss: f64,
    pub(crate) validation_error: f64,
    pub(crate) test_loss: f64,
    pub(crate) test_error: f64,
}

/// A look in a checkpoint, exact to the bit: the step, and the bits of its numbers in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LookBits([u64; 5]);

impl From<Look> for LookBits {
    fn from(look: Look) -> Self {
        Self([
            look.step,
            look.validation_loss.to_bits(),
            look.validation_error.to_bits(),
            look.test_loss.to_bits(),
            look.test_error.to_bits(),
        ])
    }
}

impl From<LookBits> for Look {
    fn from(LookBits([step, numbers @ ..]): LookBits) -> Self {
        let [validation_loss, validation_error, test_loss, test_error] =
            numbers.map(f64::from_bits);
        Self {
            step,
            validation_loss,
            validation_error,
            test_loss,
            test_error,
        }
    }
}

impl Notes {
    /// Whether a validation loss is less than every one before. The first of equal ones counts, and one that is not finite never.
    pub(crate) fn improves(&self, validation_loss: f64) -> bool {
        let least = self.best.map_or(f64::INFINITY, |best| best.validation_loss);
        validation_loss < least
    }

    /// At the end of training: the last measurement is a look too, and what a search has learned from it.
    pub(crate) fn end(&mut self, plan: &Plan, last: &Measurement) {
        if plan.watch.is_some()
            && let (Some(validation_loss), Some(validation_error)) =
                (last.validation_loss, last.validation_error)
            && self.improves(validation_loss)
        {
            self.best = Some(Look {
                step: plan.steps(),
                validation_loss,
                validation_error,
                test_loss: last.test_loss.unwrap_or(f64::NAN),
                test_error: last.test_error.unwrap_or(f64::NAN),
            });
        }
        if let Some(search) = &mut self.search {
            search.judge(last);
        }
    }

    /// What the result says of it.
    pub(crate) fn details(&self, plan: &Plan) -> Option<Details> {
        if let Some(search) = &self.search {
            return Some(Details::SubspaceSearch(search.details()));
        }
        let finite = |value: f64| value.is_finite().then_some(value);
        let best = self.best?;
        Some(Details::EarlyStop(EarlyStop {
            step: best.step,
            steps: plan.steps(),
            validation_loss: finite(best.validation_loss),
            validation_error: finite(best.validation_error),
            test_loss: finite(best.test_loss),
            test_error: finite(best.test_error),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_losses_counts_and_none_that_is_not_finite() {
        let mut notes = Notes::default();
        assert!(!notes.improves(f64::NAN));
        assert!(!notes.improves(f64::INFINITY));
        assert!(notes.improves(3.0));
        let look = Look {
            step: 7,
            validation_loss: 0.1 + 0.2,
            validation_error: 0.5,
            test_loss: f64::NAN,
            test_error: 1.0 / 3.0,
        };
        notes.best = Some(look);
        assert!(!notes.improves(0.1 + 0.2));
        assert!(notes.improves(0.3));
        let bits = LookBits::from(look);
        assert_eq!(LookBits::from(Look::from(bits)), bits);
    }
}
