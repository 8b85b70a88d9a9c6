//! One member's place in a group: its columns in the stacked first layer, and all its later layers.

use std::ops::Range;
use std::sync::Arc;

use super::dense::Dense;
use super::group::Loose;
use super::layer::Layer;
use super::loss;
use super::mask::Mask;
use super::plan::{Pace, Plan};
use super::state::State;
use super::workspace::{Workspace, multiply};
use crate::best::Best;
use crate::dropout::Dropping;
use crate::kernel::{
    Forward, Gate, Isa, MOST_OUTPUTS, Middle, Outputs, Panels, Retile, Sheet, TILE, tile_block,
    tile_index,
};

use crate::notes::Notes;
use crate::robustness::Snapshot;
use crate::subspace::Subspace;

/// A member in training, apart from the stacked first layer.
pub(crate) struct Seat {
    pub(crate) key: u64,
    pub(crate) plan: Arc<Plan>,
    /// Its training labels: noise is each member's own, images are shared.
    pub(crate) labels: Arc<[u8]>,
    /// What is added to its one-hot targets, for every training sample and output; `None`: nothing.
    pub(crate) shifts: Option<Arc<[f32]>>,
    /// Which weights are kept; `None`: all.
    pub(crate) mask: Option<Arc<Mask>>,
    /// The subspace that it is trained in.
    pub(crate) subspace: Option<Box<Subspace>>,
    /// What it keeps beside its weights.
    pub(crate) notes: Notes,
    /// Its first column in the stacked layer.
    pub(crate) column: usize,
    /// Every layer after the first; the output layer last.
    pub(crate) later: Vec<Layer>,
    /// Outputs of every hidden layer, as tiles; the column after the last unit is 1, for the bias. None where all after the
    /// first layer goes in one pass.
    hidden: Vec<Vec<f32>>,
    /// What it was after the epochs that its plan keeps.
    pub(crate) snapshots: Vec<Snapshot<Vec<Dense>>>,
    /// The best so far, where its plan may end training early.
    pub(crate) best: Option<Best<Vec<Dense>>>,
    /// Whether an output or a loss was not finite.
    pub(crate) diverged: bool,
    /// Steps completed when it was first seen to have diverged.
    pub(crate) diverged_at: Option<u64>,
}

impl Seat {
    pub(crate) fn new(member: Loose, column: usize, stride: usize, isa: Isa) -> Self {
        let Loose {
            key,
            plan,
            labels,
            shifts,
            mask,
            subspace,
            notes,
            state,
            ..
        } = member;
        let place = |(index, &(rows, columns)): (usize, &(usize, usize))| {
            let mut layer = Layer::new(rows, columns, plan.moments(), isa);
            layer.put(0, &state.layers[index], &moments(&state, index));
            if let Some(mask) = &mask {
                layer.put_mask(0, &mask.layers()[index]);
            }
            layer
        };
        let later = plan
            .shapes()
            .iter()
            .enumerate()
            .skip(1)
            .map(place)
            .collect();
        let tiles = |&units: &usize| {
            let mut tiles = vec![0.0; stride / TILE * tile_block(units + 1)];
            for sample in 0..stride {
                tiles[tile_index(units, sample, units + 1)] = 1.0;
            }
            tiles
        };
        let mut seat = Self {
            key,
            plan,
            labels,
            shifts,
            mask,
            subspace,
            notes,
            column,
            later,
            hidden: Vec::new(),
            snapshots: state.snapshots,
            best: state.best,
            diverged: false,
            diverged_at: None,
        };
        if !seat.is_fused() {
            seat.hidden = seat.plan.hidden.iter().map(tiles).collect();
        }
        seat
    }

    /// Weights (part 0) or moments (parts 1 and 2) of every layer after the first.
    pub(crate) fn get(&self, part: usize) -> impl Iterator<Item = Dense> {
        let shapes = self.plan.shapes();
        self.later
            .iter()
            .zip(shapes.into_iter().skip(1))
            .map(move |(layer, (_, columns))| layer.get(part, 0, columns))
    }

    pub(crate) fn set_coefficients(&mut self, step: u64) {
        for layer in &mut self.later {
            layer.set_coefficients(0..layer.panels.columns(), &self.plan, step);
        }
    }

    /// Columns in the stacked layer.
    pub(crate) fn columns(&self) -> usize {
        self.plan.first().next_multiple_of(TILE)
    }

