//! Where the numbers of members lie on the device, and how work on them is cut into blocks.
//!
//! Weights, gradients and moments have one layout each: first the first layers of all members side by side, `[inputs + 1 (and zeros to a multiple
//! of 4), pitch]`; then every member's later layers, one after the other, each `[inputs + 1, columns]`. The last row of a layer is its bias.

use super::machine::{Fault, SIDE, THREADS, row};
use crate::mlp::{Dense, Plan};

/// Weights that a block of the optimizer moves.
const CHUNK: usize = 4 * THREADS;
/// Numbers of the loss's gradient that a block of the middle pass holds.
const DELTAS: usize = 2048;
/// Samples of a block of the middle pass, at most.
const TILE: usize = 32;

/// One level of layers after the first, of all members.
pub(crate) struct Level {
    /// `struct Layer` of every member.
    pub(crate) layers: Vec<u32>,
    /// `struct Square`s across the columns, across the inputs, and over the weights.
    pub(crate) across: Vec<u32>,
    pub(crate) inwards: Vec<u32>,
    pub(crate) over: Vec<u32>,
}

/// A layer of a member, in the one layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    at: usize,
    rows: usize,
    columns: usize,
    pitch: usize,
}

/// The layout of a group.
pub(crate) struct Layout {
    /// Numbers in a row of samples.
    pub(crate) row: usize,
    /// Numbers from row to row of the sums of every level, the first layer's first, the outputs' last.
    pub(crate) pitches: Vec<usize>,
    /// Columns in use of every level.
    pub(crate) columns: Vec<usize>,
    /// Numbers in the layout.
    pub(crate) numbers: usize,
    /// Of these, in layers after the first.
    pub(crate) later: usize,
    /// Levels after the first.
    pub(crate) levels: Vec<Level>,
    /// `struct Part`s and `struct Chunk`s of the optimizer.
    pub(crate) parts: Vec<u32>,
    pub(crate) chunks: Vec<u32>,
    /// Samples of a block of the middle pass.
    pub(crate) tile: usize,
    /// Every member's layers.
    places: Vec<Vec<Place>>,
    /// Every member's first column of every level.
    starts: Vec<Vec<usize>>,
    widths: Vec<Vec<usize>>,
}

impl Layout {
    /// For members of one depth, on the same data.
    ///
    /// # Errors
    /// When numbers are too many for 32-bit places.
    pub(crate) fn new(plans: &[&Plan]) -> Result<Self, Fault> {
        let first = plans.first().expect("a group has members");
        let row = row(first.inputs);
        let shapes: Vec<_> = plans.iter().map(|plan| plan.shapes()).collect();
        let levels = first.depth() + 1;
        let mut starts = vec![Vec::with_capacity(levels); plans.len()];
        let (mut pitches, mut columns) = (Vec::new(), Vec::new());
        for level in 0..levels {
            let mut column = 0;
            for (starts, shapes) in starts.iter_mut().zip(&shapes) {
                starts.push(column);
                column += shapes[level].1;
            }
            columns.push(column);
            pitches.push(column.next_multiple_of(4));
        }
        let mut places: Vec<Vec<Place>> = Vec::with_capacity(plans.len());
        let base = row * pitches[0];
        let mut at = base;
        for (starts, shapes) in starts.iter().zip(&shapes) {
            let mut member = vec![Place {
                at: starts[0],
                rows: shapes[0].0,
                columns: shapes[0].1,
                pitch: pitches[0],
            }];
            for &(rows, columns) in &shapes[1..] {
                member.push(Place {
                    at,
                    rows,
                    columns,
                    pitch: columns,
                });
                at += rows * columns;
            }
            places.push(member);
        }
        let tile = TILE.min(DELTAS / first.outputs).max(1);
        // 32-bit places on the device, the tiles of gradients included.
        let most = at + first.batch.div_ceil(tile) * (at - base);
        if u32::try_from(most).is_err() {
            let what = format!("{most} numbers are too many for one group on a device");
            return Err(Fault::OutOfMemory(what));
        }
        let tiled = u32::from(first.depth() == 1);
        let (mut parts, mut chunks) = (Vec::new(), Vec::new());
        for (member, places) in places.iter().enumerate() {
            for (level, place) in places.iter().enumerate() {
                let part = parts.len() / 6;
                parts.extend([place.at, place.rows, place.columns, place.pitch, member].map(word));
                parts.push(if level == 0 { 0 } else { tiled });
                let all = 0..place.rows * place.columns;
                chunks.extend(
                    all.step_by(CHUNK)
                        .flat_map(|first| [word(part), word(first)]),
                );
            }
        }
        let level = |level: usize| -> Level {
            let mut made = Level {
                layers: Vec::new(),
                across: Vec::new(),
                inwards: Vec::new(),
                over: Vec::new(),
            };
            for (member, (places, starts)) in places.iter().zip(&starts).enumerate() {
                let (place, inputs) = (places[level], places[level].rows - 1);
                let (below, above) = (starts[level - 1], starts[level]);
                made.layers
                    .extend([place.at, inputs, place.columns, below, above].map(word));
                let square = |down: usize, across: usize| [member, down, across].map(word);
                for across in (0..place.columns).step_by(SIDE) {
                    made.across.extend(square(0, across));
                    for down in (0..place.rows).step_by(SIDE) {
                        made.over.extend(square(down, across));
                    }
                }
                for across in (0..inputs).step_by(SIDE) {
                    made.inwards.extend(square(0, across));
                }
            }
            made
        };
        Ok(Self {
            row,
            levels: (1..levels).map(level).collect(),
            pitches,
            columns,
            numbers: at,
            later: at - base,
            parts,
            chunks,
            tile,
            places,
            starts,
            widths: shapes
                .iter()
                .map(|shapes| shapes.iter().map(|shape| shape.1).collect())
                .collect(),
        })
    }

    /// Puts a member's layers into numbers of this layout.
    pub(crate) fn put(&self, member: usize, layers: &[Dense], numbers: &mut [f32]) {
        for (place, layer) in self.places[member].iter().zip(layers) {
            for row in 0..place.rows {
                let to = &mut numbers[place.at + row * place.pitch..][..place.columns];
                to.copy_from_slice(layer.row(row));
            }
        }
    }

    /// A copy of a member's layers.
    pub(crate) fn get(&self, member: usize, numbers: &[f32]) -> Vec<Dense> {
        let dense = |place: &Place| {
            let mut dense = Dense::zeros(place.rows, place.columns);
            for row in 0..place.rows {
                let from = &numbers[place.at + row * place.pitch..][..place.columns];
                dense.row_mut(row).copy_from_slice(from);
            }
            dense
        };
        self.places[member].iter().map(dense).collect()
    }

    /// A member's columns in the sums of a level.
    pub(crate) fn columns_of(&self, member: usize, level: usize) -> std::ops::Range<usize> {
        let start = self.starts[member][level];
        start..start + self.widths[member][level]
    }

    /// Tiles of the middle pass over so many samples; 1 where there is no such pass.
    pub(crate) fn tiles(&self, rows: usize) -> usize {
        if self.levels.len() == 1 {
            rows.div_ceil(self.tile)
        } else {
            1
        }
    }

    /// Numbers that the gradients take for a batch: the layout's own, and again the later layers' for every further tile.
    pub(crate) fn gradients(&self, batch: usize) -> usize {
        self.numbers + (self.tiles(batch) - 1) * self.later
    }
}

/// A number that was checked to fit.
fn word(number: usize) -> u32 {
    u32::try_from(number).expect("places on the device were checked to fit 32 bits")
}
