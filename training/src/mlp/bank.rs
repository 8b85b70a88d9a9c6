//! A bank: members whose first layers lie side by side, few enough for the cache.

use std::sync::Arc;

use super::flat;
use super::group::Loose;
use super::layer::Layer;
use super::seat::{Seat, moments};
use super::state::State;
use super::workspace::Workspace;
use crate::data::Prepared;
use crate::kernel::Isa;

/// Columns of a bank with more than one member: two panels of AVX-512, four of AVX2. At 784 inputs, weights and velocity take
/// 600 kB, so that they stay in a cache of one megabyte from step to step.
pub(crate) const BANK_COLUMNS: usize = 96;

/// Members side by side.
pub(crate) struct Bank {
    /// The first layer of all members.
    pub(crate) stacked: Layer,
    pub(crate) seats: Vec<Seat>,
}

impl Bank {
    /// Cuts members that step as one, after `step` steps, into banks: the widest first, each into the first bank that has room.
    pub(crate) fn cut(isa: Isa, mut members: Vec<Loose>, stride: usize, step: u64) -> Vec<Self> {
        let mut crowds: Vec<(usize, Vec<Loose>)> = Vec::new();
        members.sort_by_key(|member| std::cmp::Reverse(member.columns()));
        for member in members {
            let own = member.columns();
            let fits = |crowd: &&mut (usize, Vec<Loose>)| crowd.0 + own <= BANK_COLUMNS;
            match crowds.iter_mut().find(fits) {
                Some((columns, crowd)) => {
                    *columns += own;
                    crowd.push(member);
                }
                None => crowds.push((own, vec![member])),
            }
        }
        let banks = crowds
            .into_iter()
            .map(|(columns, crowd)| Self::new(isa, columns, crowd, stride, step));
        banks.collect()
    }

    fn new(isa: Isa, columns: usize, members: Vec<Loose>, stride: usize, step: u64) -> Self {
        let leader = &members.first().expect("a bank has members").plan;
        let mut stacked = Layer::new(leader.inputs + 1, columns, leader.moments(), isa);
        let mut seats = Vec::with_capacity(members.len());
        let mut column = 0;
        for member in members {
            let after = column + member.columns();
            stacked.put(column, &member.state.layers[0], &moments(&member.state, 0));
            if let Some(mask) = &member.mask {
                stacked.put_mask(column, &mask.layers()[0]);
            }
            seats.push(Seat::new(member, column, stride, isa));
            column = after;
        }
        for seat in &mut seats {
            stacked.set_coefficients(seat.own_columns(), &seat.plan, step);
            seat.set_coefficients(step);
        }
        Self { stacked, seats }
    }

    /// Columns that members take.
    pub(crate) fn columns(&self) -> usize {
        self.seats.iter().map(Seat::columns).sum()
    }

    /// One step, the one that follows `step` steps, on the batch that `work` holds the inputs of at `index`.
    pub(crate) fn step(
        &mut self,
        isa: Isa,
        work: &mut Workspace,
        index: usize,
        batch: &[u32],
        step: u64,
    ) {
        self.forward(isa, work, index, batch.len());
        for seat in &mut self.seats {
            seat.step(isa, self.stacked.panels, work, batch, step);
            if seat.diverged && seat.diverged_at.is_none() {
                seat.diverged_at = Some(step + 1);
            }
        }
        let (tiles, rows) = (&work.batches[index], batch.len());
        self.stacked
            .descend(isa, tiles, work.stride, rows, &work.first);
        for seat in &mut self.seats {
            if let Some(subspace) = &mut seat.subspace {
                let first = (&mut self.stacked, seat.column);
                flat::step(subspace, &seat.plan, first, &mut seat.later, isa, step);
            } else if seat.plan.has_moving_coefficients() {
                let pace = seat.plan.pace(step + 1);
                self.stacked.set_pace(seat.own_columns(), pace);
                seat.set_pace(pace);
            }
        }
    }

    /// From the inputs at `index` to the first hidden layers of all members.
    pub(crate) fn forward(&self, isa: Isa, work: &mut Workspace, index: usize, rows: usize) {
        let (tiles, out) = (&work.batches[index], &mut work.first);
        self.stacked
            .forward(isa, tiles, work.stride, rows, true, out);
    }

    pub(crate) fn is_finite(&self, seat: &Seat) -> bool {
        self.stacked.is_finite(seat.column, seat.plan.first()) && seat.is_finite()
    }

    /// A copy of all that going on exactly takes.
    pub(crate) fn state(&self, seat: &Seat, step: u64) -> State {
        let part = |part: usize| {
            let first = self.stacked.get(part, seat.column, seat.plan.first());
            std::iter::once(first).chain(seat.get(part)).collect()
        };
        State {
            step,
            layers: part(0),
            moments: (1..=seat.plan.moments()).map(part).collect(),
            coordinates: seat
                .subspace
                .as_ref()
                .map(|subspace| subspace.coordinates().clone()),
            snapshots: seat.snapshots.clone(),
            best: seat.best.clone(),
        }
    }

    /// Takes the bank apart, but for the members that `leaves` names.
    pub(crate) fn dissolve(
        mut self,
        data: &Arc<Prepared>,
        step: u64,
        leaves: impl Fn(&Seat) -> bool,
    ) -> Vec<Loose> {
        let stays = self.seats.iter().filter(|seat| !leaves(seat));
        let loose = stays.map(|seat| Loose {
            key: seat.key,
            plan: Arc::clone(&seat.plan),
            data: Arc::clone(data),
            labels: Arc::clone(&seat.labels),
            shifts: seat.shifts.clone(),
            mask: seat.mask.clone(),
            subspace: None,
            notes: seat.notes.clone(),
            state: self.state(seat, step),
        });
        let mut loose: Vec<Loose> = loose.collect();
        // Subspaces move, for drawing them again would take long.
        for seat in &mut self.seats {
            if let Some(member) = loose.iter_mut().find(|member| member.key == seat.key) {
                member.subspace = seat.subspace.take();
            }
        }
        loose
    }
}
