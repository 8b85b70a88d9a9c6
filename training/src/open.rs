//! Starts packs: finds the samples, reads checkpoints and parents' weights, and puts each member on its path.
//!
//! Networks of dense layers take the fast path, on the processor or on a CUDA device; convolution networks and networks in
//! subspaces are trained, and closed forms solved, on the processor, whatever the device.

mod launch;

use std::sync::Arc;

use descent_spec::asked::Asked;
use descent_spec::closed::Closed;
use descent_spec::outcome::Measurement;
use descent_spec::trial::{ModelSpec, TrialSpec};

use crate::autograd::Autograd;
use crate::checkpoint;
use crate::conv;
use crate::course;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::data::{DataStore, Prepared};
use crate::device::Device;
use crate::ending::Place;
use crate::expressivity;
use crate::features;
use crate::freedom;

use crate::kernel::Isa;
use crate::mlp::{Group, Loose, Mask, Plan, Stack, State, flat, pruned};
use crate::notes::Notes;
use crate::pack::{Event, Member, Pack, Progress, TrainError};
use crate::robustness::Snapshot;
use crate::samples::samples;
use crate::search;
use crate::weights;

pub(crate) use launch::{Launch, open_runs};

/// Makes a pack of trials on a device. Members that cannot start come back as [`Event::Failed`], the others train.
#[must_use]
pub fn open(
    members: Vec<Member>,
    data: &DataStore,
    device: &Device,
) -> (Box<dyn Pack>, Vec<Event>) {
    let (closed, stepped): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|member| member.spec.model.is_closed_form());
    let (courses, stepped): (Vec<_>, Vec<_>) = stepped.into_iter().partition(is_course);
    let (convolving, stepped): (Vec<_>, Vec<_>) = stepped.into_iter().partition(convolves);
    let (mut packs, mut failed) = (Vec::new(), Vec::new());
    if !convolving.is_empty() {
        let (pack, events) = conv::open(convolving, data, Isa::detect());
        packs.push(pack);
        failed.extend(events);
    }
    if !closed.is_empty() {
        let (repeated, closed): (Vec<_>, Vec<_>) = closed.into_iter().partition(is_course);
        if !repeated.is_empty() {
            let (pack, events) = freedom::open(repeated, data);
            packs.push(pack);
            failed.extend(events);
        }
        let builds = |member: &Member| {
            matches!(
                member.spec.model,
                ModelSpec::Closed(Closed::Interpolator { .. })
            )
        };
        let interpolates =
            |member: &Member| matches!(member.spec.model, ModelSpec::Closed(Closed::Kernel { .. }));
        let (built, solved): (Vec<_>, Vec<_>) = closed.into_iter().partition(builds);
        let (limits, solved): (Vec<_>, Vec<_>) = solved.into_iter().partition(interpolates);
        if !limits.is_empty() {
            let (pack, events) = features::open_limits(limits, data);
            packs.push(pack);
            failed.extend(events);
        }
        if !built.is_empty() {
            let (pack, events) = expressivity::open(built, data);
            packs.push(pack);
            failed.extend(events);
        }
        if !solved.is_empty() {
            let (pack, events) = features::open(solved, data);
            packs.push(pack);
            failed.extend(events);
        }
    }
    for (courses, device) in by_place(courses, *device) {
        let (pack, events) = course::open(courses, data, Launch::On(device));
        packs.push(pack);
        failed.extend(events);
    }
    for (stepped, device) in by_place(stepped, *device) {
        let (pack, events) = open_stepped(stepped, data, device);
        packs.push(pack);
        failed.extend(events);
    }
    match packs.len() {
        1 => (packs.remove(0), failed),
        _ => (Box::new(Several(packs)), failed),
    }
}

/// Members by what computes them: this device, or the processor in its stead.
fn by_place(members: Vec<Member>, device: Device) -> Vec<(Vec<Member>, Device)> {
    let (here, on_processor): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|member| device.computing(&member.spec) == device);
    let mut places = vec![(here, device), (on_processor, Device::Cpu)];
    places.retain(|(members, _)| !members.is_empty());
    places
}

