//! A group on a device: members at the same place of the same order of samples, stepping as one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use pulp::bytemuck;

use super::buffers::{Buffers, Shelf};
use super::coefficients::coefficients;
use super::layout::Layout;
use super::machine::{Buffer, Fault, Machine, Resident};
use super::measure;
use crate::data::Prepared;
use crate::ending::{Ending, Place, Standing};
use crate::mlp::{Loose, Mask, Plan, State};
use crate::notes::Notes;
use crate::pack::Event;

/// Steps after which it is asked at the latest whether a member has diverged.
const PATIENCE: u64 = 256;

/// A member on the device.
pub(crate) struct Seat {
    pub(crate) key: u64,
    pub(crate) plan: Arc<Plan>,
    pub(crate) labels: Arc<[u8]>,
    mask: Option<Arc<Mask>>,
}

/// Members that step as one.
pub(crate) struct Group<M: Machine> {
    place: Place,
    pub(super) data: Arc<Prepared>,
    step: u64,
    /// Steps completed when the group was put together.
    began: u64,
    /// Steps completed when divergence was last asked for.
    checked: u64,
    pub(super) seats: Vec<Seat>,
    pub(super) layout: Layout,
    pub(super) buffers: Buffers,
    pub(super) samples: Resident,
    /// Everything to be freed.
    owned: Vec<Buffer>,
    /// The step over so many samples: absent until it was done once, so that everything it loads is there when it is recorded.
    pub(super) recordings: BTreeMap<usize, Option<M::Recording>>,
    /// What [`Self::state`] copied last, and after how many steps.
    snapshot: RefCell<Option<(u64, Vec<Vec<f32>>)>>,
}

/// Whether members can step as one on a device: as on the processor, and equally deep.
pub(crate) fn are_alike(one: &Loose, other: &Loose) -> bool {
    one.is_like(other) && one.plan.depth() == other.plan.depth()
}

impl<M: Machine> Group<M> {
    /// Puts members that are all [alike](are_alike) on the device.
    ///
    /// # Errors
    /// When they do not fit, or the device fails; nothing of them is left on it.
    pub(crate) fn new(machine: &mut M, members: &[Loose], place: &Place) -> Result<Self, Fault> {
        let data = &members.first().expect("a group has members").data;
        let mut shelf = Shelf {
            machine,
            owned: Vec::new(),
        };
        match shelf.machine.samples(data) {
            Ok(samples) => match Self::fill(&mut shelf, members, place, samples) {
                Ok(group) => Ok(group),
                Err(fault) => {
                    for buffer in shelf.owned {
                        machine.free(buffer);
                    }
                    machine.release(samples);
                    Err(fault)
                }
            },
            Err(fault) => Err(fault),
        }
    }

    fn fill(
        shelf: &mut Shelf<'_, M>,
        members: &[Loose],
        place: &Place,
        samples: Resident,
    ) -> Result<Self, Fault> {
        let plans: Vec<&Plan> = members.iter().map(|member| &*member.plan).collect();
        let layout = Layout::new(&plans)?;
        let buffers = Buffers::fill(shelf, &layout, members)?;
        let seat = |member: &Loose| Seat {
            key: member.key,
            plan: Arc::clone(&member.plan),
            labels: Arc::clone(&member.labels),
            mask: member.mask.clone(),
        };
        let step = members[0].state.step;
        let mut group = Self {
            place: place.clone(),
            data: Arc::clone(&members[0].data),
            step,
            began: step,
            checked: step,
            seats: members.iter().map(seat).collect(),
            layout,
            buffers,
            samples,
            owned: Vec::new(),
            recordings: BTreeMap::new(),
            snapshot: RefCell::new(None),
        };
        group.begin_epoch(shelf.machine)?;
        group.owned = std::mem::take(&mut shelf.owned);
        Ok(group)
    }

    /// Takes everything off the device.
    pub(crate) fn clear(self, machine: &mut M) {
        for buffer in self.owned {
            machine.free(buffer);
        }
        machine.release(self.samples);
    }

    pub(crate) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Steps completed.
    pub(crate) const fn step(&self) -> u64 {
        self.step
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.seats[0].plan
    }

