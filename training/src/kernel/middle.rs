//! Everything between the two products of a network with one hidden layer, in one pass: the output layer, the loss and its
//! gradient, the gradient at the hidden units, and the output layer's step.
//!
//! Hidden units are read, and their gradients written, where the stacked product left them: nothing is copied. Sums run in
//! ascending order, each in one lane, as everywhere in here.

use descent_spec::trial::Loss;

use super::exponential::exp;
use super::rule::{Mover, Spot};
use super::sheet::Strip;
use super::{Kept, Lanes, Op, Rule, Sheet, TILE};

/// Outputs beyond which a network takes the general path.
pub(crate) const MOST_OUTPUTS: usize = 16;

/// The output layer: `out[sample] = hidden[sample] · weights`, 8 or 16 numbers wide.
pub(crate) struct Outputs<'a> {
    /// Outputs of the hidden layers of all members.
    pub(crate) hidden: &'a [f32],
    pub(crate) sheet: Sheet,
    pub(crate) rows: usize,
    /// `[units + 1][width]`, the last row the bias.
    pub(crate) weights: &'a [f32],
    /// Numbers a sample: 8 or 16.
    pub(crate) width: usize,
    pub(crate) out: &'a mut [f32],
}

impl Op for Outputs<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        if self.width == TILE {
            self.all::<L, 1>(lanes);
        } else {
            self.all::<L, 2>(lanes);
        }
    }
}

impl Outputs<'_> {
    #[inline(always)]
    fn all<L: Lanes, const V: usize>(self, lanes: L) {
        let mut row = 0;
        while self.rows - row >= 4 {
            let sums = product::<L, 4, V>(lanes, self.hidden, &self.sheet, self.weights, row);
            let out = &mut self.out[row * self.width..(row + 4) * self.width];
            for (out, sums) in L::split_mut(out).chunks_exact_mut(V).zip(&sums) {
                out.copy_from_slice(sums);
            }
            row += 4;
        }
        while row < self.rows {
            let [sums] = product::<L, 1, V>(lanes, self.hidden, &self.sheet, self.weights, row);
            let out = &mut self.out[row * self.width..(row + 1) * self.width];
            L::split_mut(out).copy_from_slice(&sums);
            row += 1;
        }
    }
}

/// Outputs of R samples.
#[inline(always)]
fn product<L: Lanes, const R: usize, const V: usize>(
    lanes: L,
    hidden: &[f32],
    sheet: &Sheet,
    weights: &[f32],
    row: usize,
) -> [[L::Register; V]; R] {
    let mut sums = [[lanes.splat(0.0); V]; R];
    let weights = L::split(weights);
    for unit in (0..sheet.units).step_by(TILE) {
        let Strip { first, step } = sheet.strip(unit);
        let mut samples = [&[0.0_f32; TILE]; R];
        for (r, sample) in samples.iter_mut().enumerate() {
            let from = &hidden[first + (row + r) * step..][..TILE];
            *sample = from.try_into().expect("a tile's columns");
        }
        if sheet.units - unit >= TILE {
            let weights = &weights[unit * V..(unit + TILE) * V];
            for k in 0..TILE {
                add::<L, R, V>(lanes, &mut sums, &samples, k, &weights[k * V..(k + 1) * V]);
            }
        } else {
            let weights = &weights[unit * V..sheet.units * V];
            for (k, weights) in weights.chunks_exact(V).enumerate().take(TILE) {
                add::<L, R, V>(lanes, &mut sums, &samples, k, weights);
            }
        }
    }
    let bias = &weights[sheet.units * V..(sheet.units + 1) * V];
    for sums in &mut sums {
        for v in 0..V {
            sums[v] = lanes.add(sums[v], bias[v]);
        }
    }
    sums
}

/// Adds one unit's part to the outputs of R samples.
#[inline(always)]
fn add<L: Lanes, const R: usize, const V: usize>(
    lanes: L,
    sums: &mut [[L::Register; V]; R],
    samples: &[&[f32; TILE]; R],
    k: usize,
    weights: &[L::Register],
) {
    for r in 0..R {
        let x = lanes.splat(samples[r][k]);
        for v in 0..V {
            sums[r][v] = lanes.mul_add(x, weights[v], sums[r][v]);
        }
    }
}

