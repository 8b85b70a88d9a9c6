//! One member's place in a group: its columns in the stacked first layer, and all its later layers.

use std::sync::Arc;

use super::dense::Dense;
use super::group::Loose;
use super::layer::Layer;
use super::loss;
use super::mask::Mask;
use super::plan::Plan;
use super::state::State;
use super::workspace::Workspace;
use crate::kernel::{Forward, Isa, Panels, TILE, tile_index};

/// A member in training, apart from the stacked first layer.
pub(crate) struct Seat {
    pub(crate) key: u64,
    pub(crate) plan: Arc<Plan>,
    /// Its training labels: noise is each member's own, images are shared.
    pub(crate) labels: Arc<[u8]>,
    /// Which weights are kept; `None`: all.
    pub(crate) mask: Option<Arc<Mask>>,
    /// Its first column in the stacked layer.
    pub(crate) column: usize,
    /// Every layer after the first; the output layer last.
    later: Vec<Layer>,
    /// Outputs of every hidden layer, as tiles; the column after the last unit is 1, for the bias.
    hidden: Vec<Vec<f32>>,
    pub(crate) diverged: bool,
}

impl Seat {
    pub(crate) fn new(member: Loose, column: usize, stride: usize, isa: Isa) -> Self {
        let Loose {
            key,
            plan,
            labels,
            mask,
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
            let mut tiles = vec![0.0; (units + 1).next_multiple_of(TILE) * stride];
            for sample in 0..stride {
                tiles[tile_index(units, sample, stride)] = 1.0;
            }
            tiles
        };
        let hidden = plan.hidden.iter().map(tiles).collect();
        Self {
            key,
            plan,
            labels,
            mask,
            column,
            later,
            hidden,
            diverged: false,
        }
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

    /// From the stacked layer's sums in `work.first` to this member's outputs in `work.sums`.
    pub(crate) fn forward(&mut self, isa: Isa, stacked: Panels, work: &mut Workspace, rows: usize) {
        let stride = work.stride;
        let from = Source {
            sums: &work.first,
            panels: stacked,
            column: self.column,
        };
        from.rectify(self.plan.first(), stride, rows, &mut self.hidden[0]);
        for (index, layer) in self.later.iter().enumerate() {
            let (below, above) = self.hidden.split_at_mut(index + 1);
            layer.forward(isa, &below[index], stride, rows, &mut work.sums);
            if let Some(above) = above.first_mut() {
                let from = Source {
                    sums: &work.sums,
                    panels: layer.panels,
                    column: 0,
                };
                from.rectify(self.plan.hidden[index + 1], stride, rows, above);
            }
        }
    }

    /// From outputs in `work.sums` to a step of every later layer, and to this member's deltas of the stacked layer in
    /// `work.first_deltas`. `labels` are those of the batch.
    pub(crate) fn backward(
        &mut self,
        isa: Isa,
        stacked: Panels,
        work: &mut Workspace,
        batch: &[u32],
    ) {
        let stride = work.stride;
        self.output_deltas(work, batch);
        for index in (0..self.later.len()).rev() {
            let layer = &mut self.later[index];
            let above = self.plan.hidden.get(index + 1);
            let units = above.copied().unwrap_or(self.plan.outputs);
            let across = Panels::new(self.plan.hidden[index], isa);
            layer.transpose(units, across, &mut work.transposed);
            isa.run(Forward {
                tiles: &work.delta_tiles,
                stride,
                rows: batch.len(),
                depth: units,
                weights: &work.transposed,
                panels: across,
                out: &mut work.sums,
            });
            layer.descend(isa, &self.hidden[index], stride, batch.len(), &work.deltas);
            let behind = Behind {
                hidden: &self.hidden[index],
                units: self.plan.hidden[index],
                stride,
                rows: batch.len(),
                sums: &work.sums,
                panels: across,
            };
            if index == 0 {
                behind.write_panels(&mut work.first_deltas, stacked, self.column);
            } else {
                behind.write_panels(&mut work.deltas, across, 0);
                behind.write_tiles(&mut work.delta_tiles);
            }
        }
    }

    /// The loss's gradient at the outputs, as panels and as tiles.
    fn output_deltas(&mut self, work: &mut Workspace, batch: &[u32]) {
        let (stride, outputs) = (work.stride, self.plan.outputs);
        let panels = self.later[self.plan.depth() - 1].panels;
        let scale = 1.0 / batch.len() as f32;
        let mut finite = true;
        for (row, &sample) in batch.iter().enumerate() {
            work.read_outputs(panels, row, outputs);
            let label = self.labels[sample as usize];
            finite &= loss::gradient(self.plan.loss, &mut work.outputs[..outputs], label, scale);
            for (column, &delta) in work.outputs[..outputs].iter().enumerate() {
                work.deltas[panels.index(row, column, stride)] = delta;
                work.delta_tiles[tile_index(column, row, stride)] = delta;
            }
        }
        self.diverged |= !finite;
    }

    /// Where this member's outputs lie in `work.sums`.
    pub(crate) fn output_panels(&self) -> Panels {
        self.later[self.plan.depth() - 1].panels
    }

    /// Notes every hidden unit that is not zero on one of the first `rows` samples.
    pub(crate) fn note_live(&self, stride: usize, rows: usize, live: &mut [bool]) {
        let mut rest = live;
        for (tiles, &units) in self.hidden.iter().zip(&self.plan.hidden) {
            let (live, after) = rest.split_at_mut(units);
            rest = after;
            for (tile, live) in tiles.chunks_exact(stride * TILE).zip(live.chunks_mut(TILE)) {
                let mut top = [0.0_f32; TILE];
                for sample in tile[..rows * TILE].as_chunks::<TILE>().0 {
                    for (top, &a) in top.iter_mut().zip(sample) {
                        *top = if a > *top { a } else { *top };
                    }
                }
                for (live, &top) in live.iter_mut().zip(&top) {
                    *live |= top > 0.0;
                }
            }
        }
    }
}

/// A layer's moments, as [`Layer::put`] takes them.
pub(crate) fn moments(state: &State, layer: usize) -> Vec<&Dense> {
    state.moments.iter().map(|moment| &moment[layer]).collect()
}

/// `max(0, sum)`, and what is not a number stays so: a network that diverged shows it.
fn rectified(sum: f32) -> f32 {
    if sum < 0.0 { 0.0 } else { sum }
}

/// Sums of a layer, from a column that is a multiple of [`TILE`] on.
struct Source<'a> {
    sums: &'a [f32],
    panels: Panels,
    column: usize,
}

