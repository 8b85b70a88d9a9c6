//! What stands behind a layer's sums: ReLU, and maxima of squares. relu′(0) is 0, and of equal maxima the first one counts,
//! row by row, as in PyTorch.

use super::tile::{Frame, GROUP};
use crate::kernel::{Lanes, Op};

/// A group of samples.
pub(crate) type Group = [f32; GROUP];

/// Groups of a slice.
#[inline(always)]
pub(crate) fn groups(numbers: &[f32]) -> &[Group] {
    numbers.as_chunks().0
}

/// Groups of a slice.
#[inline(always)]
pub(crate) fn groups_mut(numbers: &mut [f32]) -> &mut [Group] {
    numbers.as_chunks_mut().0
}

/// max(0, x); what is not a number stays so.
#[inline(always)]
pub(crate) fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// Outputs of ReLU, and with `pools` the maxima of 2×2 squares of them.
pub(crate) struct Rectify<'a> {
    pub(crate) pools: bool,
    pub(crate) tiles: usize,
    pub(crate) sums: &'a [f32],
    pub(crate) from: Frame,
    pub(crate) out: &'a mut [f32],
    pub(crate) to: Frame,
    /// Rows and columns that go out.
    pub(crate) extent: (usize, usize),
}

impl Op for Rectify<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let (sums, out) = (groups(self.sums), groups_mut(self.out));
        let (rows, columns) = self.extent;
        for tile in 0..self.tiles {
            for channel in 0..self.from.channels {
                for row in 0..rows {
                    let to = &mut out[self.to.row(tile, channel, row)..][..columns];
                    if self.pools {
                        let above = &sums[self.from.row(tile, channel, 2 * row)..];
                        let below = &sums[self.from.row(tile, channel, 2 * row + 1)..];
                        for (column, to) in to.iter_mut().enumerate() {
                            let square = square(above, below, column);
                            for lane in 0..GROUP {
                                to[lane] = relu(top(square.map(|group| group[lane])));
                            }
                        }
                    } else {
                        let from = &sums[self.from.row(tile, channel, row)..][..columns];
                        for (to, from) in to.iter_mut().zip(from) {
                            *to = from.map(relu);
                        }
                    }
                }
            }
        }
    }
}

/// A square of 2×2 groups, row by row.
#[inline(always)]
fn square<'a>(above: &'a [Group], below: &'a [Group], column: usize) -> [&'a Group; 4] {
    let (above, below) = (&above[2 * column..][..2], &below[2 * column..][..2]);
    [&above[0], &above[1], &below[0], &below[1]]
}

/// The largest of four; not a number when one of them is not.
#[inline(always)]
fn top(four: [f32; 4]) -> f32 {
    let larger = |a: f32, b: f32| if b > a || b.is_nan() { b } else { a };
    larger(larger(four[0], four[1]), larger(four[2], four[3]))
}

/// Gradients at the sums, from those behind ReLU and the maxima.
pub(crate) struct Unrectify<'a> {
    pub(crate) pools: bool,
    pub(crate) tiles: usize,
    pub(crate) sums: &'a [f32],
    pub(crate) from: Frame,
    /// Gradients behind, `[tiles][channels][rows][columns]`.
    pub(crate) gradient: &'a [f32],
    pub(crate) extent: (usize, usize),
    pub(crate) deltas: &'a mut [f32],
    pub(crate) to: Frame,
}

impl Op for Unrectify<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let (sums, gradient) = (groups(self.sums), groups(self.gradient));
        let deltas = groups_mut(self.deltas);
        let (rows, columns) = self.extent;
        for tile in 0..self.tiles {
            for channel in 0..self.from.channels {
                for row in 0..rows {
                    let line = ((tile * self.from.channels + channel) * rows + row) * columns;
                    let gradient = &gradient[line..][..columns];
                    if self.pools {
                        let above = &sums[self.from.row(tile, channel, 2 * row)..];
                        let below = &sums[self.from.row(tile, channel, 2 * row + 1)..];
                        let first = self.to.row(tile, channel, 2 * row);
                        let second = self.to.row(tile, channel, 2 * row + 1);
                        for (column, gradient) in gradient.iter().enumerate() {
                            let square = square(above, below, column);
                            let mut shares = [[0.0; GROUP]; 4];
                            for lane in 0..GROUP {
                                let four = square.map(|group| group[lane]);
                                let top = top(four);
                                let mut left = if top > 0.0 { gradient[lane] } else { 0.0 };
                                for i in 0..4 {
                                    let here = four[i] == top;
                                    shares[i][lane] = if here { left } else { 0.0 };
                                    left = if here { 0.0 } else { left };
                                }
                            }
                            deltas[first + 2 * column] = shares[0];
                            deltas[first + 2 * column + 1] = shares[1];
                            deltas[second + 2 * column] = shares[2];
                            deltas[second + 2 * column + 1] = shares[3];
                        }
                    } else {
                        let sums = &sums[self.from.row(tile, channel, row)..][..columns];
                        let to = &mut deltas[self.to.row(tile, channel, row)..][..columns];
                        for ((to, sums), gradient) in to.iter_mut().zip(sums).zip(gradient) {
                            for lane in 0..GROUP {
                                to[lane] = if sums[lane] > 0.0 {
                                    gradient[lane]
                                } else {
                                    0.0
                                };
                            }
                        }
                    }
                }
            }
        }
    }
}