    /// Its columns in the stacked layer, without those that only fill the last tile.
    pub(crate) fn own_columns(&self) -> Range<usize> {
        self.column..self.column + self.plan.first()
    }

    pub(crate) fn set_pace(&mut self, pace: Pace) {
        for layer in &mut self.later {
            layer.set_pace(0..layer.panels.columns(), pace);
        }
    }

    pub(crate) fn is_finite(&self) -> bool {
        let units = self.plan.hidden.iter().skip(1).chain([&self.plan.outputs]);
        let mut layers = self.later.iter().zip(units);
        layers.all(|(layer, &units)| layer.is_finite(0, units))
    }

    /// Its first hidden layer's place among those of its bank.
    fn sheet(&self, stacked: Panels, stride: usize) -> Sheet {
        Sheet {
            panels: stacked,
            stride,
            column: self.column,
            units: self.plan.first(),
        }
    }

    /// Whether all after the first layer goes in one pass.
    fn is_fused(&self) -> bool {
        self.later.len() == 1
            && self.plan.dropout.is_none()
            && self.plan.outputs <= MOST_OUTPUTS
            && self.shifts.is_none()
    }

    /// From the bank's first layers in `work.first` to this member's outputs in `work.sums`.
    /// With `dropping`, some units are left out.
    pub(crate) fn forward(
        &mut self,
        isa: Isa,
        stacked: Panels,
        work: &mut Workspace,
        rows: usize,
        dropping: Option<Dropping>,
    ) {
        let stride = work.stride;
        let sheet = self.sheet(stacked, stride);
        if self.is_fused() {
            let layer = &self.later[0];
            isa.run_narrow(Outputs {
                hidden: &work.first,
                sheet,
                rows,
                weights: layer.weights(),
                width: layer.panels.columns(),
                out: &mut work.sums,
            });
            return;
        }
        isa.run_narrow(Retile {
            from: &work.first,
            sheet,
            rows,
            columns: self.plan.first() + 1,
            tiles: &mut self.hidden[0],
        });
        let drop = |layer: usize, tiles: &mut [f32], factors: &mut Vec<f32>| {
            if let Some(dropping) = dropping {
                let units = self.plan.hidden[layer];
                dropping.factors(layer, rows * units, factors);
                multiply(tiles, units, factors);
            }
        };
        drop(0, &mut self.hidden[0], &mut work.factors);
        for (index, layer) in self.later.iter().enumerate() {
            let (below, above) = self.hidden.split_at_mut(index + 1);
            let rectify = !above.is_empty();
            layer.forward(isa, &below[index], stride, rows, rectify, &mut work.sums);
            if let Some(above) = above.first_mut() {
                let units = self.plan.hidden[index + 1];
                isa.run_narrow(Retile {
                    from: &work.sums,
                    sheet: Sheet {
                        panels: layer.panels,
                        stride,
                        column: 0,
                        units,
                    },
                    rows,
                    columns: units + 1,
                    tiles: &mut *above,
                });
                drop(index + 1, above, &mut work.factors);
            }
        }
    }

    /// From the bank's first layers in `work.first` to a step of every later layer; this member's columns of `work.first` become
    /// the gradients at its first layer's sums.
    pub(crate) fn step(
        &mut self,
        isa: Isa,
        stacked: Panels,
        work: &mut Workspace,
        batch: &[u32],
        step: u64,
    ) {
        let labels = batch.iter().map(|&sample| self.labels[sample as usize]);
        work.labels.clear();
        work.labels.extend(labels);
        if !self.is_fused() {
            let dropping = self.plan.dropout.map(|dropout| dropout.of_step(step));
            self.forward(isa, stacked, work, batch.len(), dropping);
            self.backward(isa, stacked, work, batch);
            return;
        }
        let sheet = self.sheet(stacked, work.stride);
        let layer = &mut self.later[0];
        let width = layer.panels.columns();
        let (weights, kept, rule) = layer.parts();
        isa.run_narrow(Middle {
            hidden: &mut work.first,
            sheet,
            rows: batch.len(),
            weights,
            width,
            kept,
            rule,
            loss: self.plan.loss,
            outputs: self.plan.outputs,
            labels: &work.labels,
            deltas: &mut work.deltas,
            diverged: &mut self.diverged,
        });
    }

