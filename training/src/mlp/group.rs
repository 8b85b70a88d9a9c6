//! A group: members at the same place of the same order of samples, stepping as one.

use std::sync::Arc;

use descent_spec::trial::Optimizer;

use super::evaluate;
use super::layer::Layer;
use super::mask::Mask;
use super::plan::Plan;
use super::seat::{Seat, moments};
use super::state::State;
use super::workspace::Workspace;
use crate::data::Prepared;
use crate::ending::{Ending, Place, Standing};
use crate::kernel::{Isa, TILE};
use crate::pack::Event;

/// Units of the stacked layer beyond which another group is opened. At 256 units and 784 inputs, weights and velocity take
/// 1.6 MB: a group runs many steps before the next one has its turn, and its numbers should still be in the cache.
pub(crate) const GROUP_UNITS: usize = 256;

/// A member outside of any group.
pub(crate) struct Loose {
    pub(crate) key: u64,
    pub(crate) plan: Arc<Plan>,
    pub(crate) data: Arc<Prepared>,
    pub(crate) labels: Arc<[u8]>,
    /// Which weights are kept; `None`: all.
    pub(crate) mask: Option<Arc<Mask>>,
    pub(crate) state: State,
}

impl Loose {
    /// Whether two members can step as one: same images in the same order, same place, same kind of optimizer.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let adam = |plan: &Plan| matches!(plan.optimizer, Optimizer::Adam { .. });
        Arc::ptr_eq(&self.data, &other.data)
            && self.plan.batch == other.plan.batch
            && self.plan.order_seed == other.plan.order_seed
            && self.state.step == other.state.step
            && adam(&self.plan) == adam(&other.plan)
    }

    /// Columns in the stacked layer.
    pub(crate) fn columns(&self) -> usize {
        self.plan.first().next_multiple_of(TILE)
    }
}

/// Members that step as one.
pub(crate) struct Group {
    isa: Isa,
    place: Place,
    data: Arc<Prepared>,
    step: u64,
    /// The order of samples of the current epoch.
    order: Vec<u32>,
    /// The first layer of all members, side by side.
    stacked: Layer,
    seats: Vec<Seat>,
    work: Workspace,
}

impl Group {
    /// Stacks members that are all [alike](Loose::is_like).
    pub(crate) fn new(isa: Isa, members: Vec<Loose>, place: Place) -> Self {
        let leader = members.first().expect("a group has members");
        let (data, step) = (Arc::clone(&leader.data), leader.state.step);
        let columns = members.iter().map(Loose::columns).sum();
        let mut stacked = Layer::new(leader.plan.inputs + 1, columns, leader.plan.moments(), isa);
        let plans: Vec<&Plan> = members.iter().map(|member| &*member.plan).collect();
        let work = Workspace::new(&plans, stacked.panels, isa);
        let mut seats = Vec::with_capacity(members.len());
        let mut column = 0;
        for member in members {
            let after = column + member.columns();
            stacked.put(column, &member.state.layers[0], &moments(&member.state, 0));
            if let Some(mask) = &member.mask {
                stacked.put_mask(column, &mask.layers()[0]);
            }
            seats.push(Seat::new(member, column, work.stride, isa));
            column = after;
        }
        let mut group = Self {
            isa,
            place,
            data,
            step,
            order: Vec::new(),
            stacked,
            seats,
            work,
        };
        group.shuffle();
        group.set_coefficients();
        group
    }

    pub(crate) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    /// Steps completed.
    pub(crate) const fn step(&self) -> u64 {
        self.step
    }

    /// A copy of all that going on exactly takes.
    pub(crate) fn state(&self, seat: &Seat) -> State {
        let part = |part: usize| {
            let first = self.stacked.get(part, seat.column, seat.plan.first());
            std::iter::once(first).chain(seat.get(part)).collect()
        };
        State {
            step: self.step,
            layers: part(0),
            moments: (1..=seat.plan.moments()).map(part).collect(),
        }
    }

    /// Takes the group apart, but for the members that `leaves` names.
    pub(crate) fn dissolve(self, leaves: impl Fn(&Seat) -> bool) -> Vec<Loose> {
        let stays = self.seats.iter().filter(|seat| !leaves(seat));
        let loose = stays.map(|seat| Loose {
            key: seat.key,
            plan: Arc::clone(&seat.plan),
            data: Arc::clone(&self.data),
            labels: Arc::clone(&seat.labels),
            mask: seat.mask.clone(),
            state: self.state(seat),
        });
        loose.collect()
    }

