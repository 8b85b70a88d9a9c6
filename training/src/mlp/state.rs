//! What changes about one member: everything that going on exactly takes.

use descent_spec::trial::Init;

use super::dense::Dense;
use super::plan::Plan;
use crate::best::Best;
use crate::notes::Notes;
use crate::robustness::Snapshot;
use crate::stream::Stream;
use crate::subspace::Coordinates;
use crate::weights::{self, named};

/// A member's position, weights and optimizer state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    /// Steps completed. Epoch, place in the epoch and learning rate follow from it.
    pub(crate) step: u64,
    /// Every layer's weights, the output layer last.
    pub(crate) layers: Vec<Dense>,
    /// Optimizer state in the same shapes: velocity, or Adam's two moments.
    pub(crate) moments: Vec<Vec<Dense>>,
    /// Where a member in a subspace is; its layers follow from it.
    pub(crate) coordinates: Option<Coordinates>,
    /// What it was after the epochs that its plan keeps, as far as they are over.
    pub(crate) snapshots: Vec<Snapshot<Vec<Dense>>>,
    /// The best so far, where its plan may end training early.
    pub(crate) best: Option<Best<Vec<Dense>>>,
}

/// Initial weights of a layer with so many inputs and outputs to a weight.
pub(crate) fn drawn(
    init: Init,
    (fan_in, fan_out): (f64, f64),
    weights: usize,
    stream: &mut Stream,
) -> Vec<f32> {
    let mut number = || match init {
        Init::GlorotUniform => {
            (2.0 * stream.uniform() - 1.0) * libm::sqrt(6.0 / (fan_in + fan_out))
        }
        Init::GlorotNormal => stream.normal() * libm::sqrt(2.0 / (fan_in + fan_out)),
        Init::HeNormal => stream.normal() * libm::sqrt(2.0 / fan_in),
        Init::Normal { sd } => stream.normal() * sd,
    };
    (0..weights).map(|_| number() as f32).collect()
}

impl State {
    /// Untrained: weights drawn as the plan says, from one stream per layer and in PyTorch's order; biases 0.
    pub(crate) fn fresh(plan: &Plan) -> Self {
        let draw = |(layer, (rows, columns)): (usize, (usize, usize))| {
            let mut stream = Stream::new(&format!("init/{layer}"), plan.seed, 0);
            let fans = ((rows - 1) as f64, columns as f64);
            let weight = drawn(plan.init, fans, (rows - 1) * columns, &mut stream);
            Dense::from_torch(&weight, &vec![0.0; columns])
        };
        Self::untrained(
            plan,
            plan.shapes().into_iter().enumerate().map(draw).collect(),
        )
    }

    /// Untrained, from the trained layers of a narrower network: its units come first, output biases included. Weights that it
    /// does not have are normal with the plan's standard deviation; biases that it does not have are 0.
    pub(crate) fn reusing(plan: &Plan, parent: &[Dense]) -> Self {
        let grow = |(layer, (rows, columns)): (usize, (usize, usize))| {
            let old = &parent[layer];
            let mut stream = Stream::new("reuse", plan.seed, layer as u64);
            let mut grown = Dense::zeros(rows, columns);
            // In PyTorch's order, and drawn only where needed.
            for unit in 0..columns {
                for input in 0..rows - 1 {
                    grown.row_mut(input)[unit] = if unit < old.columns && input < old.rows - 1 {
                        old.row(input)[unit]
                    } else {
                        (stream.normal() * plan.reuse_sd) as f32
                    };
                }
            }
            grown.row_mut(rows - 1)[..old.columns].copy_from_slice(old.bias());
            grown
        };
        Self::untrained(
            plan,
            plan.shapes().into_iter().enumerate().map(grow).collect(),
        )
    }

    /// Final weights as a file, with what it carries on.
    pub(crate) fn weights(&self, plan: &Plan, notes: &Notes) -> Vec<u8> {
        let mut all = weights::tensors(&[(String::new(), self.layers.as_slice())]);
        if let Some(at) = self.coordinates.as_ref().filter(|_| plan.keeps_coordinates) {
            all.push(named("z".to_owned(), &[at.z.len()], &at.z));
        }
        all.extend(notes.carried.iter().cloned());
        weights::write(&all, &weights::header(notes))
    }

    /// A network that is tested and not trained.
    pub(crate) fn tested(plan: &Plan, layers: Vec<Dense>) -> Self {
        Self {
            coordinates: None,
            ..Self::untrained(plan, layers)
        }
    }

    fn untrained(plan: &Plan, layers: Vec<Dense>) -> Self {
        let zeros: Vec<Dense> = layers
            .iter()
            .map(|layer| Dense::zeros(layer.rows, layer.columns))
            .collect();
        Self {
            step: 0,
            layers,
            moments: vec![zeros; plan.moments()],
            coordinates: plan.subspace.map(|subspace| {
                Coordinates::origin(subspace.dim as usize, plan.numbers_per_moved())
            }),
            snapshots: Vec::new(),
            best: None,
        }
    }
}