impl Source<'_> {
    /// From sums in panels to outputs in tiles. Columns past the last unit are left alone.
    fn rectify(&self, units: usize, stride: usize, rows: usize, to: &mut [f32]) {
        for (index, to) in to.chunks_exact_mut(stride * TILE).enumerate() {
            let unit = index * TILE;
            if unit >= units {
                break;
            }
            let panel = self.panels.of(self.column + unit);
            let from = &self.sums[panel.first * stride..][..panel.width * rows];
            let at = self.column + unit - panel.first;
            let samples = from
                .chunks_exact(panel.width)
                .zip(to.as_chunks_mut::<TILE>().0);
            if units - unit >= TILE {
                for (from, to) in samples {
                    let from: &[f32; TILE] =
                        from[at..at + TILE].try_into().expect("a tile's columns");
                    *to = from.map(rectified);
                }
            } else {
                for (from, to) in samples {
                    for (to, &sum) in to[..units - unit].iter_mut().zip(&from[at..]) {
                        *to = rectified(sum);
                    }
                }
            }
        }
    }
}

/// Gradients at a hidden layer's outputs, on their way through relu: relu′(z) is 1 for z > 0 and 0 elsewhere.
struct Behind<'a> {
    hidden: &'a [f32],
    units: usize,
    stride: usize,
    rows: usize,
    sums: &'a [f32],
    panels: Panels,
}

impl Behind<'_> {
    /// The deltas of a tile's units, sample by sample; those past the last unit are 0.
    fn tile(&self, unit: usize) -> impl Iterator<Item = [f32; TILE]> {
        let panel = self.panels.of(unit);
        let sums = &self.sums[panel.first * self.stride..][..panel.width * self.rows];
        let at = unit - panel.first;
        let hidden = self.hidden[unit * self.stride..].as_chunks::<TILE>().0;
        let valid = (self.units - unit).min(TILE);
        let samples = hidden.iter().zip(sums.chunks_exact(panel.width));
        samples.map(move |(hidden, sums)| {
            let sums: &[f32; TILE] = sums[at..at + TILE].try_into().expect("a tile's columns");
            let mut deltas = [0.0; TILE];
            for j in 0..TILE {
                deltas[j] = if hidden[j] > 0.0 { sums[j] } else { 0.0 };
            }
            if valid < TILE {
                deltas[valid..].fill(0.0);
            }
            deltas
        })
    }

    fn write_panels(&self, to: &mut [f32], panels: Panels, column: usize) {
        for unit in (0..self.units).step_by(TILE) {
            let panel = panels.of(column + unit);
            let to = &mut to[panel.first * self.stride..][..panel.width * self.rows];
            let at = column + unit - panel.first;
            for (to, deltas) in to.chunks_exact_mut(panel.width).zip(self.tile(unit)) {
                to[at..at + TILE].copy_from_slice(&deltas);
            }
        }
    }

    fn write_tiles(&self, to: &mut [f32]) {
        for unit in (0..self.units).step_by(TILE) {
            let to = to[unit * self.stride..].as_chunks_mut::<TILE>().0;
            for (to, deltas) in to.iter_mut().zip(self.tile(unit)) {
                *to = deltas;
            }
        }
    }
}
