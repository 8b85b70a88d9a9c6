//! What an experiment asks of a trial beyond one training: a code of its labels, or its degrees of freedom.

use crate::state::words;

/// What a trial does besides being trained, measured and done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Asked {
    /// Nothing.
    #[default]
    Nothing,
    /// The labels are sent, block after block.
    Code(CodeSpec),
    /// The fit is repeated on disturbed targets.
    Freedom(FreedomSpec),
}

/// How the labels are sent to somebody who has the inputs (Blier & Ollivier 2018). Every block is as long as all before it: its labels
/// are coded with the probabilities of a network trained, from the start, on what was sent so far; the first block's with equal
/// ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CodeSpec {
    /// Samples of the first block.
    pub first: u32,
    /// Share of what was sent that is held out, to choose the epoch whose network codes the next block; 0: the last epoch's does.
    pub holdout: f64,
    /// Measured epochs in a row without a lower loss on the held-out samples after which a training ends; 0: it goes on.
    pub patience: u32,
    /// Steps that every training takes at least, in place of fewer in `train.epochs`.
    pub steps: u32,
}

impl CodeSpec {
    /// Where blocks of `samples` end: at `first` samples, twice as many, four times as many, … and at all.
    #[must_use]
    pub fn ends(&self, samples: u32) -> Vec<u32> {
        let mut ends = Vec::new();
        let mut end = self.first.max(1);
        while end < samples {
            ends.push(end);
            end = end.saturating_mul(2);
        }
        ends.push(samples);
        ends
    }

    /// How many of the `sent` samples are held out: at least one, and never all.
    #[must_use]
    pub fn held_out(&self, sent: u32) -> u32 {
        if self.holdout == 0.0 || sent < 2 {
            return 0;
        }
        // In 1..sent by the clamp.
        let share = (self.holdout * f64::from(sent)).round() as u32;
        share.clamp(1, sent - 1)
    }

    /// Epochs of a training on so many samples.
    #[must_use]
    pub fn epochs(&self, samples: u32, batch: u32, epochs: u32) -> u32 {
        let per_epoch = samples.div_ceil(batch.max(1)).max(1);
        epochs.max(self.steps.div_ceil(per_epoch))
    }
}

words!(
    /// The disturbances of targets.
    Probes {
        /// Independent standard normal numbers (Gao & Jojic 2016).
        Normal = "normal",
        /// Rows of a Hadamard matrix with random signs: orthogonal, so that enough of them give a trace exactly.
        Hadamard = "hadamard",
    }
);

/// How degrees of freedom are measured (Gao & Jojic 2016): targets Y are disturbed to Y + ε·B, the same fit is repeated, and
/// Σ B∘(f′ − f) / ε is averaged over draws of B.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FreedomSpec {
    /// ε.
    pub epsilon: f64,
    /// Draws of B.
    pub draws: u32,
    /// What B is made of.
    pub probes: Probes,
}

impl FreedomSpec {
    /// Draws that a closed form is solved for at a time.
    pub const DRAWS_AT_A_TIME: u32 = 64;
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: CodeSpec = CodeSpec {
        first: 8,
        holdout: 0.1,
        patience: 0,
        steps: 100,
    };

    #[test]
    fn blocks_double_and_the_last_ends_with_the_samples() {
        assert_eq!(CODE.ends(100), [8, 16, 32, 64, 100]);
        assert_eq!(CODE.ends(64), [8, 16, 32, 64]);
        assert_eq!(CODE.ends(8), [8]);
        assert_eq!(CODE.ends(3), [3]);
        let ends = CODE.ends(60_000);
        assert_eq!((ends.len(), ends[12]), (14, 32_768));
    }

    #[test]
    fn something_is_held_out_and_something_is_left() {
        let held_out: Vec<u32> = [1, 2, 8, 16, 1000].map(|sent| CODE.held_out(sent)).to_vec();
        assert_eq!(held_out, [0, 1, 1, 2, 100]);
        let none = CodeSpec {
            holdout: 0.0,
            ..CODE
        };
        assert_eq!(none.held_out(1000), 0);
    }

    #[test]
    fn small_blocks_take_as_many_steps_as_asked_for() {
        assert_eq!(CODE.epochs(8, 32, 10), 100);
        assert_eq!(CODE.epochs(64, 32, 10), 50);
        assert_eq!(CODE.epochs(3200, 32, 10), 10);
    }
}