    /// A copy of all that going on exactly takes.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn state(&self, machine: &mut M, member: usize) -> Result<State, Fault> {
        let mut snapshot = self.snapshot.borrow_mut();
        if snapshot.as_ref().is_none_or(|(step, _)| *step != self.step) {
            let mut parts = Vec::new();
            for &buffer in std::iter::once(&self.buffers.weights).chain(&self.buffers.moments) {
                let mut numbers = vec![0.0_f32; self.layout.numbers];
                machine.read(buffer, bytemuck::cast_slice_mut(&mut numbers))?;
                parts.push(numbers);
            }
            *snapshot = Some((self.step, parts));
        }
        let (_, parts) = snapshot.as_ref().expect("it was taken just now");
        let mut parts = parts.iter().map(|numbers| self.layout.get(member, numbers));
        Ok(State {
            step: self.step,
            layers: parts.next().expect("weights come first"),
            moments: parts.collect(),
            coordinates: None,
            snapshots: Vec::new(),
            best: None,
        })
    }

    /// The members that `leaves` does not name, off the device.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn loose(
        &self,
        machine: &mut M,
        leaves: impl Fn(&Seat) -> bool,
    ) -> Result<Vec<Loose>, Fault> {
        let mut loose = Vec::new();
        for (member, seat) in self.seats.iter().enumerate() {
            if !leaves(seat) {
                loose.push(Loose {
                    key: seat.key,
                    plan: Arc::clone(&seat.plan),
                    data: Arc::clone(&self.data),
                    labels: Arc::clone(&seat.labels),
                    shifts: None,
                    mask: seat.mask.clone(),
                    subspace: None,
                    notes: Notes::default(),
                    state: self.state(machine, member)?,
                });
            }
        }
        Ok(loose)
    }

    /// Trains by up to `steps` steps, but stops where members end: their keys.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn advance(
        &mut self,
        machine: &mut M,
        steps: &mut u32,
        events: &mut Vec<Event>,
    ) -> Result<Vec<u64>, Fault> {
        // A member may come in at an end: nothing to train any more, or resumed just there.
        let step = self.step;
        let mut ended = Vec::new();
        if self.seats.iter().any(|seat| seat.plan.steps() <= step) {
            self.measure(
                machine,
                |seat| seat.plan.steps() <= step,
                events,
                &mut ended,
            )?;
        }
        let per_epoch = self.plan().steps_per_epoch();
        while ended.is_empty() && *steps > 0 {
            *steps -= 1;
            let place = usize::try_from(self.step % per_epoch).expect("fewer steps than samples");
            let plan = self.plan();
            let rows = plan.batch.min(plan.samples - place * plan.batch);
            self.train_batch(machine, rows)?;
            self.step += 1;
            if self.step.is_multiple_of(per_epoch) {
                let epoch = self.plan().epoch(self.step);
                let due = |seat: &Seat| seat.plan.measured.binary_search(&epoch).is_ok();
                let measured = self.seats.iter().any(due);
                if measured || self.step - self.checked >= PATIENCE {
                    self.end_diverged(machine, events, &mut ended)?;
                }
                if measured {
                    let gone = ended.clone();
                    let due = |seat: &Seat| due(seat) && !gone.contains(&seat.key);
                    self.measure(machine, due, events, &mut ended)?;
                }
                if ended.is_empty() {
                    self.begin_epoch(machine)?;
                }
            }
        }
        // The slice's work is waited for here, so that its owner sees the time that it takes.
        if ended.is_empty() && self.checked != self.step {
            self.end_diverged(machine, events, &mut ended)?;
        }
        Ok(ended)
    }

    /// Puts the order of the current epoch on the device, the coefficients of its steps, and the clock.
    fn begin_epoch(&mut self, machine: &mut M) -> Result<(), Fault> {
        let plan = self.plan();
        let mut order = Vec::new();
        plan.order(plan.epoch(self.step), &mut order);
        machine.write(self.buffers.order, bytemuck::cast_slice(&order))?;
        let place = self.step % plan.steps_per_epoch();
        let serial = self.step - self.began + 1;
        // Only ever compared with itself: the count may begin again after 2³² steps.
        let clock = [place as u32, (serial as u32).max(1)];
        machine.write(self.buffers.clock, bytemuck::cast_slice(&clock))?;
        if self.moving() {
            let first = self.step - place;
            let table: Vec<f32> = (first..first + plan.steps_per_epoch())
                .flat_map(|step| self.coefficients(step))
                .collect();
            machine.write(self.buffers.coefficients, bytemuck::cast_slice(&table))?;
        } else if self.step == self.began {
            let table: Vec<f32> = self.coefficients(self.step).collect();
            machine.write(self.buffers.coefficients, bytemuck::cast_slice(&table))?;
        }
        Ok(())
    }

    /// Whether coefficients change from step to step.
    pub(super) fn moving(&self) -> bool {
        self.seats
            .iter()
            .any(|seat| seat.plan.has_moving_coefficients())
    }

    /// Every member's coefficients for the step that follows `step` steps.
    fn coefficients(&self, step: u64) -> impl Iterator<Item = f32> {
        let seats = self.seats.iter();
        seats.flat_map(move |seat| coefficients(&seat.plan, step))
    }

    /// Ends members that have diverged since they were last asked for.
    fn end_diverged(
        &mut self,
        machine: &mut M,
        events: &mut Vec<Event>,
        ended: &mut Vec<u64>,
    ) -> Result<(), Fault> {
        let mut serials = vec![0_u32; self.seats.len()];
        machine.read(
            self.buffers.diverged,
            bytemuck::cast_slice_mut(&mut serials),
        )?;
        self.checked = self.step;
        for (seat, serial) in self.seats.iter().zip(serials) {
            if serial > 0 {
                let epoch = seat.plan.epoch(self.began + u64::from(serial));
                ended.push(seat.key);
                let ending = Ending::diverged(epoch);
                events.push(ending.event(seat.key, &seat.plan, &self.place, None));
            }
        }
        Ok(())
    }

    fn measure(
        &mut self,
        machine: &mut M,
        due: impl Fn(&Seat) -> bool,
        events: &mut Vec<Event>,
        ended: &mut Vec<u64>,
    ) -> Result<(), Fault> {
        let epoch = self.plan().epoch(self.step);
        let measured = measure::measure(self, machine, epoch, due)?;
        for (member, measurement) in measured {
            let seat = &self.seats[member];
            let standing = Standing::of(&seat.plan, measurement, false);
            events.push(standing.event(seat.key));
            if let Some(ending) = standing.ending() {
                ended.push(seat.key);
                let state = if ending.is_diverged() {
                    None
                } else {
                    Some(self.state(machine, member)?)
                };
                let layers = state.as_ref().map(|state| state.layers.as_slice());
                events.push(ending.event(seat.key, &seat.plan, &self.place, layers));
            }
        }
        Ok(())
    }
}