/// One member's pass.
pub(crate) struct Middle<'a> {
    /// Outputs of the hidden layers of all members; this member's columns become the gradients at its hidden units' sums.
    pub(crate) hidden: &'a mut [f32],
    pub(crate) sheet: Sheet,
    pub(crate) rows: usize,
    /// `[units + 1][width]`, the last row the bias.
    pub(crate) weights: &'a mut [f32],
    /// Numbers a sample in `deltas`: 8 or 16.
    pub(crate) width: usize,
    pub(crate) kept: Kept<'a>,
    pub(crate) rule: Rule<'a>,
    pub(crate) loss: Loss,
    pub(crate) outputs: usize,
    /// One for each sample.
    pub(crate) labels: &'a [u8],
    /// Room for the gradients at the outputs: `[rows][width]`.
    pub(crate) deltas: &'a mut [f32],
    /// Set when an output or the loss is not finite.
    pub(crate) diverged: &'a mut bool,
}

/// For every label its one-hot vector.
const ONE_HOT: [[f32; MOST_OUTPUTS]; MOST_OUTPUTS] = {
    let mut table = [[0.0; MOST_OUTPUTS]; MOST_OUTPUTS];
    let mut label = 0;
    while label < MOST_OUTPUTS {
        table[label][label] = 1.0;
        label += 1;
    }
    table
};

impl Op for Middle<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        if self.width == TILE {
            self.all::<L, 1, 8>(lanes);
        } else {
            self.all::<L, 2, 4>(lanes);
        }
    }
}

