//! A group: members at the same place of the same order of samples, stepping as one on batches gathered once.

use std::sync::Arc;

use descent_spec::details::Details;
use descent_spec::outcome::Measurement;
use descent_spec::trial::Optimizer;

use super::bank::{BANK_COLUMNS, Bank};
use super::changed::Tester;
use super::dense::Dense;
use super::evaluate;
use super::mask::Mask;
use super::plan::Plan;
use super::pruned;
use super::seat::Seat;
use super::state::State;
use super::workspace::{Workspace, gather, stride};
use crate::best;
use crate::data::Prepared;
use crate::ending::{Ending, Place, Standing, Tally};
use crate::kernel::{Isa, TILE};
use crate::notes::{Look, Notes};
use crate::pack::Event;
use crate::robustness::{self, Snapshot};
use crate::subspace::Subspace;
use crate::weights;

/// A member outside of any group.
pub(crate) struct Loose {
    pub(crate) key: u64,
    pub(crate) plan: Arc<Plan>,
    pub(crate) data: Arc<Prepared>,
    pub(crate) labels: Arc<[u8]>,
    /// What is added to its one-hot targets; `None`: nothing.
    pub(crate) shifts: Option<Arc<[f32]>>,
    /// Which weights are kept; `None`: all.
    pub(crate) mask: Option<Arc<Mask>>,
    /// The subspace that it is trained in, at its state's coordinates.
    pub(crate) subspace: Option<Box<Subspace>>,
    /// What it keeps beside its weights.
    pub(crate) notes: Notes,
    pub(crate) state: State,
}

impl Loose {
    /// Whether two members can step as one: same images in the same order, same place, same kind of optimizer.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let adam = |plan: &Plan| matches!(plan.optimizer, Optimizer::Adam { .. });
        Arc::ptr_eq(&self.data, &other.data)
            && self.plan.batch == other.plan.batch
            && self.plan.order_seed == other.plan.order_seed
            && self.plan.augment == other.plan.augment
            && self.state.step == other.state.step
            && adam(&self.plan) == adam(&other.plan)
            && self.plan.subspace.is_some() == other.plan.subspace.is_some()
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
    /// A batch of augmented images.
    images: Vec<f32>,
}

impl Group {
    /// Stacks members that are all [alike](Loose::is_like).
    pub(crate) fn new(isa: Isa, members: Vec<Loose>, place: Place) -> Self {
        let first = members.first().expect("a group has members");
        let (data, leader) = (Arc::clone(&first.data), Arc::clone(&first.plan));
        let step = first.state.step;
        let banks = Bank::cut(isa, members, stride(&leader), step);
        let mut group = Self {
            isa,
            place,
            data,
            step,
            order: Vec::new(),
            images: Vec::new(),
            work: Workspace::new(&leader, &banks, isa),
            leader,
            banks,
        };
        group.shuffle();
        group
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
        banks.extend(Bank::cut(self.isa, loose, self.work.stride, self.step));
        self.banks = banks;
        self.work = Workspace::new(&self.leader, &self.banks, self.isa);
        !self.banks.is_empty()
    }

