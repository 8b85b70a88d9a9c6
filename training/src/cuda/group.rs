//! A group on a device: members at the same place of the same order of samples, stepping as one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use descent_spec::trial::{Loss, Optimizer};
use pulp::bytemuck;

use super::layout::Layout;
use super::machine::{Buffer, Fault, Machine, Resident, THREADS};
use super::measure;
use crate::data::Prepared;
use crate::ending::{Ending, Place, Standing};
use crate::mlp::{Dense, Loose, Mask, Plan, State};
use crate::pack::Event;

/// Steps after which it is asked at the latest whether a member has diverged.
const PATIENCE: u64 = 256;
/// Numbers that the sums of all levels take together, measuring included: 64 MiB.
const SUMS: usize = 1 << 24;

/// A member on the device.
pub(crate) struct Seat {
    pub(crate) key: u64,
    pub(crate) plan: Arc<Plan>,
    pub(crate) labels: Arc<[u8]>,
    mask: Option<Arc<Mask>>,
}

/// What a group holds on the device.
pub(super) struct Buffers {
    pub(super) weights: Buffer,
    pub(super) moments: Vec<Buffer>,
    pub(super) gradients: Buffer,
    /// Rows of the batch.
    pub(super) inputs: Buffer,
    /// Sums of every level, replaced by their gradients on the way back.
    pub(super) sums: Vec<Buffer>,
    pub(super) labels: Buffer,
    pub(super) facts: Buffer,
    pub(super) order: Buffer,
    pub(super) clock: Buffer,
    pub(super) coefficients: Buffer,
    pub(super) diverged: Buffer,
    pub(super) parts: Buffer,
    pub(super) chunks: Buffer,
    /// A byte per weight: 0 where a mask holds it. One byte without masks.
    pub(super) trained: Buffer,
    /// Per level after the first: layers, and squares across, inwards and over.
    pub(super) levels: Vec<[Buffer; 4]>,
    pub(super) losses: Buffer,
    pub(super) errors: Buffer,
    pub(super) live: Vec<Buffer>,
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
    /// Samples that the sums have room for.
    pub(super) rows: usize,
    /// Everything to be freed.
    owned: Vec<Buffer>,
    /// The step over so many samples: absent until it was done once, so that everything it loads is there when it is recorded.
    pub(super) recordings: BTreeMap<usize, Option<M::Recording>>,
    pub(super) masked: bool,
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
        match shelf.samples(data) {
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
        let (plan, data) = (plans[0], &members[0].data);
        let layout = Layout::new(&plans)?;
        let most = [&data.train_y, &data.validation_y, &data.test_y]
            .map(Vec::len)
            .into_iter()
            .max()
            .unwrap_or(0);
        let wide: usize = layout.pitches.iter().sum();
        let rows = (SUMS / wide).clamp(THREADS, 4096).min(most).max(plan.batch);
        let tiles = most.div_ceil(rows) * rows.div_ceil(THREADS);
        let stack = |layers: &dyn Fn(&State) -> &[Dense]| {
            let mut numbers = vec![0.0_f32; layout.numbers];
            for (index, member) in members.iter().enumerate() {
                layout.put(index, layers(&member.state), &mut numbers);
            }
            numbers
        };
        let weights = shelf.filled(&stack(&|state| &state.layers))?;
        let mut moments = Vec::new();
        for moment in 0..plan.moments() {
            moments.push(shelf.filled(&stack(&|state| &state.moments[moment]))?);
        }
        let masked = members.iter().any(|member| member.mask.is_some());
        let trained = if masked {
            trained(&layout, members)
        } else {
            vec![1]
        };
        let (labels, facts) = labels(members);
        let per_epoch = usize::try_from(plan.steps_per_epoch()).expect("fewer steps than samples");
        let moving = plans.iter().any(|plan| plan.has_moving_coefficients());
        let table = if moving { per_epoch } else { 1 } * members.len() * COEFFICIENTS;
        let mut levels = Vec::new();
        for level in &layout.levels {
            levels.push([
                shelf.filled(&level.layers)?,
                shelf.filled(&level.across)?,
                shelf.filled(&level.inwards)?,
                shelf.filled(&level.over)?,
            ]);
        }
        let (mut sums, mut live) = (Vec::new(), Vec::new());
        for (level, pitch) in layout.pitches.iter().enumerate() {
            sums.push(shelf.room(rows * pitch)?);
            if level < plan.depth() {
                live.push(shelf.room(*pitch)?);
            }
        }
        let buffers = Buffers {
            weights,
            moments,
            gradients: shelf.room(layout.gradients(plan.batch))?,
            inputs: shelf.room(plan.batch * layout.row)?,
            sums,
            labels: shelf.filled(&labels)?,
            facts: shelf.filled(&facts)?,
            order: shelf.room(plan.samples)?,
            clock: shelf.room(2)?,
            coefficients: shelf.room(table)?,
            diverged: shelf.filled(&vec![0_u32; members.len()])?,
            parts: shelf.filled(&layout.parts)?,
            chunks: shelf.filled(&layout.chunks)?,
            trained: shelf.filled(&trained)?,
            levels,
            losses: shelf.room(2 * tiles * members.len())?,
            errors: shelf.room(tiles * members.len())?,
            live,
        };
        let seat = |member: &Loose| Seat {
            key: member.key,
            plan: Arc::clone(&member.plan),
            labels: Arc::clone(&member.labels),
            mask: member.mask.clone(),
        };
        let step = members[0].state.step;
        let mut group = Self {
            place: place.clone(),
            data: Arc::clone(data),
            step,
            began: step,
            checked: step,
            seats: members.iter().map(seat).collect(),
            layout,
            buffers,
            samples,
            rows,
            owned: Vec::new(),
            recordings: BTreeMap::new(),
            masked,
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
                    mask: seat.mask.clone(),
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
            let standing = Standing::of(&seat.plan, measurement);
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

/// Numbers in `struct Coefficients`.
pub(super) const COEFFICIENTS: usize = 8;

/// `struct Coefficients` of a member for the step that follows `step` steps: the processor's numbers.
fn coefficients(plan: &Plan, step: u64) -> [f32; COEFFICIENTS] {
    let factor = plan.factor(step);
    let all = match plan.optimizer {
        Optimizer::Sgd { lr, momentum } => {
            [lr * factor, plan.decay, momentum, 0.0, 0.0, 0.0, 0.0, 0.0]
        }
        Optimizer::Adam {
            lr,
            beta1,
            beta2,
            epsilon,
        } => {
            let steps = (step + 1) as f64;
            [
                lr * factor / (1.0 - libm::pow(beta1, steps)),
                plan.decay,
                beta1,
                1.0 - beta1,
                beta2,
                1.0 - beta2,
                1.0 / libm::sqrt(1.0 - libm::pow(beta2, steps)),
                // Not 0: a weight that never had a gradient stays where it is.
                epsilon.max(f64::from(f32::MIN_POSITIVE)),
            ]
        }
    };
    all.map(|number| number as f32)
}

/// A byte for every weight: 0 where a mask holds it at 0.
fn trained(layout: &Layout, members: &[Loose]) -> Vec<u8> {
    let mut kept = vec![1.0_f32; layout.numbers];
    for (index, member) in members.iter().enumerate() {
        if let Some(mask) = &member.mask {
            layout.put(index, mask.layers(), &mut kept);
        }
    }
    kept.into_iter().map(|kept| u8::from(kept != 0.0)).collect()
}

/// Every distinct set of training labels once, and each member's `struct Fact`.
fn labels(members: &[Loose]) -> (Vec<u8>, Vec<u32>) {
    let mut distinct: Vec<&Arc<[u8]>> = Vec::new();
    let mut facts = Vec::with_capacity(2 * members.len());
    for member in members {
        let known = distinct.iter().position(|labels| **labels == member.labels);
        let row = known.unwrap_or_else(|| {
            distinct.push(&member.labels);
            distinct.len() - 1
        });
        let loss = match member.plan.loss {
            Loss::Squared => 0,
            Loss::CrossEntropy => 1,
        };
        facts.extend([loss, u32::try_from(row).expect("fewer than 2³² members")]);
    }
    let rows = distinct.into_iter().map(|labels| labels.to_vec());
    (rows.collect::<Vec<_>>().concat(), facts)
}

/// Takes memory and remembers it.
struct Shelf<'a, M> {
    machine: &'a mut M,
    owned: Vec<Buffer>,
}

impl<M: Machine> Shelf<'_, M> {
    fn samples(&mut self, data: &Arc<Prepared>) -> Result<Resident, Fault> {
        self.machine.samples(data)
    }

    /// Room for 4-byte numbers.
    fn room(&mut self, numbers: usize) -> Result<Buffer, Fault> {
        let buffer = self.machine.allocate((4 * numbers).max(1))?;
        self.owned.push(buffer);
        Ok(buffer)
    }

    /// These numbers.
    fn filled<T: bytemuck::NoUninit>(&mut self, numbers: &[T]) -> Result<Buffer, Fault> {
        let bytes: &[u8] = bytemuck::cast_slice(numbers);
        let buffer = self.machine.allocate(bytes.len().max(1))?;
        self.owned.push(buffer);
        self.machine.write(buffer, bytes)?;
        Ok(buffer)
    }
}