impl Middle<'_> {
    /// V registers of outputs; U units of the output layer's gradient at a time.
    #[inline(always)]
    fn all<L: Lanes, const V: usize, const U: usize>(mut self, lanes: L) {
        self.output_deltas::<L, V>(lanes);
        let bias = self.bias_gradient::<L, V>(lanes);
        let mut rule = self.rule.take();
        let mut mover = rule.panel::<L, V>(0, 0..self.weights.len());
        for unit in (0..self.sheet.units).step_by(TILE) {
            let strip = self.sheet.strip(unit);
            let valid = (self.sheet.units - unit).min(TILE);
            let mut above = [[0.0; TILE]; MOST_OUTPUTS];
            let weights = &self.weights[unit * self.width..(unit + valid) * self.width];
            for (j, weights) in weights.chunks_exact(V * TILE).enumerate() {
                for (above, &weight) in above.iter_mut().zip(weights) {
                    above[j] = weight;
                }
            }
            for part in (0..valid).step_by(U) {
                let gradient = self.gradient::<L, V, U>(lanes, strip, part);
                let rows = gradient.iter().take((valid - part).min(U));
                for (row, gradient) in (unit + part..).zip(rows) {
                    self.step::<L, V>(lanes, &mut mover, gradient, row);
                }
            }
            self.hidden_deltas::<L, V>(lanes, strip, &above);
        }
        self.step::<L, V>(lanes, &mut mover, &bias, self.sheet.units);
    }

    /// Moves one row of the weights.
    #[inline(always)]
    fn step<L: Lanes, const V: usize>(
        &mut self,
        lanes: L,
        mover: &mut Mover<'_, L::Register, V>,
        gradient: &[L::Register; V],
        row: usize,
    ) {
        let weights = L::split_mut(self.weights);
        let mask = self.kept.panel(0).map(L::split);
        for (v, &gradient) in gradient.iter().enumerate() {
            let at = Spot {
                index: row * V + v,
                v,
                // The last row is the bias.
                decays: row < self.sheet.units,
            };
            mover.step(lanes, gradient, weights, mask, at);
        }
    }

    /// The loss's gradient at the outputs.
    #[inline(always)]
    fn output_deltas<L: Lanes, const V: usize>(&mut self, lanes: L) {
        let mut check = [lanes.splat(0.0); V];
        let mut row = 0;
        while self.rows - row >= 4 {
            let sums = product::<L, 4, V>(lanes, self.hidden, &self.sheet, self.weights, row);
            for (r, sums) in sums.into_iter().enumerate() {
                self.loss_gradient::<L, V>(lanes, row + r, sums, &mut check);
            }
            row += 4;
        }
        while row < self.rows {
            let [sums] = product::<L, 1, V>(lanes, self.hidden, &self.sheet, self.weights, row);
            self.loss_gradient::<L, V>(lanes, row, sums, &mut check);
            row += 1;
        }
        let mut numbers = [0.0; MOST_OUTPUTS];
        L::split_mut(&mut numbers)[..V].copy_from_slice(&check);
        *self.diverged |= numbers.iter().any(|number| !number.is_finite());
    }

    #[inline(always)]
    fn loss_gradient<L: Lanes, const V: usize>(
        &mut self,
        lanes: L,
        row: usize,
        sums: [L::Register; V],
        check: &mut [L::Register; V],
    ) {
        let scale = lanes.splat(1.0 / self.rows as f32);
        let label = usize::from(self.labels[row]) % MOST_OUTPUTS;
        let target = L::split(&ONE_HOT[label]);
        let out = &mut self.deltas[row * V * TILE..(row + 1) * V * TILE];
        match self.loss {
            Loss::Squared => {
                let out = L::split_mut(out);
                for v in 0..V {
                    let d = lanes.sub(sums[v], target[v]);
                    check[v] = lanes.mul_add(d, d, check[v]);
                    out[v] = lanes.mul(lanes.mul(lanes.splat(2.0), d), scale);
                }
            }
            Loss::CrossEntropy => {
                let mut numbers = [0.0; MOST_OUTPUTS];
                L::split_mut(&mut numbers)[..V].copy_from_slice(&sums);
                let mut top = numbers[0];
                for &number in &numbers[1..self.outputs] {
                    top = if number > top { number } else { top };
                }
                for v in 0..V {
                    // Not a number where the output is not finite, and 0 elsewhere.
                    check[v] = lanes.mul_add(sums[v], lanes.splat(0.0), check[v]);
                    let shifted = lanes.add(sums[v], lanes.splat(-top));
                    L::split_mut(&mut numbers)[v] = exp(lanes, shifted);
                }
                let mut sum = 0.0;
                for &number in &numbers[..self.outputs] {
                    sum += number;
                }
                // Lanes that are no output.
                numbers[self.outputs..].fill(0.0);
                let (out, numbers) = (L::split_mut(out), L::split(&numbers));
                for v in 0..V {
                    let p = lanes.div(numbers[v], lanes.splat(sum));
                    out[v] = lanes.mul(lanes.sub(p, target[v]), scale);
                }
            }
        }
    }

    /// Σ over samples of their gradients at the outputs.
    #[inline(always)]
    fn bias_gradient<L: Lanes, const V: usize>(&self, lanes: L) -> [L::Register; V] {
        let mut sums = [lanes.splat(0.0); V];
        for deltas in L::split(&self.deltas[..self.rows * V * TILE]).chunks_exact(V) {
            for v in 0..V {
                sums[v] = lanes.add(sums[v], deltas[v]);
            }
        }
        sums
    }

    /// The gradient of the output layer's weights from U units of a tile.
    #[inline(always)]
    fn gradient<L: Lanes, const V: usize, const U: usize>(
        &self,
        lanes: L,
        strip: Strip,
        part: usize,
    ) -> [[L::Register; V]; U] {
        let mut sums = [[lanes.splat(0.0); V]; U];
        let deltas = L::split(&self.deltas[..self.rows * V * TILE]);
        let samples = self.hidden[strip.first + part..].chunks(strip.step);
        for (sample, deltas) in samples.zip(deltas.chunks_exact(V)) {
            let sample = &sample[..U];
            for u in 0..U {
                let x = lanes.splat(sample[u]);
                for v in 0..V {
                    sums[u][v] = lanes.mul_add(x, deltas[v], sums[u][v]);
                }
            }
        }
        sums
    }

    /// The gradient at a tile's units; takes their outputs' place. `above` is the weights from these units, by output.
    #[inline(always)]
    fn hidden_deltas<L: Lanes, const V: usize>(
        &mut self,
        lanes: L,
        strip: Strip,
        above: &[[f32; TILE]; MOST_OUTPUTS],
    ) {
        let mut row = 0;
        while self.rows - row >= 8 {
            self.some_deltas::<L, 8, V>(lanes, strip, above, row);
            row += 8;
        }
        while self.rows - row >= 4 {
            self.some_deltas::<L, 4, V>(lanes, strip, above, row);
            row += 4;
        }
        while row < self.rows {
            self.some_deltas::<L, 1, V>(lanes, strip, above, row);
            row += 1;
        }
    }

    #[inline(always)]
    fn some_deltas<L: Lanes, const R: usize, const V: usize>(
        &mut self,
        lanes: L,
        strip: Strip,
        above: &[[f32; TILE]; MOST_OUTPUTS],
        row: usize,
    ) {
        let mut sums = [lanes.splat(0.0); R];
        let deltas = &self.deltas[row * V * TILE..(row + R) * V * TILE];
        for k in 0..V * TILE {
            if k == self.outputs {
                break;
            }
            let weights = L::split(&above[k])[0];
            for r in 0..R {
                let x = lanes.splat(deltas[r * V * TILE + k]);
                sums[r] = lanes.mul_add(x, weights, sums[r]);
            }
        }
        for (r, sum) in sums.into_iter().enumerate() {
            let at = strip.first + (row + r) * strip.step;
            let hidden = L::split_mut(&mut self.hidden[at..at + TILE]);
            hidden[0] = lanes.gate(hidden[0], sum);
        }
    }
}
