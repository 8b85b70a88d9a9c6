//! Convolution networks, and all with batch normalisation, on the processor: each member trains by itself, on one thread, in buffers allocated once.
//!
//! Forward and backward passes are explicit, like those of dense networks, and no gradient with respect to the images is
//! taken. 16 samples lie side by side in every register (see [`tile`]), so a convolution is a sum of weighted neighbours over
//! images as they lie: nothing is copied into columns, and a filter of 6 channels is as fast as one of 64.
//! Every sum is one chain in a fixed order, so bits depend neither on the pack, nor on threads, nor on the width of registers.

mod after;
mod changed;
mod correlate;
mod gradient;
mod member;
mod network;
mod norm;
mod pass;
mod pruned;
mod state;
mod tile;
mod unit;

use std::sync::Arc;

use descent_spec::outcome::Measurement;
use descent_spec::trial::TrialSpec;

use self::member::{Start, Trained};
use self::network::Network;
use self::state::State;
use crate::checkpoint;
use crate::course::Run;
use crate::data::{DataStore, Prepared};
use crate::ending::Place;
use crate::kernel::Isa;
use crate::mlp::Plan;
use crate::notes::Notes;
use crate::optimizer::keep;
use crate::pack::{Event, Member, Pack, Progress, TrainError};
use crate::samples::samples;
use crate::search;
use crate::subspace::{Projection, Subspace};
use crate::weights::Unpacked;

/// Networks trained one after the other.
struct Networks {
    place: Place,
    members: Vec<Trained>,
}

/// Makes a pack. Members that cannot start come back as failed, the others train.
pub(crate) fn open(
    members: Vec<Member>,
    data: &DataStore,
    isa: Isa,
) -> (Box<dyn Pack>, Vec<Event>) {
    let mut failed = Vec::new();
    let mut pack = Networks {
        place: Place {
            device: "cpu".to_owned(),
            instruction_set: isa.name().to_owned(),
        },
        members: Vec::with_capacity(members.len()),
    };
    for member in members {
        let started = samples(data, member.data, &member.spec.data)
            .and_then(|(images, labels)| start(&member, images, labels, isa));
        match started {
            Ok(start) => pack.members.push(Trained::new(isa, start)),
            Err(error) => failed.push(Event::Failed {
                key: member.key,
                error,
            }),
        }
    }
    (Box::new(pack), failed)
}

/// Makes a pack of trainings whose samples are at hand.
pub(crate) fn open_runs(runs: Vec<Run>, isa: Isa) -> (Box<dyn Pack>, Vec<Event>) {
    let mut failed = Vec::new();
    let mut pack = Networks {
        place: Place {
            device: "cpu".to_owned(),
            instruction_set: isa.name().to_owned(),
        },
        members: Vec::with_capacity(runs.len()),
    };
    for run in runs {
        match start(&run.member, run.data, run.labels, isa) {
            Ok(mut start) => {
                start.plan.keeps_coordinates = run.keeps_coordinates;
                pack.members.push(Trained::new(isa, start));
            }
            Err(error) => failed.push(Event::Failed {
                key: run.member.key,
                error,
            }),
        }
    }
    (Box::new(pack), failed)
}

