//! What changes about one network: flat vectors, and the files that hold them.

use descent_spec::trial::MaskSpec;

use super::network::{Network, Role};
use crate::checkpoint;
use crate::mlp::{Plan, mask, state};
use crate::pack::TrainError;
use crate::stream::Stream;
use crate::subspace::Coordinates;
use crate::weights::{self, Named, Unpacked, named};

/// Everything that going on exactly takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    /// Steps completed.
    pub(crate) step: u64,
    /// Trained numbers, in PyTorch's order.
    pub(crate) theta: Vec<f32>,
    /// Optimizer state in the same order: velocity, or Adam's two moments.
    pub(crate) moments: Vec<Vec<f32>>,
    /// Running means and variances of every normalisation.
    pub(crate) running: Vec<f32>,
    /// Where it begins in its subspace; taken when it does, for the subspace knows from then on. `None` outside of one.
    pub(crate) coordinates: Option<Coordinates>,
}

impl State {
    /// Untrained. A layer's weights come from the same stream as those of a dense network's layer of this number.
    pub(crate) fn fresh(plan: &Plan, network: &Network) -> Self {
        let mut theta = vec![0.0; network.parameters()];
        let mut layer = 0;
        for parameter in &network.parameters {
            let to = &mut theta[parameter.range.clone()];
            match parameter.role {
                Role::Weight { fan_in, fan_out } => {
                    let mut stream = Stream::new(&format!("init/{layer}"), plan.seed, 0);
                    let fans = (fan_in as f64, fan_out as f64);
                    to.copy_from_slice(&state::drawn(plan.init, fans, to.len(), &mut stream));
                    layer += 1;
                }
                Role::Bias => {}
                Role::Scale => to.fill(1.0),
            }
        }
        let mut running = vec![0.0; network.running()];
        for (name, range) in &network.running {
            if name.ends_with("var") {
                running[range.clone()].fill(1.0);
            }
        }
        Self {
            step: 0,
            moments: vec![vec![0.0; theta.len()]; plan.moments()],
            theta,
            running,
            coordinates: plan.subspace.map(|subspace| {
                Coordinates::origin(subspace.dim as usize, plan.numbers_per_moved())
            }),
        }
    }

    /// The bytes of a checkpoint of a member that is `at` these coordinates of its subspace, if it is in one.
    pub(crate) fn checkpoint(
        &self,
        plan: &Plan,
        network: &Network,
        at: Option<&Coordinates>,
        place: &str,
    ) -> Vec<u8> {
        let prefixes = checkpoint::optimizer(plan).1;
        let mut tensors: Vec<Named> = match at {
            None => self.tensors(network),
            // Everything else follows from z.
            Some(at) => {
                let moments = prefixes.iter().zip(&at.moments);
                let moments = moments
                    .map(|(prefix, moment)| named(format!("{prefix}z"), &[moment.len()], moment));
                let z = named("z".to_owned(), &[at.z.len()], &at.z);
                moments.chain([z]).chain(self.statistics(network)).collect()
            }
        };
        for (prefix, moment) in prefixes.iter().zip(&self.moments) {
            tensors.extend(trained(network, prefix, moment));
        }
        weights::write(&tensors, &checkpoint::header(plan, self.step, place))
    }

    /// Reads such bytes.
    ///
    /// # Errors
    /// When they are none, or those of another network.
    pub(crate) fn resume(bytes: &[u8], plan: &Plan, network: &Network) -> Result<Self, TrainError> {
        let (step, mut file) = checkpoint::read(bytes, plan)?;
        let coordinates = checkpoint::coordinates(&mut file, plan)?;
        let (theta, moments) = if coordinates.is_some() {
            let fresh = Self::fresh(plan, network);
            (fresh.theta, fresh.moments)
        } else {
            let theta = take(&mut file, network, "")?;
            let prefixes = checkpoint::optimizer(plan).1.iter();
            let moments = prefixes.map(|prefix| take(&mut file, network, prefix));
            (theta, moments.collect::<Result<_, _>>()?)
        };
        let mut running = vec![0.0; network.running()];
        for (name, range) in &network.running {
            running[range.clone()].copy_from_slice(&file.tensor(name, &[range.len()])?);
        }
        file.finish()?;
        Ok(Self {
            step,
            theta,
            moments,
            running,
            coordinates,
        })
    }

    /// Final weights as a file.
    pub(crate) fn weights(&self, plan: &Plan, network: &Network) -> Vec<u8> {
        let mut tensors = self.tensors(network);
        if let Some(at) = self.coordinates.as_ref().filter(|_| plan.keeps_coordinates) {
            tensors.push(named("z".to_owned(), &[at.z.len()], &at.z));
        }
        weights::write(&tensors, weights::WEIGHTS)
    }

    fn tensors(&self, network: &Network) -> Vec<Named> {
        trained(network, "", &self.theta)
            .chain(self.statistics(network))
            .collect()
    }

    /// Running statistics as tensors.
    fn statistics(&self, network: &Network) -> impl Iterator<Item = Named> {
        network
            .running
            .iter()
            .map(|(name, range)| named(name.clone(), &[range.len()], &self.running[range.clone()]))
    }
}

/// A flat vector as tensors.
fn trained<'a>(
    network: &'a Network,
    prefix: &'a str,
    values: &'a [f32],
) -> impl Iterator<Item = Named> + 'a {
    network.parameters.iter().map(move |parameter| {
        let name = format!("{prefix}{}", parameter.name);
        named(name, &parameter.shape, &values[parameter.range.clone()])
    })
}

fn take(file: &mut Unpacked, network: &Network, prefix: &str) -> Result<Vec<f32>, TrainError> {
    let mut values = Vec::with_capacity(network.parameters());
    for parameter in &network.parameters {
        let name = format!("{prefix}{}", parameter.name);
        values.extend(file.tensor(&name, &parameter.shape)?);
    }
    Ok(values)
}

/// 1 for every number that is trained and 0 for weights that are dropped; `None` where all are kept. Layers draw from the same
/// streams as those of dense networks; the scales of normalisations are kept like biases.
pub(crate) fn mask(plan: &Plan, network: &Network) -> Option<Vec<f32>> {
    let MaskSpec::Random { density } = plan.mask else {
        return None;
    };
    let mut mask = vec![1.0; network.parameters()];
    let weights = network
        .parameters
        .iter()
        .filter(|parameter| matches!(parameter.role, Role::Weight { .. }));
    for (layer, parameter) in weights.enumerate() {
        let range = parameter.range.clone();
        let chosen = mask::chosen(plan.seed, layer, range.len(), density);
        mask[range].copy_from_slice(&chosen);
    }
    Some(mask)
}