    /// Trains by up to `steps` steps, but stops where members end: their keys.
    pub(crate) fn advance(&mut self, steps: &mut u32, events: &mut Vec<Event>) -> Vec<u64> {
        // A member may come in at an end: nothing to train any more, or resumed just there.
        let mut ended = self.end_of_training(events);
        while ended.is_empty() && *steps > 0 {
            let taken = self.train(*steps);
            *steps -= taken;
            self.pause();
            if self.step.is_multiple_of(self.leader.steps_per_epoch()) {
                self.end_of_epoch(events, &mut ended);
                self.shuffle();
            }
            for seat in self.banks.iter().flat_map(|bank| &bank.seats) {
                if let Some(step) = seat.diverged_at {
                    ended.push(seat.key);
                    let ending = Ending::diverged(seat.plan.epoch(step));
                    events.push(ending.event(seat.key, &seat.plan, &self.place, None));
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

    /// Trains by up to `most` steps of one epoch; how many. Batches are gathered first; then each bank in turn takes all its
    /// steps, while its weights are in the cache.
    fn train(&mut self, most: u32) -> u32 {
        let plan = Arc::clone(&self.leader);
        let place =
            usize::try_from(self.step % plan.steps_per_epoch()).expect("fewer steps than samples");
        let batches = self.order[place * plan.batch..].chunks(plan.batch);
        let pauses = self
            .seats()
            .filter_map(|seat| seat.plan.next_pause(self.step));
        let until = pauses.min().map_or(u64::MAX, |pause| pause - self.step);
        let most = usize::try_from(until.min(most.into())).unwrap_or(usize::MAX);
        let batches = batches.take(most.min(self.work.batches.len()));
        let mut taken = 0;
        for (tiles, batch) in self.work.batches.iter_mut().zip(batches.clone()) {
            if let Some(augment) = &plan.augment {
                let step = self.step + u64::from(taken);
                augment.write(&self.data, step, batch, &mut self.images);
                gather(self.isa, &self.images, plan.inputs, 0..batch.len(), tiles);
            } else {
                let rows = batch.iter().map(|&sample| sample as usize);
                gather(self.isa, &self.data.train_x, plan.inputs, rows, tiles);
            }
            taken += 1;
        }
        for bank in &mut self.banks {
            let steps = self.step..;
            for ((index, batch), step) in batches.clone().enumerate().zip(steps) {
                bank.step(self.isa, &mut self.work, index, batch, step);
            }
        }
        self.step += u64::from(taken);
        taken
    }

    /// What is to be done between two steps: states kept, validation samples looked at. Test samples are looked at where the
    /// validation loss is less than ever before, for no other look can be the best.
    fn pause(&mut self) {
        let step = self.step;
        let mut due = Vec::new();
        for (bank, seats) in self.banks.iter_mut().enumerate() {
            for index in 0..seats.seats.len() {
                let seat = &seats.seats[index];
                if seat.plan.keeps_at == Some(step) {
                    let kept = pruned::kept_state(&seat.plan, &seats.state(seat, step));
                    seats.seats[index].notes.carried = kept;
                }
                let seat = &seats.seats[index];
                if seat.plan.looks_at(step) && seat.diverged_at.is_none() {
                    due.push((bank, index));
                }
            }
        }
        if due.is_empty() {
            return;
        }
        let data = Arc::clone(&self.data);
        let validation = self.tallies(&data.validation_x, &data.validation_y, &due);
        let seen = due.into_iter().zip(validation);
        let (better, validation): (Vec<_>, Vec<_>) = seen
            .filter(|&((bank, index), (loss, _))| {
                self.banks[bank].seats[index].notes.improves(loss)
            })
            .unzip();
        let test = self.tallies(&data.test_x, &data.test_y, &better);
        for ((&(bank, index), validation), test) in better.iter().zip(validation).zip(test) {
            self.banks[bank].seats[index].notes.best = Some(Look {
                step,
                validation_loss: validation.0,
                validation_error: validation.1,
                test_loss: test.0,
                test_error: test.1,
            });
        }
    }

    /// Loss and error of some members, by bank and place there.
    fn tallies(&mut self, x: &[f32], y: &[u8], members: &[(usize, usize)]) -> Vec<(f64, f64)> {
        let (banks, work) = (&mut self.banks, &mut self.work);
        let inputs = self.data.inputs;
        let tallies = evaluate::tallies(self.isa, (x, y), inputs, (&mut *banks, work), members);
        let numbers = |(tally, &(bank, index)): (&Tally, &(usize, usize))| {
            let loss = tally.mean_loss(&banks[bank].seats[index].plan);
            (loss.unwrap_or(f64::NAN), tally.error().unwrap_or(f64::NAN))
        };
        tallies.iter().zip(members).map(numbers).collect()
    }

    /// Measures the first member, which may not be trained at all.
    pub(crate) fn measured(&mut self) -> Option<Measurement> {
        let epoch = self.leader.epoch(self.step);
        let (banks, work) = (&mut self.banks, &mut self.work);
        let measured = evaluate::measure(self.isa, &self.data, banks, work, epoch, |_| true);
        measured.into_iter().next().map(|(_, _, measured)| measured)
    }

    /// Measures the members whose turn it is, and ends those that are done.
    fn end_of_epoch(&mut self, events: &mut Vec<Event>, ended: &mut Vec<u64>) {
        let epoch = self.leader.epoch(self.step);
        for bank in &mut self.banks {
            for index in 0..bank.seats.len() {
                let seat = &bank.seats[index];
                if seat.diverged_at.is_none() && !bank.is_finite(seat) {
                    bank.seats[index].diverged_at = Some(self.step);
                }
            }
        }
        for bank in &mut self.banks {
            for index in 0..bank.seats.len() {
                let seat = &bank.seats[index];
                if seat.plan.kept.binary_search(&epoch).is_ok() {
                    let network = Arc::new(bank.state(seat, self.step).layers);
                    let snapshots = &mut bank.seats[index].snapshots;
                    snapshots.push(Snapshot { epoch, network });
                }
            }
        }
        let measured = |seat: &Seat| seat.plan.measured.binary_search(&epoch).is_ok();
        let due = |seat: &Seat| seat.diverged_at.is_none() && measured(seat);
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

    /// The event that takes a member out: as it is, or as it was at its best where training may end early.
    fn end(&self, bank: &Bank, seat: &Seat, ending: Ending) -> Event {
        if ending.is_diverged() {
            return ending.with_weights(seat.key, &seat.plan, &self.place, None);
        }
        let state = bank.state(seat, self.step);
        let (ending, network) = match &seat.best {
            Some(best) => (
                ending.at(best.measurement.clone()),
                Arc::clone(&best.network),
            ),
            None => (ending, Arc::new(state.layers.clone())),
        };
        let mut notes = seat.notes.clone();
        notes.end(&seat.plan, ending.last());
        let weights = match &seat.best {
            Some(best) => weights::to_bytes(&best.network, &notes),
            None => state.weights(&seat.plan, &notes),
        };
        let details = self.changed(seat, &network, ending.epoch());
        let details = details.or_else(|| notes.details(&seat.plan));
        let ending = ending.with_details(details);
        ending.with_weights(seat.key, &seat.plan, &self.place, Some(weights))
    }

    /// What becomes of an ended member with a layer changed.
    fn changed(&self, seat: &Seat, network: &Arc<Vec<Dense>>, epoch: u32) -> Option<Details> {
        let spec = seat.plan.robustness.as_ref()?;
        let end = Snapshot {
            epoch,
            network: Arc::clone(network),
        };
        let mut tester = Tester {
            isa: self.isa,
            plan: &seat.plan,
            data: &self.data,
            mask: seat.mask.as_deref(),
        };
        let rows = robustness::rows(&seat.plan, spec, &seat.snapshots, &end, &mut tester);
        Some(rows)
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
        for (at, index, measurement) in measured {
            let bank = &self.banks[at];
            let seat = &bank.seats[index];
            let mut best = seat.best.clone();
            best::update(&seat.plan, &mut best, &measurement, || {
                bank.state(seat, self.step).layers
            });
            let over = best::is_over(&seat.plan, best.as_ref(), epoch);
            self.banks[at].seats[index].best = best;
            let seat = &self.banks[at].seats[index];
            let standing = Standing::of(&seat.plan, measurement, over);
            events.push(standing.event(seat.key));
            if let Some(ending) = standing.ending() {
                ended.push(seat.key);
                events.push(self.end(&self.banks[at], seat, ending));
            }
        }
    }
}
