//! One trial's work, cut into pieces: directions, the solution, and the network's outputs on every sample.

use std::sync::Arc;

use descent_spec::details::{Details, Expressivity};
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::network::{Network, ascending, direction, project, smallest_gap, solve};
use super::real::{LANES, Real};
use crate::data::Prepared;

/// Projections evaluated at a time: at n = 60,000 and 106 bits, some hundredths of a second.
const ROWS: usize = 8 * LANES;

/// What a trial fits.
pub(super) struct Task {
    pub(super) data: Arc<Prepared>,
    /// Training labels.
    pub(super) labels: Vec<u8>,
    /// Of equal training samples, the first.
    pub(super) distinct: Vec<usize>,
    pub(super) directions: u32,
    pub(super) seed: u64,
}

/// What came of it.
pub(super) struct Outcome {
    /// On training, validation and test samples.
    pub(super) scores: [Score; 3],
    pub(super) details: Details,
    /// Weights of the network: d + 2 · distinct samples.
    pub(super) parameters: u64,
    /// Whether every weight and every output is finite.
    pub(super) finite: bool,
    pub(super) artifact: Vec<u8>,
}

/// The network's outputs beside the labels, read by rounding to the nearest whole number.
#[derive(Clone, Copy, Default)]
pub(super) struct Score {
    samples: u32,
    wrong: u32,
    squared: f64,
    largest: f64,
}

/// Work in any precision.
pub(super) trait Work: Send {
    /// Does the next piece; at the last one, says what came of it.
    fn advance(&mut self) -> Option<Outcome>;
}

/// Samples in the order of their projections, evaluated from the left.
struct Part<T> {
    projections: Vec<T>,
    labels: Vec<u8>,
    done: usize,
    score: Score,
}

/// The trial in one precision.
pub(super) struct Fit<T: Real> {
    task: Task,
    /// Directions tried so far.
    tried: u32,
    best: Option<Direction<T>>,
    network: Option<Network<T>>,
    parts: Vec<Part<T>>,
}

/// A direction with the training samples' projections.
struct Direction<T> {
    number: u32,
    vector: Vec<f32>,
    projections: Vec<T>,
    /// Distinct samples, by ascending projection.
    order: Vec<usize>,
    smallest_gap: f64,
}

impl<T: Real> Fit<T> {
    pub(super) fn new(task: Task) -> Self {
        Self {
            task,
            tried: 0,
            best: None,
            network: None,
            parts: Vec::new(),
        }
    }

    fn try_direction(&mut self) {
        let data = &self.task.data;
        let vector = direction(self.task.seed, self.tried, data.inputs);
        let projections = project::<T>(&vector, &data.train_x);
        let distinct: Vec<T> = self
            .task
            .distinct
            .iter()
            .map(|&at| projections[at])
            .collect();
        let order = ascending(&distinct);
        let sorted: Vec<T> = order.iter().map(|&at| distinct[at]).collect();
        let smallest_gap = smallest_gap(&sorted);
        if self
            .best
            .as_ref()
            .is_none_or(|best| smallest_gap > best.smallest_gap)
        {
            self.best = Some(Direction {
                number: self.tried,
                vector,
                projections,
                order: order.iter().map(|&at| self.task.distinct[at]).collect(),
                smallest_gap,
            });
        }
        self.tried += 1;
    }

    fn build(&mut self, chosen: Direction<T>) {
        let sorted: Vec<T> = chosen
            .order
            .iter()
            .map(|&at| chosen.projections[at])
            .collect();
        let values: Vec<f64> = chosen
            .order
            .iter()
            .map(|&at| self.task.labels[at].into())
            .collect();
        let (kinks, weights) = solve(&sorted, &values);
        let data = &self.task.data;
        let held_out = |rows: &[f32]| project::<T>(&chosen.vector, rows);
        self.parts = vec![
            Part::new(&chosen.projections, &self.task.labels),
            Part::new(&held_out(&data.validation_x), &data.validation_y),
            Part::new(&held_out(&data.test_x), &data.test_y),
        ];
        self.network = Some(Network {
            direction: chosen.vector,
            chosen: chosen.number,
            kinks,
            weights,
            smallest_gap: chosen.smallest_gap,
        });
    }

