//! Buffers that the members of a group use in turn, allocated once.

use super::plan::Plan;
use crate::kernel::{Isa, Panels, TILE, tile_index};

/// Samples that buffers hold at least, so that measuring goes through in good blocks whatever the batch is.
const MIN_ROWS: usize = 100;

/// Everything between a group's weights and its members' own buffers.
pub(crate) struct Workspace {
    /// Samples that every buffer has room for.
    pub(crate) stride: usize,
    /// Inputs of a batch as tiles; the column after the last input is 1, for the bias.
    pub(crate) inputs: Vec<f32>,
    /// Sums of the stacked first layer and their gradients, as panels.
    pub(crate) first: Vec<f32>,
    pub(crate) first_deltas: Vec<f32>,
    /// One member's sums of a later layer, as panels.
    pub(crate) sums: Vec<f32>,
    /// One member's gradients at the sums of a later layer, as panels and as tiles.
    pub(crate) deltas: Vec<f32>,
    pub(crate) delta_tiles: Vec<f32>,
    /// One layer's weights, transposed.
    pub(crate) transposed: Vec<f32>,
    /// One sample's outputs.
    pub(crate) outputs: Vec<f32>,
}

impl Workspace {
    /// Room for these members. All have the same inputs and batch.
    pub(crate) fn new(plans: &[&Plan], stacked: Panels, isa: Isa) -> Self {
        let first = plans.first().expect("a group has members");
        // An odd multiple of 4 rows: a power of two would put all tiles of a row into the same few lines of the cache.
        let stride = first.batch.max(MIN_ROWS).next_multiple_of(4) | 4;
        let columns = |units: usize| Panels::new(units, isa).columns();
        let most = |f: &dyn Fn(&Plan) -> usize| plans.iter().map(|plan| f(plan)).max().unwrap_or(0);
        let widest = most(&|plan| {
            let later = plan.hidden.iter().chain([&plan.outputs]);
            later.map(|&units| columns(units)).max().unwrap_or(0)
        });
        let transposed = most(&|plan| {
            let above = plan.hidden.iter().skip(1).chain([&plan.outputs]);
            let sizes = plan.hidden.iter().zip(above);
            sizes
                .map(|(&below, &above)| columns(below) * above)
                .max()
                .unwrap_or(0)
        });
        let mut inputs = vec![0.0; (first.inputs + 1).next_multiple_of(TILE) * stride];
        for row in 0..stride {
            inputs[tile_index(first.inputs, row, stride)] = 1.0;
        }
        Self {
            stride,
            inputs,
            first: vec![0.0; stacked.columns() * stride],
            first_deltas: vec![0.0; stacked.columns() * stride],
            sums: vec![0.0; widest * stride],
            deltas: vec![0.0; widest * stride],
            delta_tiles: vec![0.0; widest * stride],
            transposed: vec![0.0; transposed],
            outputs: vec![0.0; most(&|plan| plan.outputs)],
        }
    }

    /// Copies samples into the input tiles. `x` is row-major with `width` numbers per sample.
    pub(crate) fn gather(&mut self, x: &[f32], width: usize, samples: impl Iterator<Item = usize>) {
        for (row, sample) in samples.enumerate() {
            let from = &x[sample * width..][..width];
            let mut at = row * TILE;
            let (whole, rest) = from.as_chunks::<TILE>();
            for chunk in whole {
                self.inputs[at..at + TILE].copy_from_slice(chunk);
                at += self.stride * TILE;
            }
            if !rest.is_empty() {
                self.inputs[at..at + rest.len()].copy_from_slice(rest);
            }
        }
    }

    /// Copies one sample's outputs out of `sums`.
    pub(crate) fn read_outputs(&mut self, panels: Panels, row: usize, outputs: usize) {
        for panel in panels.iter() {
            let from = &self.sums[panel.first * self.stride + row * panel.width..][..panel.width];
            let to = &mut self.outputs[panel.first.min(outputs)..outputs];
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        }
    }
}
