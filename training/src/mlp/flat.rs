//! A network's parameters as one vector, in PyTorch's order, and the subspace that moves them.

use std::sync::Arc;

use super::dense::Dense;
use super::layer::Layer;
use super::mask::Mask;
use super::plan::Plan;
use super::state::State;
use crate::kernel::Isa;
use crate::subspace::{Projection, Subspace};

/// All parameters: layers in order, the weight row-major, then the bias.
pub(crate) fn flatten(layers: &[Dense]) -> Vec<f32> {
    let mut flat = Vec::new();
    for layer in layers {
        flat.extend(layer.torch_weight());
        flat.extend_from_slice(layer.bias());
    }
    flat
}

/// Layers of these shapes, from all parameters.
fn unflatten(flat: &[f32], shapes: &[(usize, usize)]) -> Vec<Dense> {
    let mut rest = flat;
    let layer = |&(rows, columns): &(usize, usize)| {
        let (weight, after) = rest.split_at((rows - 1) * columns);
        let (bias, after) = after.split_at(columns);
        rest = after;
        Dense::from_torch(weight, bias)
    };
    shapes.iter().map(layer).collect()
}

/// The subspace that a plan asks for, where `state` says. Its layers, at first those of θ₀ without what `mask` drops, are set to
/// what follows.
pub(crate) fn enter(
    plan: &Plan,
    mask: Option<&Mask>,
    state: &mut State,
    isa: Isa,
) -> Option<Subspace> {
    let spec = plan.subspace?;
    let coordinates = state.coordinates.take()?;
    let origin = flatten(&state.layers);
    let projection = Arc::new(Projection::draw(spec, origin.len(), plan.seed));
    let kept = mask.map(|mask| flatten(mask.layers()));
    let subspace = Subspace::new(projection, origin, kept, coordinates, isa);
    state.layers = unflatten(subspace.theta(), &plan.shapes());
    Some(subspace)
}

/// One step of a member in a subspace, after the one that left its gradient in its layers: `first` from a column on, and
/// `later`. Its weight decay is that of a network outside: the gradient of λ/2·‖w‖² over all weights, biases left out.
pub(crate) fn step(
    subspace: &mut Subspace,
    plan: &Plan,
    (first, column): (&mut Layer, usize),
    later: &mut [Layer],
    isa: Isa,
    step: u64,
) {
    let decay = plan.decay as f32;
    let (theta, gradient) = subspace.sides();
    let (mut theta, mut gradient) = (theta, gradient);
    for (index, (rows, units)) in plan.each_shape().enumerate() {
        let (flat, after) = gradient.split_at_mut(rows * units);
        let (here, above) = theta.split_at(rows * units);
        (theta, gradient) = (above, after);
        match index.checked_sub(1) {
            None => first.take_gradient(column, units, flat),
            Some(index) => later[index].take_gradient(0, units, flat),
        }
        if decay != 0.0 {
            let weights = (rows - 1) * units;
            for (g, w) in flat[..weights].iter_mut().zip(here) {
                *g += decay * w;
            }
        }
    }
    subspace.step(isa, &plan.coefficients(step));
    let mut theta = subspace.theta();
    for (index, (rows, units)) in plan.each_shape().enumerate() {
        let (flat, after) = theta.split_at(rows * units);
        theta = after;
        match index.checked_sub(1) {
            None => first.set_weights(column, units, flat),
            Some(index) => later[index].set_weights(0, units, flat),
        }
    }
}
