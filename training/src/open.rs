//! Starts packs: finds the samples, reads checkpoints and parents' weights, and puts each member on its path.
//!
//! Networks of dense layers take the fast path, on the processor or on a CUDA device; convolution networks are trained,
//! and closed forms solved, on the processor, whatever the device.

use std::sync::Arc;

use descent_spec::trial::{Experiment, ModelSpec};

use crate::autograd::Autograd;
use crate::checkpoint;
use crate::conv;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::data::{DataStore, Prepared};
use crate::device::Device;
use crate::ending::Place;
use crate::expressivity;
use crate::features;
use crate::kernel::Isa;
use crate::mlp::{Loose, Mask, Plan, Stack, State, flat};
use crate::pack::{Event, Member, Pack, Progress, TrainError};
use crate::samples::samples;
use crate::weights;

/// Makes a pack of trials on a device. Members that cannot start come back as [`Event::Failed`], the others train.
#[must_use]
pub fn open(
    members: Vec<Member>,
    data: &DataStore,
    device: &Device,
) -> (Box<dyn Pack>, Vec<Event>) {
    let (closed, stepped): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|member| member.spec.experiment.is_closed_form());
    let (convolving, stepped): (Vec<_>, Vec<_>) = stepped.into_iter().partition(convolves);
    let (mut packs, mut failed) = (Vec::new(), Vec::new());
    if !convolving.is_empty() {
        let (pack, events) = conv::open(convolving, data, Isa::detect());
        packs.push(pack);
        failed.extend(events);
    }
    if !closed.is_empty() {
        let builds = |member: &Member| member.spec.experiment == Experiment::Expressivity;
        let (built, solved): (Vec<_>, Vec<_>) = closed.into_iter().partition(builds);
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
    if !stepped.is_empty() {
        let (pack, events) = open_stepped(stepped, data, device);
        packs.push(pack);
        failed.extend(events);
    }
    match packs.len() {
        1 => (packs.remove(0), failed),
        _ => (Box::new(Several(packs)), failed),
    }
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
    let (convolving, dense): (Vec<_>, Vec<_>) = members.into_iter().partition(convolves);
    let (ready, mut failed) = start_all(dense, data, isa.name());
    let (pack, events) = conv::open(convolving, data, isa);
    failed.extend(events);
    let packs: Vec<Box<dyn Pack>> = vec![pack, Box::new(Stack::new(isa, ready))];
    Some((Box::new(Several(packs)), failed))
}

/// Whether a member is a convolution network.
fn convolves(member: &Member) -> bool {
    matches!(member.spec.model, ModelSpec::Conv { .. })
}

/// Makes a pack of trials that are trained by steps.
fn open_stepped(
    members: Vec<Member>,
    data: &DataStore,
    device: &Device,
) -> (Box<dyn Pack>, Vec<Event>) {
    let instruction_set = device.instruction_set();
    let on_processor = device.cuda().is_none();
    let (members, refused) = if on_processor {
        (members, Vec::new())
    } else {
        without_subspaces(members)
    };
    let (ready, mut failed) = start_all(members, data, &instruction_set);
    failed.extend(refused);
    if on_processor {
        return (Box::new(Stack::new(Isa::detect(), ready)), failed);
    }
    let place = Place {
        device: device.to_string(),
        instruction_set,
    };
    let (pack, events) = open_on_cuda(*device, place, ready);
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

/// The members outside of subspaces, and the failures of the others: only the fast path on the processor knows subspaces.
fn without_subspaces(members: Vec<Member>) -> (Vec<Member>, Vec<Event>) {
    let (inside, outside): (Vec<_>, Vec<_>) = members
        .into_iter()
        .partition(|member| member.spec.subspace.is_some());
    let refuse = |member: Member| Event::Failed {
        key: member.key,
        error: TrainError::BadSpec("subspaces are trained on the processor only".to_owned()),
    };
    (outside, inside.into_iter().map(refuse).collect())
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
    let plan = Plan::new(&member.spec, &data)?;
    let resumed = match &member.checkpoint {
        // What other instructions began is begun again: half of each would be neither's result.
        Some(bytes) if checkpoint::instruction_set(bytes)? == instruction_set => {
            Some(checkpoint::from_bytes(bytes, &plan)?)
        }
        _ => None,
    };
    let mask = Mask::draw(&plan).map(Arc::new);
    let mut state = match (resumed, &member.parent_weights) {
        (Some(state), _) => state,
        (None, Some(bytes)) => State::reusing(&plan, &weights::parent(bytes, &plan)?),
        (None, None) => State::fresh(&plan),
    };
    if let Some(mask) = &mask {
        mask.apply(&mut state.layers);
    }
    let isa = Isa::named(instruction_set).unwrap_or_else(Isa::detect);
    let subspace = flat::enter(&plan, mask.as_deref(), &mut state, isa).map(Box::new);
    Ok(Loose {
        key: member.key,
        plan: Arc::new(plan),
        data,
        labels,
        mask,
        subspace,
        state,
    })
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
    let (members, refused) = without_subspaces(members);
    let (ready, mut failed) = start_all(members, data, &place.instruction_set);
    failed.extend(refused);
    let (pack, events) = Autograd::new(&candle_core::Device::Cpu, place, ready);
    failed.extend(events);
    (Box::new(pack), failed)
}