/// A member at its first step, or where its checkpoint left it.
fn start(
    member: &Member,
    data: Arc<Prepared>,
    labels: Arc<[u8]>,
    isa: Isa,
) -> Result<Start, TrainError> {
    let parent = member.parent_weights.as_deref();
    let (spec, search) = search::decide(&member.spec, parent, |spec, weights| {
        measured(spec, weights, &data, &labels, isa)
    })?;
    let plan = Plan::new(&spec, &data)?;
    let network = network(&spec, &data)?;
    let resumed = match &member.checkpoint {
        // What other instructions began is begun again: half of each would be neither's result.
        Some(bytes) if checkpoint::instruction_set(bytes)? == isa.name() => {
            Some(State::resume(bytes, &plan, &network)?)
        }
        _ => None,
    };
    let (mask, mut state, mut notes) = match (plan.pruned(), parent) {
        (Some(pruning), Some(bytes)) => {
            let (mask, state, notes) = pruned::start(bytes, &plan, pruning, &network)?;
            (Some(mask), state, notes)
        }
        (Some(_), None) => {
            let message = "a pruned network starts from weights that are not here".to_owned();
            return Err(TrainError::Artifact(message));
        }
        (None, _) => {
            let state = State::fresh(&plan, &network);
            (state::mask(&plan, &network), state, Notes::default())
        }
    };
    if let Some((resumed, kept)) = resumed {
        state = resumed;
        notes.best = kept.best;
        notes.carried.extend(kept.carried);
    }
    notes.search = search;
    let subspace = plan.subspace.zip(state.coordinates.take());
    let subspace = subspace.map(|(spec, coordinates)| {
        // θ₀: nothing has moved it yet, also where z was read from a checkpoint.
        let origin = state.theta.clone();
        let projection = Arc::new(Projection::draw(spec, origin.len(), plan.seed));
        Box::new(Subspace::new(
            projection,
            origin,
            mask.clone(),
            coordinates,
            isa,
        ))
    });
    if let Some(subspace) = &subspace {
        state.theta.copy_from_slice(subspace.theta());
    }
    if let Some(mask) = &mask {
        keep(mask, &mut state.theta);
    }
    if state.step == 0 && plan.kept.first() == Some(&0) && state.snapshots.is_empty() {
        state.keep(0);
    }
    Ok(Start {
        key: member.key,
        mask,
        subspace,
        notes,
        plan,
        network,
        data,
        labels,
        state,
    })
}

/// Measures a network of these settings with these final weights.
fn measured(
    spec: &TrialSpec,
    bytes: &[u8],
    data: &Arc<Prepared>,
    labels: &Arc<[u8]>,
    isa: Isa,
) -> Result<Measurement, TrainError> {
    let plan = Plan::new(spec, data)?;
    let network = network(spec, data)?;
    let mut file = Unpacked::open(bytes)?;
    let state = State::ended(&mut file, &plan, &network)?;
    file.finish()?;
    let start = Start {
        key: 0,
        mask: None,
        subspace: None,
        notes: Notes::default(),
        plan,
        network,
        data: Arc::clone(data),
        labels: Arc::clone(labels),
        state,
    };
    Ok(Trained::new(isa, start).measured())
}

/// The layers that settings describe for these samples.
fn network(spec: &TrialSpec, data: &Prepared) -> Result<Network, TrainError> {
    let count = |n: usize| {
        u32::try_from(n).map_err(|_| TrainError::BadSpec(format!("{n} is too many for a network")))
    };
    let (inputs, outputs) = (count(data.inputs)?, count(data.outputs)?);
    Network::new(&spec.model, inputs, data.image, outputs)
}

impl Pack for Networks {
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        let mut events = Vec::new();
        self.members
            .retain_mut(|member| member.advance(steps, &self.place, &mut events));
        events
    }

    fn progress(&self) -> Vec<Progress> {
        let progress = self.members.iter().map(|member| Progress {
            key: member.start.key,
            epoch: member.epoch(),
            step: member.start.state.step,
        });
        progress.collect()
    }

    fn checkpoint(&self, key: u64) -> Option<Vec<u8>> {
        let member = self.members.iter().find(|member| member.start.key == key)?;
        let start = &member.start;
        let place = &self.place.instruction_set;
        let at = start.subspace.as_ref().map(|inside| inside.coordinates());
        let (plan, network, notes) = (&start.plan, &start.network, &start.notes);
        Some(start.state.checkpoint(plan, network, (at, notes), place))
    }

    fn remove(&mut self, key: u64) {
        self.members.retain(|member| member.start.key != key);
    }
}
