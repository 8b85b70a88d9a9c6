//! Buffers that the members of a group use in turn, allocated once.

use super::bank::Bank;
use super::plan::Plan;
use crate::kernel::{Gather, Isa, Panels, TILE, tile_block, tile_index};
use crate::pack::ROUND_STEPS;

/// Samples that buffers hold at least, so that measuring goes through in good blocks whatever the batch is.
const MIN_ROWS: usize = 104;

/// Batches gathered ahead, at most so many and, but for one, of so many bytes.
const MOST_BATCHES: usize = ROUND_STEPS as usize;
const BATCHES_BYTES: usize = 4 << 20;

/// Samples that the buffers of a group with such members have room for: whole tiles.
pub(crate) fn stride(leader: &Plan) -> usize {
    leader.batch.max(MIN_ROWS).next_multiple_of(TILE)
}

/// Everything between a group's weights and its members' own buffers.
pub(crate) struct Workspace {
    /// Samples that every buffer has room for.
    pub(crate) stride: usize,
    /// Inputs of batches as tiles; the column after the last input is 1, for the bias.
    pub(crate) batches: Vec<Vec<f32>>,
    /// Outputs of a bank's first layer, then the gradients at its sums, as panels.
    pub(crate) first: Vec<f32>,
    /// One member's sums of a later layer, as panels.
    pub(crate) sums: Vec<f32>,
    /// One member's gradients at the sums of a later layer, as panels and as tiles.
    pub(crate) deltas: Vec<f32>,
    pub(crate) delta_tiles: Vec<f32>,
    /// One layer's weights, transposed.
    pub(crate) transposed: Vec<f32>,
    /// One sample's outputs.
    pub(crate) outputs: Vec<f32>,
    /// One member's labels of a batch.
    pub(crate) labels: Vec<u8>,
    /// What one layer's units are multiplied by, where some are left out.
    pub(crate) factors: Vec<f32>,
}

impl Workspace {
    /// Room for these members. All have the leader's inputs and batch.
    pub(crate) fn new(leader: &Plan, banks: &[Bank], isa: Isa) -> Self {
        let stride = stride(leader);
        let plans = || {
            banks
                .iter()
                .flat_map(|bank| &bank.seats)
                .map(|seat| &seat.plan)
        };
        let columns = |units: usize| Panels::new(units, isa).columns();
        let most = |f: &dyn Fn(&Plan) -> usize| plans().map(|plan| f(plan)).max().unwrap_or(0);
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
        let stacked = banks.iter().map(|bank| bank.stacked.panels.columns()).max();
        let mut inputs = vec![0.0; stride / TILE * tile_block(leader.inputs + 1)];
        for row in 0..stride {
            inputs[tile_index(leader.inputs, row, leader.inputs + 1)] = 1.0;
        }
        // One bank takes each batch while it is in the cache. Several take turns, and many steps each time.
        let ahead = match banks.len() {
            0 | 1 => 1,
            _ => (BATCHES_BYTES / size_of_val(&*inputs)).clamp(1, MOST_BATCHES),
        };
        Self {
            stride,
            batches: vec![inputs; ahead],
            first: vec![0.0; stacked.unwrap_or(0) * stride],
            sums: vec![0.0; widest * stride],
            deltas: vec![0.0; widest * stride],
            delta_tiles: vec![0.0; stride / TILE * tile_block(widest)],
            transposed: vec![0.0; transposed],
            outputs: vec![0.0; most(&|plan| plan.outputs)],
            labels: Vec::with_capacity(stride),
            factors: Vec::new(),
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

/// Copies samples into tiles. `samples` are row-major with `width` numbers each.
pub(crate) fn gather(
    isa: Isa,
    samples: &[f32],
    width: usize,
    rows: impl Iterator<Item = usize>,
    tiles: &mut [f32],
) {
    isa.run_narrow(Gather {
        samples,
        width,
        rows,
        columns: width + 1,
        tiles,
    });
}

/// Multiplies units in tiles of `units + 1` columns, sample by sample.
pub(crate) fn multiply(tiles: &mut [f32], units: usize, factors: &[f32]) {
    let block = tile_block(units + 1);
    for (row, factors) in factors.chunks_exact(units).enumerate() {
        let first = row / TILE * block + row % TILE * TILE;
        for (unit, factors) in (0..units).step_by(TILE).zip(factors.chunks(TILE)) {
            let outputs = &mut tiles[first + unit * TILE..][..factors.len()];
            for (output, factor) in outputs.iter_mut().zip(factors) {
                *output *= factor;
            }
        }
    }
}
