//! A group: members at the same place of the same order of samples, stepping as one on batches gathered once.

use std::sync::Arc;

use descent_spec::outcome::Measurement;
use descent_spec::trial::Optimizer;

use super::bank::{BANK_COLUMNS, Bank};
use super::evaluate;
use super::mask::Mask;
use super::plan::Plan;
use super::seat::Seat;
use super::state::State;
use super::workspace::{Workspace, stride};
use crate::data::Prepared;
use crate::ending::{Ending, Place, Standing};
use crate::kernel::{Isa, TILE};
use crate::pack::Event;

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
    /// Whose order of samples and batches all members have.
    leader: Arc<Plan>,
    step: u64,
    /// The order of samples of the current epoch.
    order: Vec<u32>,
    banks: Vec<Bank>,
    work: Workspace,
    /// Whether some coefficient changes from step to step.
    moving: bool,
}

impl Group {
    /// Stacks members that are all [alike](Loose::is_like).
    pub(crate) fn new(isa: Isa, members: Vec<Loose>, place: Place) -> Self {
        let first = members.first().expect("a group has members");
        let (data, leader) = (Arc::clone(&first.data), Arc::clone(&first.plan));
        let step = first.state.step;
        let banks = Bank::cut(isa, members, stride(&leader));
        let mut group = Self {
            isa,
            place,
            data,
            step,
            order: Vec::new(),
            work: Workspace::new(&leader, &banks, isa),
            leader,
            banks,
            moving: false,
        };
        group.prepare();
        group.shuffle();
        group
    }

    /// Sets what follows from the members and the step.
    fn prepare(&mut self) {
        self.moving = false;
        for bank in &mut self.banks {
            bank.set_coefficients(self.step);
            let moving = |seat: &Seat| seat.plan.has_moving_coefficients();
            self.moving |= bank.seats.iter().any(moving);
        }
    }

    pub(crate) fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.banks.iter().flat_map(|bank| &bank.seats)
    }

    /// Steps completed.
    pub(crate) const fn step(&self) -> u64 {
        self.step
    }

    /// A copy of all that going on with a member exactly takes.
    pub(crate) fn state(&self, key: u64) -> Option<(&Seat, State)> {
        self.banks.iter().find_map(|bank| {
            let seat = bank.seats.iter().find(|seat| seat.key == key)?;
            Some((seat, bank.state(seat, self.step)))
        })
    }

    /// Goes on without some members; whether any are left. Banks that lose one are cut anew, those half empty with them.
    pub(crate) fn part_with(&mut self, leaving: &[u64]) -> bool {
        let leaves = |seat: &Seat| leaving.contains(&seat.key);
        let mut loose = Vec::new();
        let mut banks = Vec::with_capacity(self.banks.len());
        for bank in std::mem::take(&mut self.banks) {
            if bank.seats.iter().any(leaves) || bank.columns() <= BANK_COLUMNS / 2 {
                loose.extend(bank.dissolve(&self.data, self.step, leaves));
            } else {
                banks.push(bank);
            }
        }
        banks.extend(Bank::cut(self.isa, loose, self.work.stride));
        self.banks = banks;
        self.work = Workspace::new(&self.leader, &self.banks, self.isa);
        self.prepare();
        !self.banks.is_empty()
    }

    /// Trains by up to `steps` steps, but stops where members end: their keys.
    pub(crate) fn advance(&mut self, steps: &mut u32, events: &mut Vec<Event>) -> Vec<u64> {
        // A member may come in at an end: nothing to train any more, or resumed just there.
        let mut ended = self.end_of_training(events);
        while ended.is_empty() && *steps > 0 {
            *steps -= 1;
            self.train_batch();
            self.step += 1;
            if self.step.is_multiple_of(self.leader.steps_per_epoch()) {
                self.end_of_epoch(events, &mut ended);
                self.shuffle();
            }
            let epoch = self.leader.epoch(self.step);
            for seat in self.banks.iter().flat_map(|bank| &bank.seats) {
                if seat.diverged && !ended.contains(&seat.key) {
                    ended.push(seat.key);
                    let ending = Ending::diverged(epoch);
                    events.push(ending.event(seat.key, &seat.plan, &self.place, None));
                }
            }
            if self.moving {
                for bank in &mut self.banks {
                    bank.set_pace(self.step);
                }
            }
        }
        ended
    }

    /// Draws the order of the current epoch.
    fn shuffle(&mut self) {
        let epoch = self.leader.epoch(self.step);
        self.leader.order(epoch, &mut self.order);
    }

    fn train_batch(&mut self) {
        let plan = &self.leader;
        let place =
            usize::try_from(self.step % plan.steps_per_epoch()).expect("fewer steps than samples");
        let batch = &self.order[place * plan.batch..];
        let batch = &batch[..plan.batch.min(batch.len())];
        let samples = batch.iter().map(|&sample| sample as usize);
        self.work
            .gather(self.isa, &self.data.train_x, plan.inputs, samples);
        for bank in &mut self.banks {
            bank.step(self.isa, &mut self.work, batch);
        }
    }

    /// Measures the members whose turn it is, and ends those that are done.
    fn end_of_epoch(&mut self, events: &mut Vec<Event>, ended: &mut Vec<u64>) {
        let epoch = self.leader.epoch(self.step);
        for bank in &mut self.banks {
            for index in 0..bank.seats.len() {
                let seat = &bank.seats[index];
                bank.seats[index].diverged = seat.diverged || !bank.is_finite(seat);
            }
        }
        let due = |seat: &Seat| !seat.diverged && seat.plan.measured.binary_search(&epoch).is_ok();
        self.measure(epoch, due, events, ended);
    }

    /// Ends members that have no step left.
    fn end_of_training(&mut self, events: &mut Vec<Event>) -> Vec<u64> {
        let mut ended = Vec::new();
        let step = self.step;
        if self.seats().any(|seat| seat.plan.steps() <= step) {
            let epoch = self.leader.epoch(step);
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
        let measured: Vec<(usize, usize, Measurement)> = evaluate::measure(
            self.isa,
            &self.data,
            &mut self.banks,
            &mut self.work,
            epoch,
            due,
        );
        for (bank, index, measurement) in measured {
            let bank = &self.banks[bank];
            let seat = &bank.seats[index];
            let standing = Standing::of(&seat.plan, measurement);
            events.push(standing.event(seat.key));
            if let Some(ending) = standing.ending() {
                ended.push(seat.key);
                let state = (!ending.is_diverged()).then(|| bank.state(seat, self.step));
                let layers = state.as_ref().map(|state| state.layers.as_slice());
                events.push(ending.event(seat.key, &seat.plan, &self.place, layers));
            }
        }
    }
}
