//! Moving numbers between samples, tiles and panels. All of it is cut into tiles: 8 columns at a time.

use super::{Lanes, Op, Panels, SQUARE, TILE, tile_block};

/// Some neighbouring columns of panels that hold a row for every sample: one member's units. The first column is a multiple
/// of [`TILE`].
#[derive(Clone, Copy)]
pub(crate) struct Sheet {
    pub(crate) panels: Panels,
    /// Rows that the panels have room for.
    pub(crate) stride: usize,
    pub(crate) column: usize,
    pub(crate) units: usize,
}

/// Where a tile's columns lie: row `r` from `first + r · step` on.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    pub(super) first: usize,
    pub(super) step: usize,
}

impl Sheet {
    /// Where the tile that begins at a unit lies, sample by sample.
    pub(crate) fn rows(&self, unit: usize, rows: usize) -> impl Iterator<Item = usize> {
        let Strip { first, step } = self.strip(unit);
        (0..rows).map(move |row| first + row * step)
    }

    /// The tile that begins at a unit.
    #[inline(always)]
    pub(super) fn strip(&self, unit: usize) -> Strip {
        let panel = self.panels.of(self.column + unit);
        Strip {
            first: panel.first * self.stride + self.column + unit - panel.first,
            step: panel.width,
        }
    }
}

/// Copies samples into tiles. `samples` are row-major, `width` numbers each; `rows` names them.
pub(crate) struct Gather<'a, I> {
    pub(crate) samples: &'a [f32],
    pub(crate) width: usize,
    pub(crate) rows: I,
    /// Columns of the tiles: those past `width` are left alone.
    pub(crate) columns: usize,
    pub(crate) tiles: &'a mut [f32],
}

impl<I: Iterator<Item = usize>> Op for Gather<'_, I> {
    #[inline(always)]
    fn run<L: Lanes>(mut self, _: L) {
        let whole = self.width / TILE;
        for block in self.tiles.chunks_exact_mut(tile_block(self.columns)) {
            // Eight samples at once: each line of the tiles is written in one go.
            let mut from: [&[f32]; TILE] = [&[]; TILE];
            let mut count = 0;
            for (slot, row) in from.iter_mut().zip(&mut self.rows) {
                *slot = &self.samples[row * self.width..][..self.width];
                count += 1;
            }
            if count == TILE {
                let chunks = from.map(|sample| sample.as_chunks::<TILE>().0);
                let squares = block.as_chunks_mut::<SQUARE>().0;
                for (index, square) in squares.iter_mut().enumerate().take(whole) {
                    for (to, chunks) in square.as_chunks_mut::<TILE>().0.iter_mut().zip(&chunks) {
                        L::split_mut(to).copy_from_slice(L::split(&chunks[index]));
                    }
                }
            } else {
                for (sample, from) in from.iter().enumerate().take(count) {
                    for (index, chunk) in from.as_chunks::<TILE>().0.iter().enumerate() {
                        block[index * SQUARE + sample * TILE..][..TILE].copy_from_slice(chunk);
                    }
                }
            }
            if !self.width.is_multiple_of(TILE) {
                for (sample, from) in from.iter().enumerate().take(count) {
                    let rest = &from[whole * TILE..];
                    block[whole * SQUARE + sample * TILE..][..rest.len()].copy_from_slice(rest);
                }
            }
            if count < TILE {
                return;
            }
        }
    }
}

/// Copies a member's columns of panels into tiles. Columns past the last unit are left alone.
pub(crate) struct Retile<'a> {
    pub(crate) from: &'a [f32],
    pub(crate) sheet: Sheet,
    pub(crate) rows: usize,
    /// Columns of the tiles.
    pub(crate) columns: usize,
    pub(crate) tiles: &'a mut [f32],
}

impl Op for Retile<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let block = tile_block(self.columns);
        for unit in (0..self.sheet.units).step_by(TILE) {
            let strip = self.sheet.strip(unit);
            let valid = (self.sheet.units - unit).min(TILE);
            for row in 0..self.rows {
                let from = &self.from[strip.first + row * strip.step..][..TILE];
                let at = row / TILE * block + unit * TILE + row % TILE * TILE;
                let to = &mut self.tiles[at..at + TILE];
                if valid == TILE {
                    L::split_mut(to).copy_from_slice(L::split(from));
                } else {
                    to[..valid].copy_from_slice(&from[..valid]);
                }
            }
        }
    }
}

/// Gradients at a hidden layer's outputs on their way through relu, whose slope is 1 above 0 and 0 elsewhere.
pub(crate) struct Gate<'a> {
    /// The layer's outputs as tiles of `units + 1` columns.
    pub(crate) hidden: &'a [f32],
    /// Gradients as panels, from column 0 on.
    pub(crate) from: &'a [f32],
    pub(crate) sheet: Sheet,
    pub(crate) rows: usize,
    /// Where they go: as panels, and as tiles of `units` columns, which may be empty.
    pub(crate) to: &'a mut [f32],
    pub(crate) target: Sheet,
    pub(crate) tiles: &'a mut [f32],
}

impl Op for Gate<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let units = self.sheet.units;
        let (outputs, inputs) = (tile_block(units + 1), tile_block(units));
        for unit in (0..units).step_by(TILE) {
            let (from, to) = (self.sheet.strip(unit), self.target.strip(unit));
            let valid = (units - unit).min(TILE);
            for row in 0..self.rows {
                let inside = unit * TILE + row % TILE * TILE;
                let hidden = &self.hidden[row / TILE * outputs + inside..][..TILE];
                let sums = &self.from[from.first + row * from.step..][..TILE];
                let mut deltas = [0.0; TILE];
                let gated = lanes.gate(L::split(hidden)[0], L::split(sums)[0]);
                L::split_mut(&mut deltas)[0] = gated;
                if valid < TILE {
                    deltas[valid..].fill(0.0);
                }
                self.to[to.first + row * to.step..][..TILE].copy_from_slice(&deltas);
                if !self.tiles.is_empty() {
                    let at = row / TILE * inputs + inside;
                    self.tiles[at..at + TILE].copy_from_slice(&deltas);
                }
            }
        }
    }
}

/// Writes the weights of `units` columns, without the last row, which is the bias, transposed: panels `across` of `units` rows.
pub(crate) struct Transpose<'a> {
    /// Panels of `depth` rows.
    pub(crate) weights: &'a [f32],
    pub(crate) panels: Panels,
    pub(crate) depth: usize,
    pub(crate) units: usize,
    pub(crate) across: Panels,
    pub(crate) out: &'a mut [f32],
}

impl Op for Transpose<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        // Squares of 8 by 8, so that every line read or written is used whole.
        let inputs = self.depth - 1;
        for panel in self.across.iter() {
            let end = (panel.first + panel.width).min(inputs);
            for unit in (0..self.units).step_by(TILE) {
                let from = self.panels.of(unit);
                let here = &self.weights[from.first * self.depth + unit - from.first..];
                let valid = (self.units - unit).min(TILE);
                for input in (panel.first..end).step_by(TILE) {
                    let mut rows = [&[0.0_f32; TILE]; TILE];
                    for (row, input) in rows.iter_mut().zip(input..end) {
                        let from = &here[input * from.width..][..TILE];
                        *row = from.try_into().expect("a tile's columns");
                    }
                    let at = panel.first * self.units + input - panel.first;
                    let out = self.out[at + unit * panel.width..].chunks_mut(panel.width);
                    for (column, out) in out.enumerate().take(valid) {
                        out[..TILE].copy_from_slice(&rows.map(|row| row[column]));
                    }
                }
            }
        }
    }
}