    /// Trains by up to `steps` steps, but stops where members end: their keys.
    pub(crate) fn advance(&mut self, steps: &mut u32, events: &mut Vec<Event>) -> Vec<u64> {
        // A member may come in at an end: nothing to train any more, or resumed just there.
        let mut ended = self.end_of_training(events);
        while ended.is_empty() && *steps > 0 {
            *steps -= 1;
            self.train_batch();
            self.step += 1;
            let per_epoch = self.plan().steps_per_epoch();
            if self.step.is_multiple_of(per_epoch) {
                self.end_of_epoch(events, &mut ended);
                self.shuffle();
            }
            let epoch = self.plan().epoch(self.step);
            for seat in &self.seats {
                if seat.diverged && !ended.contains(&seat.key) {
                    ended.push(seat.key);
                    events.push(Ending::diverged(epoch).event(
                        seat.key,
                        &seat.plan,
                        &self.place,
                        None,
                    ));
                }
            }
            if self
                .seats
                .iter()
                .any(|seat| seat.plan.has_moving_coefficients())
            {
                self.set_coefficients();
            }
        }
        ended
    }

    fn plan(&self) -> &Plan {
        &self.seats[0].plan
    }

    /// Draws the order of the current epoch.
    fn shuffle(&mut self) {
        let plan = &self.seats[0].plan;
        plan.order(plan.epoch(self.step), &mut self.order);
    }

    fn set_coefficients(&mut self) {
        for seat in &mut self.seats {
            let columns = seat.column..seat.column + seat.plan.first();
            self.stacked
                .set_coefficients(columns, &seat.plan, self.step);
            seat.set_coefficients(self.step);
        }
    }

    fn train_batch(&mut self) {
        let (isa, stride) = (self.isa, self.work.stride);
        let plan = &self.seats[0].plan;
        let place =
            usize::try_from(self.step % plan.steps_per_epoch()).expect("fewer steps than samples");
        let batch = &self.order[place * plan.batch..];
        let batch = &batch[..plan.batch.min(batch.len())];
        let samples = batch.iter().map(|&sample| sample as usize);
        self.work.gather(&self.data.train_x, plan.inputs, samples);
        self.stacked.forward(
            isa,
            &self.work.inputs,
            stride,
            batch.len(),
            &mut self.work.first,
        );
        for seat in &mut self.seats {
            seat.forward(isa, self.stacked.panels, &mut self.work, batch.len());
            seat.backward(isa, self.stacked.panels, &mut self.work, batch);
        }
        self.stacked.descend(
            isa,
            &self.work.inputs,
            stride,
            batch.len(),
            &self.work.first_deltas,
        );
    }

    /// Measures the members whose turn it is, and ends those that are done.
    fn end_of_epoch(&mut self, events: &mut Vec<Event>, ended: &mut Vec<u64>) {
        let epoch = self.plan().epoch(self.step);
        let due = |seat: &Seat| !seat.diverged && seat.plan.measured.binary_search(&epoch).is_ok();
        for index in 0..self.seats.len() {
            let seat = &self.seats[index];
            if !seat.diverged && !self.is_finite(seat) {
                self.seats[index].diverged = true;
            }
        }
        self.measure(epoch, due, events, ended);
    }

    fn is_finite(&self, seat: &Seat) -> bool {
        self.stacked
            .get(0, seat.column, seat.plan.first())
            .is_finite()
            && seat.get(0).all(|layer| layer.is_finite())
    }

    /// Ends members that have no step left.
    fn end_of_training(&mut self, events: &mut Vec<Event>) -> Vec<u64> {
        let mut ended = Vec::new();
        let step = self.step;
        if self.seats.iter().any(|seat| seat.plan.steps() <= step) {
            let epoch = self.plan().epoch(step);
            self.measure(epoch, |seat| seat.plan.steps() <= step, events, &mut ended);
        }
        ended
    }

    fn measure(
        &mut self,
        epoch: u32,
        due: impl Fn(&Seat) -> bool,
        events: &mut Vec<Event>,
        ended: &mut Vec<u64>,
    ) {
        let measured = evaluate::measure(
            self.isa,
            &self.data,
            &self.stacked,
            &mut self.seats,
            &mut self.work,
            epoch,
            due,
        );
        for (index, measurement) in measured {
            let seat = &self.seats[index];
            let standing = Standing::of(&seat.plan, measurement);
            events.push(standing.event(seat.key));
            if let Some(ending) = standing.ending() {
                ended.push(seat.key);
                let state = (!ending.is_diverged()).then(|| self.state(seat));
                let layers = state.as_ref().map(|state| state.layers.as_slice());
                events.push(ending.event(seat.key, &seat.plan, &self.place, layers));
            }
        }
    }
}