/// Makes a pack of networks on the processor that uses one instruction set (`avx512`, `avx2`, `neon`, `portable`), not the widest:
/// for measurements and tests. `None`: this processor does not have it.
#[must_use]
pub fn open_with(
    members: Vec<Member>,
    data: &DataStore,
    instruction_set: &str,
) -> Option<(Box<dyn Pack>, Vec<Event>)> {
    let isa = Isa::named(instruction_set)?;
    let (courses, members): (Vec<_>, Vec<_>) = members.into_iter().partition(is_course);
    let (convolving, dense): (Vec<_>, Vec<_>) = members.into_iter().partition(convolves);
    let (ready, mut failed) = start_all(dense, data, isa.name());
    let (pack, events) = conv::open(convolving, data, isa);
    failed.extend(events);
    let mut packs: Vec<Box<dyn Pack>> = vec![pack, Box::new(Stack::new(isa, ready))];
    let (pack, events) = course::open(courses, data, Launch::With(isa));
    packs.push(pack);
    failed.extend(events);
    Some((Box::new(Several(packs)), failed))
}

/// Whether a member is a trial of several trainings.
fn is_course(member: &Member) -> bool {
    member.spec.asked != Asked::Nothing
}

/// Whether a member goes layer by layer, like convolution networks.
fn convolves(member: &Member) -> bool {
    matches!(
        member.spec.model,
        ModelSpec::Conv { .. } | ModelSpec::NormalisedMlp { .. }
    )
}

/// Makes a pack of trials that are trained by steps.
fn open_stepped(
    members: Vec<Member>,
    data: &DataStore,
    device: Device,
) -> (Box<dyn Pack>, Vec<Event>) {
    let instruction_set = device.instruction_set();
    let (ready, mut failed) = start_all(members, data, &instruction_set);
    if device.cuda().is_none() {
        return (Box::new(Stack::new(Isa::detect(), ready)), failed);
    }
    let place = Place {
        device: device.to_string(),
        instruction_set,
    };
    let (pack, events) = open_on_cuda(device, place, ready);
    failed.extend(events);
    (pack, failed)
}

/// Puts members on a CUDA device.
#[cfg(feature = "cuda")]
fn open_on_cuda(device: Device, place: Place, members: Vec<Loose>) -> (Box<dyn Pack>, Vec<Event>) {
    let (number, tf32) = device.cuda().expect("only asked for CUDA devices");
    match cuda::launch::Cuda::open(number, tf32) {
        Ok(machine) => {
            let (pack, failed) = cuda::Stack::new(machine, place, members);
            (Box::new(pack), failed)
        }
        Err(fault) => {
            let fail = |member: Loose| Event::Failed {
                key: member.key,
                error: fault.clone().into(),
            };
            let failed = members.into_iter().map(fail).collect();
            (Box::new(Several(Vec::new())), failed)
        }
    }
}

/// Says that there is no such device in this build.
#[cfg(not(feature = "cuda"))]
fn open_on_cuda(device: Device, _: Place, members: Vec<Loose>) -> (Box<dyn Pack>, Vec<Event>) {
    let fail = |member: Loose| Event::Failed {
        key: member.key,
        error: TrainError::Device(crate::device::UnusableDevice::NotBuilt { device }.to_string()),
    };
    let failed = members.into_iter().map(fail).collect();
    (Box::new(Several(Vec::new())), failed)
}

/// The members that automatic differentiation trains, and the failures of the others.
fn for_reference(members: Vec<Member>) -> (Vec<Member>, Vec<Event>) {
    let (mut known, mut refused) = (Vec::with_capacity(members.len()), Vec::new());
    for member in members {
        match member.spec.only_on_processor() {
            None => known.push(member),
            Some(what) => refused.push(Event::Failed {
                key: member.key,
                error: TrainError::BadSpec(format!("{what} are not trained by reference")),
            }),
        }
    }
    (known, refused)
}

/// The members that can start, and the failures of the others.
pub(crate) fn start_all(
    members: Vec<Member>,
    data: &DataStore,
    instruction_set: &str,
) -> (Vec<Loose>, Vec<Event>) {
    let mut failed = Vec::new();
    let mut ready = Vec::with_capacity(members.len());
    for member in members {
        let started = samples(data, member.data, &member.spec.data)
            .and_then(|(images, labels)| start(&member, images, labels, instruction_set));
        match started {
            Ok(loose) => ready.push(loose),
            Err(error) => failed.push(Event::Failed {
                key: member.key,
                error,
            }),
        }
    }
    (ready, failed)
}