    fn outcome(&self, network: &Network<T>) -> Outcome {
        let scores = [0, 1, 2].map(|part: usize| self.parts[part].score);
        let largest_weight = network.largest_weight();
        let distinct = u32::try_from(network.weights.len()).unwrap_or(u32::MAX);
        let [train, ..] = scores;
        Outcome {
            finite: largest_weight.is_some()
                && scores.iter().all(|score| score.squared.is_finite()),
            parameters: network.direction.len() as u64 + 2 * network.weights.len() as u64,
            details: Details::Expressivity(Expressivity {
                distinct,
                direction: network.chosen,
                misfits: train.wrong,
                max_error: train.largest.is_finite().then_some(train.largest),
                smallest_gap: network
                    .smallest_gap
                    .is_finite()
                    .then_some(network.smallest_gap),
                largest_weight,
            }),
            artifact: to_safetensors(network),
            scores,
        }
    }
}

impl<T: Real> Work for Fit<T> {
    fn advance(&mut self) -> Option<Outcome> {
        if self.tried < self.task.directions {
            self.try_direction();
            return None;
        }
        if let Some(chosen) = self.best.take() {
            self.build(chosen);
            return None;
        }
        let network = self.network.as_ref()?;
        if let Some(part) = self
            .parts
            .iter_mut()
            .find(|part| part.done < part.labels.len())
        {
            part.advance(network);
        }
        let left = self.parts.iter().any(|part| part.done < part.labels.len());
        (!left).then(|| self.outcome(network))
    }
}

impl<T: Real> Part<T> {
    fn new(projections: &[T], labels: &[u8]) -> Self {
        let order = ascending(projections);
        Self {
            projections: order.iter().map(|&at| projections[at]).collect(),
            labels: order.iter().map(|&at| labels[at]).collect(),
            done: 0,
            score: Score::default(),
        }
    }

    fn advance(&mut self, network: &Network<T>) {
        let end = (self.done + ROWS).min(self.labels.len());
        let outputs = network.outputs(&self.projections[self.done..end]);
        for (output, &label) in outputs.iter().zip(&self.labels[self.done..end]) {
            self.score.add(*output, label);
        }
        self.done = end;
    }
}

impl Score {
    fn add<T: Real>(&mut self, output: T, label: u8) {
        let off = output.sub(T::of(label.into())).number();
        self.samples += 1;
        // A number that is none is wrong too. Halfway between two labels neither is read.
        self.wrong += u32::from(off.is_nan() || off.abs() >= 0.5);
        self.squared += off * off;
        self.largest = if off.is_nan() {
            f64::NAN
        } else {
            self.largest.max(off.abs())
        };
    }

    /// Mean of (c − y)² over samples; `None` without samples or where it is not finite.
    pub(super) fn loss(&self) -> Option<f64> {
        let loss = self.squared / f64::from(self.samples);
        loss.is_finite().then_some(loss)
    }

    /// Share of samples whose label is not read; `None` without samples.
    pub(super) fn error(&self) -> Option<f64> {
        (self.samples > 0).then(|| f64::from(self.wrong) / f64::from(self.samples))
    }
}

/// `direction` `[inputs]`; `kinks` and `weights` `[distinct samples, parts]`, in 106 bits as two doubles to be added.
fn to_safetensors<T: Real>(network: &Network<T>) -> Vec<u8> {
    let single =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let parts = |values: &[T]| -> Vec<u8> {
        let parts = values
            .iter()
            .flat_map(|value| value.parts().into_iter().take(T::PARTS));
        parts.flat_map(f64::to_le_bytes).collect()
    };
    let (direction, kinks, weights) = (
        single(&network.direction),
        parts(&network.kinks),
        parts(&network.weights),
    );
    let shape = vec![network.kinks.len(), T::PARTS];
    let view = |kind, shape, bytes| {
        TensorView::new(kind, shape, bytes).expect("as many bytes as the shape says")
    };
    let tensors = [
        (
            "direction",
            view(Dtype::F32, vec![network.direction.len()], &direction[..]),
        ),
        ("kinks", view(Dtype::F64, shape.clone(), &kinks[..])),
        ("weights", view(Dtype::F64, shape, &weights[..])),
    ];
    serialize(tensors, None).expect("three tensors of known sizes")
}
