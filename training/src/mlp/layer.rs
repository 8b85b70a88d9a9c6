//! A dense layer of one member or of several side by side: weights, optimizer state and coefficients as panels.

use std::ops::Range;

use super::dense::Dense;
use super::plan::{Pace, Plan};
use crate::kernel::{Descend, Forward, Isa, Kept, Panels, Rule, TILE, Transpose};
use descent_spec::trial::Optimizer;

/// Weights `[depth, columns]`, the last row the bias, stored in panels.
pub(crate) struct Layer {
    depth: usize,
    pub(crate) panels: Panels,
    weights: Vec<f32>,
    moments: [Vec<f32>; 2],
    /// All bits set for every weight that is kept, none for the others, laid out as the weights; empty where all are kept.
    mask: Vec<f32>,
    /// The panels that have weights which are not kept.
    masked: Vec<bool>,
    coefficients: Coefficients,
    /// Whether steps only leave their gradient in the first moments, because a subspace moves the weights.
    gathers: bool,
}

/// A panel's numbers, row by row, and where in each row a tile begins.
struct Strip {
    numbers: Range<usize>,
    width: usize,
    at: usize,
}

/// One number per column each. SGD leaves those of Adam empty and keeps its momentum in `beta1`.
#[derive(Default)]
struct Coefficients {
    rate: Vec<f32>,
    decay: Vec<f32>,
    beta1: Vec<f32>,
    rest1: Vec<f32>,
    beta2: Vec<f32>,
    rest2: Vec<f32>,
    root: Vec<f32>,
    epsilon: Vec<f32>,
}

impl Layer {
    pub(crate) fn new(depth: usize, columns: usize, moments: usize, isa: Isa) -> Self {
        let panels = Panels::new(columns, isa);
        let padded = panels.columns();
        let numbers = |wanted: bool| vec![0.0; if wanted { depth * padded } else { 0 }];
        let column = |wanted: bool| vec![0.0; if wanted { padded } else { 0 }];
        let adam = moments == 2;
        Self {
            depth,
            panels,
            weights: numbers(true),
            moments: [numbers(true), numbers(adam)],
            mask: Vec::new(),
            masked: Vec::new(),
            coefficients: Coefficients {
                rate: column(true),
                decay: column(true),
                beta1: column(true),
                rest1: column(adam),
                beta2: column(adam),
                rest2: column(adam),
                root: column(adam),
                epsilon: column(adam),
            },
            gathers: moments == 0,
        }
    }

    /// Puts a member's weights and moments at its first column.
    pub(crate) fn put(&mut self, column: usize, weights: &Dense, moments: &[&Dense]) {
        let (panels, depth) = (self.panels, self.depth);
        let parts = [&mut self.weights].into_iter().chain(&mut self.moments);
        for (numbers, dense) in parts.zip([weights].iter().chain(moments)) {
            for row in 0..depth {
                for (unit, &value) in dense.row(row).iter().enumerate() {
                    numbers[panels.index(row, column + unit, depth)] = value;
                }
            }
        }
    }

    /// Keeps only some of a member's weights.
    pub(crate) fn put_mask(&mut self, column: usize, mask: &Dense) {
        const KEPT: f32 = f32::from_bits(u32::MAX);
        if self.mask.is_empty() {
            self.mask = vec![KEPT; self.weights.len()];
            self.masked = vec![false; self.panels.iter().count()];
        }
        for unit in (column..column + mask.columns).step_by(TILE) {
            self.masked[unit / self.panels.full()] = true;
        }
        for row in 0..self.depth {
            for (unit, &kept) in mask.row(row).iter().enumerate() {
                let index = self.panels.index(row, column + unit, self.depth);
                self.mask[index] = if kept == 0.0 { 0.0 } else { KEPT };
            }
        }
    }

    /// Takes a copy of a member's weights (part 0) or moments (parts 1 and 2).
    pub(crate) fn get(&self, part: usize, column: usize, units: usize) -> Dense {
        let numbers = if part == 0 {
            &self.weights
        } else {
            &self.moments[part - 1]
        };
        let mut dense = Dense::zeros(self.depth, units);
        for row in 0..self.depth {
            for (unit, value) in dense.row_mut(row).iter_mut().enumerate() {
                *value = numbers[self.panels.index(row, column + unit, self.depth)];
            }
        }
        dense
    }

    /// Sets the coefficients of a member's columns for the step that follows `step` steps.
    pub(crate) fn set_coefficients(&mut self, columns: Range<usize>, plan: &Plan, step: u64) {
        if self.gathers {
            return;
        }
        let at = &mut self.coefficients;
        let set = |numbers: &mut Vec<f32>, value: f64| numbers[columns.clone()].fill(value as f32);
        set(&mut at.decay, plan.decay);
        match plan.optimizer {
            Optimizer::Sgd { momentum, .. } => set(&mut at.beta1, momentum),
            Optimizer::Adam {
                beta1,
                beta2,
                epsilon,
                ..
            } => {
                set(&mut at.beta1, beta1);
                set(&mut at.rest1, 1.0 - beta1);
                set(&mut at.beta2, beta2);
                set(&mut at.rest2, 1.0 - beta2);
                // Not 0: a weight that never had a gradient stays where it is.
                set(&mut at.epsilon, epsilon.max(f64::from(f32::MIN_POSITIVE)));
            }
        }
        self.set_pace(columns, plan.pace(step));
    }