/// A member at its first step, or where its checkpoint left it.
fn start(
    member: &Member,
    data: Arc<Prepared>,
    labels: Arc<[u8]>,
    instruction_set: &str,
) -> Result<Loose, TrainError> {
    let isa = Isa::named(instruction_set).unwrap_or_else(Isa::detect);
    let parent = member.parent_weights.as_deref();
    let (spec, search) = search::decide(&member.spec, parent, |spec, weights| {
        measured(spec, weights, &data, &labels, isa)
    })?;
    let plan = Plan::new(&spec, &data)?;
    let resumed = match &member.checkpoint {
        // What other instructions began is begun again: half of each would be neither's result.
        Some(bytes) if checkpoint::instruction_set(bytes)? == instruction_set => {
            Some(checkpoint::from_bytes(bytes, &plan)?)
        }
        _ => None,
    };
    let (mask, mut state, mut notes) = match (plan.pruned(), parent) {
        (Some(pruning), Some(bytes)) => {
            let (mask, state, notes) = pruned::start(bytes, &plan, pruning)?;
            (Some(mask), state, notes)
        }
        (Some(_), None) => {
            let message = "a pruned network starts from weights that are not here".to_owned();
            return Err(TrainError::Artifact(message));
        }
        (None, Some(bytes)) if search.is_none() && resumed.is_none() => {
            let reused = State::reusing(&plan, &weights::parent(bytes, &plan)?);
            (Mask::draw(&plan), reused, Notes::default())
        }
        (None, _) => (Mask::draw(&plan), State::fresh(&plan), Notes::default()),
    };
    if let Some((resumed, kept)) = resumed {
        state = resumed;
        notes.best = kept.best;
        notes.carried.extend(kept.carried);
    }
    notes.search = search;
    let mask = mask.map(Arc::new);
    if let Some(mask) = &mask {
        mask.apply(&mut state.layers);
    }
    let subspace = flat::enter(&plan, mask.as_deref(), &mut state, isa).map(Box::new);
    if state.step == 0 && plan.kept.first() == Some(&0) && state.snapshots.is_empty() {
        state.snapshots.push(Snapshot {
            epoch: 0,
            network: Arc::new(state.layers.clone()),
        });
    }
    Ok(Loose {
        key: member.key,
        plan: Arc::new(plan),
        data,
        labels,
        shifts: None,
        mask,
        subspace,
        notes,
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
    let layers = weights::parent(bytes, &plan)?;
    if layers
        .iter()
        .zip(plan.shapes())
        .any(|(layer, shape)| (layer.rows, layer.columns) != shape)
    {
        let message = "the weights that a search begins with are those of another network";
        return Err(TrainError::Artifact(message.to_owned()));
    }
    let mut state = State::fresh(&plan);
    state.layers = layers;
    let loose = Loose {
        key: 0,
        mask: None,
        subspace: None,
        shifts: None,
        notes: Notes::default(),
        plan: Arc::new(plan),
        data: Arc::clone(data),
        labels: Arc::clone(labels),
        state,
    };
    let place = Place {
        device: "cpu".to_owned(),
        instruction_set: isa.name().to_owned(),
    };
    let measured = Group::new(isa, vec![loose], place).measured();
    measured.ok_or_else(|| TrainError::BadSpec("a network that cannot be measured".to_owned()))
}

/// Packs of different kinds as one.
struct Several(Vec<Box<dyn Pack>>);

impl Pack for Several {
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        self.0
            .iter_mut()
            .flat_map(|pack| pack.advance(steps))
            .collect()
    }

    fn progress(&self) -> Vec<Progress> {
        self.0.iter().flat_map(|pack| pack.progress()).collect()
    }

    fn checkpoint(&self, key: u64) -> Option<Vec<u8>> {
        self.0.iter().find_map(|pack| pack.checkpoint(key))
    }

    fn remove(&mut self, key: u64) {
        for pack in &mut self.0 {
            pack.remove(key);
        }
    }
}

/// Makes the same pack as [`open`], but by candle's automatic differentiation on the processor: an independent computation of
/// the same numbers, to hold the fast path to.
#[must_use]
pub fn open_reference(members: Vec<Member>, data: &DataStore) -> (Box<dyn Pack>, Vec<Event>) {
    let place = Place {
        device: "cpu".to_owned(),
        instruction_set: "candle".to_owned(),
    };
    let (members, refused) = for_reference(members);
    let (ready, mut failed) = start_all(members, data, &place.instruction_set);
    failed.extend(refused);
    let (pack, events) = Autograd::new(&candle_core::Device::Cpu, place, ready);
    failed.extend(events);
    (Box::new(pack), failed)
}
