//! Starts trainings whose samples are at hand: parts of trials of several trainings.

use std::sync::Arc;

use descent_spec::trial::{ModelSpec, TrialSpec};

use super::{Several, convolves, open_on_cuda, start};
use crate::conv;
use crate::course::Run;
use crate::device::Device;
use crate::ending::Place;
use crate::kernel::Isa;
use crate::mlp::{Loose, Stack};
use crate::pack::{Event, Pack};

/// What trains: a device, or the processor with certain instructions.
#[derive(Clone, Copy)]
pub(crate) enum Launch {
    On(Device),
    With(Isa),
}

impl Launch {
    /// The instruction set that checkpoints of trials are marked with.
    pub(crate) fn instruction_set(self) -> String {
        match self {
            Self::On(device) => device.instruction_set(),
            Self::With(isa) => isa.name().to_owned(),
        }
    }

    /// The instruction set that a trial's trainings are marked with: some stay on the processor.
    pub(crate) fn place_of(self, spec: &TrialSpec) -> String {
        match spec.model {
            ModelSpec::Mlp { .. } if spec.subspace.is_none() => self.instruction_set(),
            _ => self.isa().name().to_owned(),
        }
    }

    fn isa(self) -> Isa {
        match self {
            Self::On(_) => Isa::detect(),
            Self::With(isa) => isa,
        }
    }
}

/// Makes a pack of trainings whose samples are at hand.
pub(crate) fn open_runs(runs: Vec<Run>, launch: Launch) -> (Box<dyn Pack>, Vec<Event>) {
    let (mut packs, mut failed): (Vec<Box<dyn Pack>>, _) = (Vec::new(), Vec::new());
    let (convolving, dense): (Vec<_>, Vec<_>) =
        runs.into_iter().partition(|run| convolves(&run.member));
    if !convolving.is_empty() {
        let (pack, events) = conv::open_runs(convolving, launch.isa());
        packs.push(pack);
        failed.extend(events);
    }
    // Only the processor knows shifted targets, subspaces and more.
    let stays = |run: &Run| run.shifts.is_some() || run.member.spec.only_on_processor().is_some();
    let (here, there): (Vec<_>, Vec<_>) = match launch {
        Launch::On(device) if device.cuda().is_some() => dense.into_iter().partition(stays),
        Launch::On(_) | Launch::With(_) => (dense, Vec::new()),
    };
    if !here.is_empty() {
        let ready = start_runs(here, launch.isa().name(), &mut failed);
        packs.push(Box::new(Stack::new(launch.isa(), ready)));
    }
    if let (Launch::On(device), false) = (launch, there.is_empty()) {
        let place = Place {
            device: device.to_string(),
            instruction_set: device.instruction_set(),
        };
        let ready = start_runs(there, &place.instruction_set, &mut failed);
        let (pack, events) = open_on_cuda(device, place, ready);
        packs.push(pack);
        failed.extend(events);
    }
    (Box::new(Several(packs)), failed)
}

/// Trainings at their first step, or where their checkpoints left them.
fn start_runs(runs: Vec<Run>, instruction_set: &str, failed: &mut Vec<Event>) -> Vec<Loose> {
    let mut ready = Vec::with_capacity(runs.len());
    for run in runs {
        match start(&run.member, run.data, run.labels, instruction_set) {
            Ok(mut loose) => {
                loose.shifts = run.shifts;
                Arc::make_mut(&mut loose.plan).keeps_coordinates = run.keeps_coordinates;
                ready.push(loose);
            }
            Err(error) => failed.push(Event::Failed {
                key: run.member.key,
                error,
            }),
        }
    }
    ready
}