    fn backward(&mut self, isa: Isa, stacked: Panels, work: &mut Workspace, batch: &[u32]) {
        let (stride, rows) = (work.stride, batch.len());
        self.output_deltas(work, batch);
        for index in (0..self.later.len()).rev() {
            let above = self.plan.hidden.get(index + 1);
            let depth = above.copied().unwrap_or(self.plan.outputs);
            let units = self.plan.hidden[index];
            let across = Panels::new(units, isa);
            let layer = &mut self.later[index];
            layer.transpose(isa, depth, across, &mut work.transposed);
            isa.run(Forward {
                tiles: &work.delta_tiles,
                stride,
                rows,
                depth,
                weights: &work.transposed,
                panels: across,
                rectify: false,
                out: &mut work.sums,
            });
            layer.descend(isa, &self.hidden[index], stride, rows, &work.deltas);
            if let Some(dropout) = self.plan.dropout {
                // Units left out are 0, and let no gradient through; the others were made larger.
                for panel in across.iter() {
                    let sums = &mut work.sums[panel.first * stride..][..rows * panel.width];
                    sums.iter_mut().for_each(|sum| *sum *= dropout.scale);
                }
            }
            let sheet = Sheet {
                panels: across,
                stride,
                column: 0,
                units,
            };
            let (to, target, tiles): (_, _, &mut [f32]) = if index == 0 {
                let target = Sheet {
                    panels: stacked,
                    column: self.column,
                    ..sheet
                };
                (&mut work.first, target, &mut [])
            } else {
                (&mut work.deltas, sheet, &mut work.delta_tiles)
            };
            isa.run_narrow(Gate {
                hidden: &self.hidden[index],
                from: &work.sums,
                sheet,
                rows,
                to,
                target,
                tiles,
            });
        }
    }

    /// The loss's gradient at the outputs, as panels and as tiles.
    fn output_deltas(&mut self, work: &mut Workspace, batch: &[u32]) {
        let (stride, outputs) = (work.stride, self.plan.outputs);
        let panels = self.output_panels();
        let scale = 1.0 / work.labels.len() as f32;
        let mut finite = true;
        for row in 0..work.labels.len() {
            work.read_outputs(panels, row, outputs);
            let label = work.labels[row];
            if let Some(shifts) = &self.shifts {
                let shifts = &shifts[batch[row] as usize * outputs..][..outputs];
                for (f, shift) in work.outputs.iter_mut().zip(shifts) {
                    *f -= shift;
                }
            }
            finite &= loss::gradient(self.plan.loss, &mut work.outputs[..outputs], label, scale);
            for (column, &delta) in work.outputs[..outputs].iter().enumerate() {
                work.deltas[panels.index(row, column, stride)] = delta;
                work.delta_tiles[tile_index(column, row, outputs)] = delta;
            }
        }
        self.diverged |= !finite;
    }

    /// Where this member's outputs lie in `work.sums`.
    pub(crate) fn output_panels(&self) -> Panels {
        self.later[self.later.len() - 1].panels
    }

    /// Notes every hidden unit that is not zero on one of the first `rows` samples.
    pub(crate) fn note_live(
        &self,
        stacked: Panels,
        work: &Workspace,
        rows: usize,
        live: &mut [bool],
    ) {
        let sheet = self.sheet(stacked, work.stride);
        let (first, mut rest) = live.split_at_mut(self.plan.first());
        for (index, live) in first.chunks_mut(TILE).enumerate() {
            let samples = sheet.rows(index * TILE, rows);
            note(samples.map(|row| &work.first[row..row + TILE]), live);
        }
        for (tiles, &units) in self.hidden.iter().zip(&self.plan.hidden).skip(1) {
            let (live, after) = rest.split_at_mut(units);
            rest = after;
            for (index, live) in live.chunks_mut(TILE).enumerate() {
                let samples = (0..rows).map(|row| {
                    let at = tile_index(index * TILE, row, units + 1);
                    &tiles[at..at + TILE]
                });
                note(samples, live);
            }
        }
    }
}

/// Notes which of a tile's units are above 0 on some sample.
fn note<'a>(samples: impl Iterator<Item = &'a [f32]>, live: &mut [bool]) {
    let mut top = [0.0_f32; TILE];
    for sample in samples {
        for (top, &a) in top.iter_mut().zip(sample) {
            *top = if a > *top { a } else { *top };
        }
    }
    for (live, &top) in live.iter_mut().zip(&top) {
        *live |= top > 0.0;
    }
}

/// A layer's moments, as [`Layer::put`] takes them.
pub(crate) fn moments(state: &State, layer: usize) -> Vec<&Dense> {
    state.moments.iter().map(|moment| &moment[layer]).collect()
}
