//! Masks: which weights of a network are kept, and how pruning finds them.

use crate::state::words;

/// Which weights of a network are kept; the others are 0 from the start and stay 0. Biases are always kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum MaskSpec {
    /// All.
    #[default]
    None,
    /// A random share of every layer's weights, drawn with the trial's seed: round(density · weights) of each.
    Random {
        /// The share, in `(0, 1]`.
        density: f64,
    },
    /// The largest weights of a trained network.
    Magnitude(Pruning),
}

/// A lottery ticket or a control of one (Frankle & Carbin 2019): a network that starts from another, trained and pruned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pruning {
    /// How often it was pruned; 0: the dense network, which keeps its state at the step `rewind`.
    pub level: u32,
    /// Share of the remaining weights of each hidden dense layer that a level prunes.
    pub rate: f64,
    /// The same of convolutions.
    pub conv_rate: f64,
    /// The same of the output layer.
    pub output_rate: f64,
    /// Among which weights the smallest are pruned.
    pub scope: PruneScope,
    /// Whose trained weights are judged.
    pub method: PruneMethod,
    /// Step to which survivors are set back.
    pub rewind: u64,
    /// What starts.
    pub control: Control,
    /// Which of several draws of a control.
    pub draw: u64,
}

words!(
    /// Among which weights the smallest are pruned.
    PruneScope {
        /// Those of each layer.
        Layer = "layer",
        /// Those of all hidden layers together.
        Global = "global",
    }
);

words!(
    /// Whose trained weights say what is pruned.
    PruneMethod {
        /// Those of the level before.
        Iterative = "iterative",
        /// Those of the dense network.
        OneShot = "one-shot",
    }
);

words!(
    /// What a pruned network starts with.
    Control {
        /// The surviving weights, set back.
        Ticket = "ticket",
        /// The same mask, weights drawn anew.
        Reinit = "reinit",
        /// A mask of random places with as many weights in each layer, weights set back.
        Random = "random",
        /// The same mask, weights drawn anew with the signs of those set back.
        Sign = "sign",
    }
);
