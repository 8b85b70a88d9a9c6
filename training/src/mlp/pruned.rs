//! A pruned network's start: its parent's file read, its mask and its weights made.

use descent_spec::trial::Pruning;

use super::dense::Dense;
use super::mask::Mask;
use super::plan::Plan;
use super::state::State;
use crate::checkpoint::{self, REWIND};
use crate::notes::Notes;
use crate::pack::TrainError;
use crate::ticket::{self, Layer};
use crate::weights::{Unpacked, named};

fn mask_name(layer: usize) -> String {
    format!("mask.layers.{layer}.weight")
}

/// What the network of a level starts with, from the final weights of the one before: its mask, its state, and what its own file
/// will carry on.
///
/// # Errors
/// When the bytes are not the weights of such a network.
pub(crate) fn start(
    bytes: &[u8],
    plan: &Plan,
    pruning: &Pruning,
) -> Result<(Mask, State, Notes), TrainError> {
    let mut file = Unpacked::open(bytes)?;
    let shapes = plan.shapes();
    let trained = file.take("", shapes.len(), |index, shape| shapes[index] == shape)?;
    let kept = shapes.iter().enumerate().map(|(layer, (rows, columns))| {
        file.tensor_if_any(&mask_name(layer), &[*columns, rows - 1])
    });
    let kept: Vec<Option<Vec<f32>>> = kept.collect::<Result<_, _>>()?;
    let mut state = State::fresh(plan);
    if pruning.rewind > 0 {
        (state.layers, state.moments) = checkpoint::take_state(&mut file, plan, REWIND)?;
        state.step = pruning.rewind;
    }
    file.finish()?;
    let layer = |((trained, kept), rewound): ((&Dense, Option<Vec<f32>>), &Dense)| Layer {
        trained: trained.torch_weight(),
        rewound: rewound.torch_weight(),
        kept,
        fans: ((trained.rows - 1) as f64, trained.columns as f64),
    };
    let layers = trained.iter().zip(kept).zip(&state.layers).map(layer);
    let layers: Vec<Layer> = layers.collect();
    let drawn = (plan.init, plan.seed);
    let start = ticket::start(pruning, &plan.pools, drawn, &layers)?;
    let mut notes = Notes::default();
    for (layer, (mask, (rows, columns))) in start.masks.iter().zip(&shapes).enumerate() {
        let shape = [*columns, rows - 1];
        notes.carried.push(named(mask_name(layer), &shape, mask));
    }
    if pruning.rewind > 0 {
        notes.carried.extend(kept_state(plan, &state));
    }
    if let Some(weights) = start.weights {
        for (layer, weights) in state.layers.iter_mut().zip(&weights) {
            *layer = Dense::from_torch(weights, &vec![0.0; layer.columns]);
        }
        for moments in state.moments.iter_mut().flatten() {
            moments.values.fill(0.0);
        }
    }
    let mask = Mask::of(&start.masks, plan);
    for moments in &mut state.moments {
        mask.apply(moments);
    }
    mask.apply(&mut state.layers);
    Ok((mask, state, notes))
}

/// A state as the tensors that later stages are set back to.
pub(crate) fn kept_state(plan: &Plan, state: &State) -> Vec<crate::weights::Named> {
    checkpoint::state_tensors(plan, state, REWIND)
}
