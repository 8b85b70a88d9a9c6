//! What a group holds on the device, filled from its members.

use std::sync::Arc;

use descent_spec::trial::Loss;
use pulp::bytemuck;

use super::coefficients::COEFFICIENTS;
use super::layout::Layout;
use super::machine::{Buffer, Fault, Machine, THREADS};
use crate::mlp::{Dense, Loose, State};

/// Numbers that the sums of all levels take together, measuring included: 64 MiB. In tests so few that measuring goes in several stretches.
const SUMS: usize = if cfg!(test) { 1 << 10 } else { 1 << 24 };

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
    /// Samples that the sums have room for.
    pub(super) rows: usize,
    /// Whether any member has a mask.
    pub(super) masked: bool,
}

impl Buffers {
    /// Takes the memory of these members and fills it.
    pub(super) fn fill<M: Machine>(
        shelf: &mut Shelf<'_, M>,
        layout: &Layout,
        members: &[Loose],
    ) -> Result<Self, Fault> {
        let (plan, data) = (&*members[0].plan, &members[0].data);
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
            trained(layout, members)
        } else {
            vec![1]
        };
        let (labels, facts) = labels(members);
        let per_epoch = usize::try_from(plan.steps_per_epoch()).expect("fewer steps than samples");
        let moving = members
            .iter()
            .any(|member| member.plan.has_moving_coefficients());
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
        Ok(Self {
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
            rows,
            masked,
        })
    }
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
pub(super) struct Shelf<'a, M> {
    pub(super) machine: &'a mut M,
    pub(super) owned: Vec<Buffer>,
}

impl<M: Machine> Shelf<'_, M> {
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
