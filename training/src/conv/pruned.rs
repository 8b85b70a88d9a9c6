//! A pruned convolution network's start: its parent's file read, its mask and its weights made.

use descent_spec::trial::Pruning;

use super::network::{Network, Parameter, Role};
use super::state::State;
use crate::mlp::Plan;
use crate::notes::Notes;
use crate::pack::TrainError;
use crate::ticket::{self, Layer};
use crate::weights::{Unpacked, named};

/// A tensor of weights, and the inputs and outputs to one of them.
type Weighted<'a> = (&'a Parameter, (f64, f64));

/// What the network of a level starts with, from the final weights of the one before: its mask, its state, and what its own file
/// will carry on. Normalisations are set back like biases, statistics with them.
///
/// # Errors
/// When the bytes are not the weights of such a network.
pub(super) fn start(
    bytes: &[u8],
    plan: &Plan,
    pruning: &Pruning,
    network: &Network,
) -> Result<(Vec<f32>, State, Notes), TrainError> {
    let mut file = Unpacked::open(bytes)?;
    let trained = State::ended(&mut file, plan, network)?;
    let weights = network
        .parameters
        .iter()
        .filter_map(|parameter| match parameter.role {
            Role::Weight { fan_in, fan_out } => Some((parameter, (fan_in as f64, fan_out as f64))),
            Role::Bias | Role::Scale => None,
        });
    let weights: Vec<Weighted<'_>> = weights.collect();
    let mask_name = |parameter: &Parameter| format!("mask.{}", parameter.name);
    let kept = weights
        .iter()
        .map(|(parameter, _)| file.tensor_if_any(&mask_name(parameter), &parameter.shape));
    let kept: Vec<Option<Vec<f32>>> = kept.collect::<Result<_, _>>()?;
    let mut state = if pruning.rewind > 0 {
        State::on_the_way(&mut file, plan, network, pruning.rewind)?
    } else {
        State::fresh(plan, network)
    };
    file.finish()?;
    let layer = |((parameter, fans), kept): (&Weighted<'_>, Option<Vec<f32>>)| Layer {
        trained: trained.theta[parameter.range.clone()].to_vec(),
        rewound: state.theta[parameter.range.clone()].to_vec(),
        kept,
        fans: *fans,
    };
    let layers: Vec<Layer> = weights.iter().zip(kept).map(layer).collect();
    let drawn = (plan.init, plan.seed);
    let start = ticket::start(pruning, &plan.pools, drawn, &layers)?;
    let mut notes = Notes::default();
    for ((parameter, _), mask) in weights.iter().zip(&start.masks) {
        let name = mask_name(parameter);
        notes.carried.push(named(name, &parameter.shape, mask));
    }
    if pruning.rewind > 0 {
        notes.carried.extend(state.kept(plan, network));
    }
    if let Some(redrawn) = &start.weights {
        let step = state.step;
        state = State::fresh(plan, network);
        state.step = step;
        for ((parameter, _), weights) in weights.iter().zip(redrawn) {
            state.theta[parameter.range.clone()].copy_from_slice(weights);
        }
    }
    let mut mask = vec![1.0; network.parameters()];
    for ((parameter, _), chosen) in weights.iter().zip(&start.masks) {
        mask[parameter.range.clone()].copy_from_slice(chosen);
    }
    for values in state.moments.iter_mut().chain([&mut state.theta]) {
        for (value, &kept) in values.iter_mut().zip(&mask) {
            if kept == 0.0 {
                *value = 0.0;
            }
        }
    }
    Ok((mask, state, notes))
}
