//! What changes about one network: flat vectors, and the files that hold them.

use std::sync::Arc;

use descent_spec::trial::MaskSpec;

use super::changed::Numbers;
use super::network::{Network, Role};
use crate::best::{self, Best};
use crate::checkpoint::{self, Opened, REWIND};
use crate::mlp::{Plan, mask, state};
use crate::notes::Notes;
use crate::pack::TrainError;
use crate::robustness::{self, Snapshot};
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
    /// What it was after the epochs that its plan keeps, as far as they are over.
    pub(crate) snapshots: Vec<Snapshot<Numbers>>,
    /// The best so far, where its plan may end training early.
    pub(crate) best: Option<Best<Numbers>>,
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
            snapshots: Vec::new(),
            best: None,
        }
    }

    /// All its numbers.
    pub(crate) fn numbers(&self) -> Numbers {
        Numbers {
            theta: self.theta.clone(),
            running: self.running.clone(),
        }
    }

    /// Keeps them as those after an epoch.
    pub(crate) fn keep(&mut self, epoch: u32) {
        let network = Arc::new(self.numbers());
        self.snapshots.push(Snapshot { epoch, network });
    }

    /// The bytes of a checkpoint of a member that is `at` these coordinates of its subspace, if it is in one.
    pub(crate) fn checkpoint(
        &self,
        plan: &Plan,
        network: &Network,
        (at, notes): (Option<&Coordinates>, &Notes),
        place: &str,
    ) -> Vec<u8> {
        let prefixes = checkpoint::optimizer(plan).1;
        let mut held: Vec<Named> = match at {
            None => tensors(network, "", &self.theta, &self.running),
            // Everything else follows from z.
            Some(at) => {
                let moments = prefixes.iter().zip(&at.moments);
                let moments = moments
                    .map(|(prefix, moment)| named(format!("{prefix}z"), &[moment.len()], moment));
                let z = named("z".to_owned(), &[at.z.len()], &at.z);
                let running = statistics(network, "", &self.running);
                moments.chain([z]).chain(running).collect()
            }
        };
        for (prefix, moment) in prefixes.iter().zip(&self.moments) {
            held.extend(trained(network, prefix, moment));
        }
        let kept = self.snapshots.iter();
        let kept = kept.map(|kept| (robustness::prefix(kept.epoch), &kept.network));
        let best = self.best.as_ref();
        let best_kept = best.map(|best| (best::PREFIX.to_owned(), &best.network));
        for (prefix, numbers) in kept.chain(best_kept) {
            held.extend(tensors(network, &prefix, &numbers.theta, &numbers.running));
        }
        held.extend(checkpoint::kept(plan, notes).iter().cloned());
        let measurement = best.map(|best| &best.measurement);
        let header = checkpoint::header(plan, self.step, measurement, notes, place);
        weights::write(&held, &header)
    }

    /// Reads such bytes.
    ///
    /// # Errors
    /// When they are none, or those of another network.
    pub(crate) fn resume(
        bytes: &[u8],
        plan: &Plan,
        network: &Network,
    ) -> Result<(Self, Notes), TrainError> {
        let Opened {
            step,
            best,
            notes,
            mut file,
        } = checkpoint::read(bytes, plan)?;
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
        let running = take_running(&mut file, network, "")?;
        let mut snapshots = Vec::new();
        let mut numbers = |prefix: &str| {
            Ok::<_, TrainError>(Arc::new(Numbers {
                theta: take(&mut file, network, prefix)?,
                running: take_running(&mut file, network, prefix)?,
            }))
        };
        for epoch in robustness::kept(plan, plan.epoch(step)) {
            let network = numbers(&robustness::prefix(epoch))?;
            snapshots.push(Snapshot { epoch, network });
        }
        let best = match best {
            Some(measurement) => Some(Best {
                measurement,
                network: numbers(best::PREFIX)?,
            }),
            None => None,
        };
        file.finish()?;
        let state = Self {
            step,
            theta,
            moments,
            running,
            coordinates,
            snapshots,
            best,
        };
        Ok((state, notes))
    }

    /// Reads final weights: a state without optimizer.
    ///
    /// # Errors
    /// When they are those of another network.
    pub(crate) fn ended(
        file: &mut Unpacked,
        plan: &Plan,
        network: &Network,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            theta: take(file, network, "")?,
            running: take_running(file, network, "")?,
            ..Self::fresh(plan, network)
        })
    }

    /// Reads the state on the way that a file carries on.
    ///
    /// # Errors
    /// When it is missing.
    pub(crate) fn on_the_way(
        file: &mut Unpacked,
        plan: &Plan,
        network: &Network,
        step: u64,
    ) -> Result<Self, TrainError> {
        let prefixes = checkpoint::optimizer(plan).1.iter();
        let moments = prefixes.map(|prefix| take(file, network, &format!("{REWIND}{prefix}")));
        Ok(Self {
            step,
            moments: moments.collect::<Result<_, _>>()?,
            theta: take(file, network, REWIND)?,
            running: take_running(file, network, REWIND)?,
            ..Self::fresh(plan, network)
        })
    }

    /// Numbers and moments as tensors that later stages are set back to.
    pub(crate) fn kept(&self, plan: &Plan, network: &Network) -> Vec<Named> {
        let mut kept = tensors(network, REWIND, &self.theta, &self.running);
        let prefixes = checkpoint::optimizer(plan).1;
        for (prefix, moment) in prefixes.iter().zip(&self.moments) {
            kept.extend(trained(network, &format!("{REWIND}{prefix}"), moment));
        }
        kept
    }
}

impl Numbers {
    /// As a file of final weights, with the coordinates in a subspace where they are asked for, and with what it carries on.
    pub(crate) fn weights(&self, network: &Network, z: Option<&[f32]>, notes: &Notes) -> Vec<u8> {
        let mut tensors = tensors(network, "", &self.theta, &self.running);
        tensors.extend(z.map(|z| named("z".to_owned(), &[z.len()], z)));
        tensors.extend(notes.carried.iter().cloned());
        weights::write(&tensors, &weights::header(notes))
    }
}

/// All numbers of a network as tensors.
fn tensors(network: &Network, prefix: &str, theta: &[f32], running: &[f32]) -> Vec<Named> {
    trained(network, prefix, theta)
        .chain(statistics(network, prefix, running))
        .collect()
}

/// Running statistics as tensors.
fn statistics<'a>(
    network: &'a Network,
    prefix: &'a str,
    running: &'a [f32],
) -> impl Iterator<Item = Named> + 'a {
    network.running.iter().map(move |(name, range)| {
        let name = format!("{prefix}{name}");
        named(name, &[range.len()], &running[range.clone()])
    })
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

fn take_running(
    file: &mut Unpacked,
    network: &Network,
    prefix: &str,
) -> Result<Vec<f32>, TrainError> {
    let mut running = vec![0.0; network.running()];
    for (name, range) in &network.running {
        let name = format!("{prefix}{name}");
        running[range.clone()].copy_from_slice(&file.tensor(&name, &[range.len()])?);
    }
    Ok(running)
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