    /// Sets those coefficients of a member's columns that change from step to step.
    pub(crate) fn set_pace(&mut self, columns: Range<usize>, pace: Pace) {
        let at = &mut self.coefficients;
        at.rate[columns.clone()].fill(pace.rate);
        if !at.root.is_empty() {
            at.root[columns].fill(pace.root);
        }
    }

    /// `out` (panels of `stride` rows) = inputs (tiles) · weights, rectified if so asked.
    pub(crate) fn forward(
        &self,
        isa: Isa,
        tiles: &[f32],
        stride: usize,
        rows: usize,
        rectify: bool,
        out: &mut [f32],
    ) {
        isa.run(Forward {
            tiles,
            stride,
            rows,
            depth: self.depth,
            weights: &self.weights,
            panels: self.panels,
            rectify,
            out,
        });
    }

    /// One step down the gradient that inputs (tiles) and deltas (panels of `stride` rows) make.
    pub(crate) fn descend(
        &mut self,
        isa: Isa,
        tiles: &[f32],
        stride: usize,
        rows: usize,
        deltas: &[f32],
    ) {
        let (depth, panels) = (self.depth, self.panels);
        let (weights, kept, rule) = self.parts();
        isa.run(Descend {
            tiles,
            stride,
            rows,
            depth,
            deltas,
            panels,
            weights,
            kept,
            rule,
        });
    }

    /// The weights as they lie.
    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// What a step needs: the weights, which of them are kept, and the rule with the moments.
    pub(crate) fn parts(&mut self) -> (&mut [f32], Kept<'_>, Rule<'_>) {
        let at = &self.coefficients;
        let [first, second] = &mut self.moments;
        let rule = if self.gathers {
            Rule::Gradient { out: first }
        } else if second.is_empty() {
            Rule::Sgd {
                velocity: first,
                rate: &at.rate,
                momentum: &at.beta1,
                decay: &at.decay,
            }
        } else {
            Rule::Adam {
                first,
                second,
                rate: &at.rate,
                root: &at.root,
                beta1: &at.beta1,
                rest1: &at.rest1,
                beta2: &at.beta2,
                rest2: &at.rest2,
                epsilon: &at.epsilon,
                decay: &at.decay,
            }
        };
        let kept = Kept {
            mask: &self.mask,
            panels: &self.masked,
        };
        (&mut self.weights, kept, rule)
    }

    /// Copies the gradient of some columns, which begin with a tile, in PyTorch's order: weights by units, then biases.
    pub(crate) fn take_gradient(&self, column: usize, units: usize, flat: &mut [f32]) {
        let inputs = self.depth - 1;
        let (weights, bias) = flat.split_at_mut(inputs * units);
        for unit in (0..units).step_by(TILE) {
            let strip = self.strip(column + unit);
            let valid = (units - unit).min(TILE);
            let to = &mut weights[unit * inputs..(unit + valid) * inputs];
            for (row, from) in self.moments[0][strip.numbers.clone()]
                .chunks_exact(strip.width)
                .enumerate()
            {
                let from = &from[strip.at..strip.at + valid];
                if row == inputs {
                    bias[unit..unit + valid].copy_from_slice(from);
                    break;
                }
                for (unit, &from) in from.iter().enumerate() {
                    to[unit * inputs + row] = from;
                }
            }
        }
    }

    /// Sets the weights of some columns, which begin with a tile, from PyTorch's order.
    pub(crate) fn set_weights(&mut self, column: usize, units: usize, flat: &[f32]) {
        let inputs = self.depth - 1;
        let (weights, bias) = flat.split_at(inputs * units);
        for unit in (0..units).step_by(TILE) {
            let strip = self.strip(column + unit);
            let valid = (units - unit).min(TILE);
            let from = &weights[unit * inputs..(unit + valid) * inputs];
            for (row, to) in self.weights[strip.numbers.clone()]
                .chunks_exact_mut(strip.width)
                .enumerate()
            {
                let to = &mut to[strip.at..strip.at + valid];
                if row == inputs {
                    to.copy_from_slice(&bias[unit..unit + valid]);
                    break;
                }
                for (unit, to) in to.iter_mut().enumerate() {
                    *to = from[unit * inputs + row];
                }
            }
        }
    }

    /// Where the tile that begins at a column lies.
    fn strip(&self, column: usize) -> Strip {
        let panel = self.panels.of(column);
        let first = panel.first * self.depth;
        Strip {
            numbers: first..first + panel.width * self.depth,
            width: panel.width,
            at: column - panel.first,
        }
    }

    /// Whether every weight of some columns is a finite number.
    pub(crate) fn is_finite(&self, column: usize, units: usize) -> bool {
        (column..column + units).step_by(TILE).all(|first| {
            let panel = self.panels.of(first);
            let at = first - panel.first;
            let numbers = &self.weights[panel.first * self.depth..][..panel.width * self.depth];
            let valid = (column + units - first).min(TILE);
            // The product with 0 is not 0 exactly where a number is not finite.
            let mut sums = [0.0_f32; TILE];
            for row in numbers.chunks_exact(panel.width) {
                for (sum, &weight) in sums.iter_mut().zip(&row[at..at + TILE]) {
                    *sum += weight * 0.0;
                }
            }
            sums[..valid].iter().all(|&sum| sum == 0.0)
        })
    }

    /// Writes the weights of `units` columns, without the bias, transposed: panels `across` of `units` rows.
    pub(crate) fn transpose(&self, isa: Isa, units: usize, across: Panels, out: &mut [f32]) {
        isa.run_narrow(Transpose {
            weights: &self.weights,
            panels: self.panels,
            depth: self.depth,
            units,
            across,
            out,
        });
    }
}
