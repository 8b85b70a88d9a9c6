//! Degrees of freedom of linear fits: the same estimator, and the trace of the hat matrix beside it.
//!
//! Everything is in 64-bit floats. A fit is repeated by solving it again, draws side by side as further columns of targets; the
//! closed form takes nothing but the singular values of the matrix.

use std::collections::VecDeque;
use std::sync::Arc;

use descent_spec::asked::{Asked, FreedomSpec};
use descent_spec::closed::Closed;
use descent_spec::details::Details;
use descent_spec::id::ContentHash;
use descent_spec::outcome::{Measurement, StopReason, TrialResult};
use descent_spec::trial::{FeatureKind, ModelSpec};
use faer::{Mat, MatRef};

use super::{details, probes};
use crate::data::{DataStore, Prepared};
use crate::device::Device;
use crate::features::{RandomMap, Score, least_squares, scale, to_safetensors};
use crate::pack::{Event, Member, Pack, Progress, TrainError};
use crate::samples::samples;

/// Samples tested at a time.
const ROWS: usize = 256;

/// Makes a pack of the members that measure degrees of freedom in closed form, and says which cannot start.
///
/// They keep no checkpoints: one that is interrupted starts over.
pub(crate) fn open(members: Vec<Member>, data: &DataStore) -> (Box<dyn Pack>, Vec<Event>) {
    let mut pack = Fits {
        members: VecDeque::new(),
        steps: 0,
    };
    let mut failed = Vec::new();
    for member in members {
        let key = member.key;
        match Fit::new(&member, data) {
            Ok(fit) => pack.members.push_back((key, fit)),
            Err(error) => failed.push(Event::Failed { key, error }),
        }
    }
    (Box::new(pack), failed)
}

struct Fits {
    members: VecDeque<(u64, Fit)>,
    /// Pieces of work done.
    steps: u64,
}

/// The columns that a fit is linear in.
enum Design {
    Inputs,
    Features {
        kind: FeatureKind,
        width: usize,
        bandwidth: f64,
        /// Drawn at the first piece of work.
        map: Option<RandomMap>,
    },
}

struct Fit {
    freedom: FreedomSpec,
    design: Design,
    ridge: f64,
    seed: u64,
    data: Arc<Prepared>,
    labels: Arc<[u8]>,
    solved: Option<Solved>,
    /// Estimates so far.
    draws: Vec<Option<f64>>,
}

/// The fit to the targets as they are.
struct Solved {
    matrix: Mat<f64>,
    /// `None` where numbers are not finite.
    coefficients: Option<Mat<f64>>,
    targets: Mat<f64>,
    fitted: Mat<f64>,
    train: Score,
    closed_form: Option<f64>,
}

impl Design {
    /// Its columns for samples: `[samples, columns]`.
    fn matrix(&mut self, x: &[f32], inputs: usize, seed: u64) -> Mat<f64> {
        match self {
            Self::Inputs => Mat::from_fn(x.len() / inputs, inputs, |row, column| {
                f64::from(x[row * inputs + column])
            }),
            Self::Features {
                kind,
                width,
                bandwidth,
                map,
            } => {
                let map = map
                    .get_or_insert_with(|| RandomMap::new(*kind, *bandwidth, seed, inputs, *width));
                map.features(x, *width) * faer::Scale(scale(*kind, *width))
            }
        }
    }
}

impl Fit {
    fn new(member: &Member, data: &DataStore) -> Result<Self, TrainError> {
        let (design, ridge) = match member.spec.model {
            ModelSpec::Closed(Closed::Linear { ridge }) => (Design::Inputs, ridge),
            ModelSpec::Features {
                kind,
                width,
                bandwidth,
                ridge,
            } if width > 0 => {
                let features = Design::Features {
                    kind,
                    width: width as usize,
                    bandwidth,
                    map: None,
                };
                (features, ridge)
            }
            _ => {
                return Err(TrainError::BadSpec(
                    "degrees of freedom of a linear fit are asked for, but the model is another"
                        .to_owned(),
                ));
            }
        };
        let Asked::Freedom(freedom) = member.spec.asked else {
            return Err(TrainError::BadSpec(
                "no degrees of freedom are asked for".to_owned(),
            ));
        };
        let (data, labels) = samples(data, member.data, &member.spec.data)?;
        Ok(Self {
            freedom,
            design,
            ridge,
            seed: member.spec.seed,
            data,
            labels,
            solved: None,
            draws: Vec::new(),
        })
    }

    /// Does the next piece of work: the fit itself, or some draws; the result after the last.
    fn advance(&mut self) -> Option<(TrialResult, Option<Vec<u8>>)> {
        let Some(solved) = &self.solved else {
            self.solved = Some(self.solve());
            return None;
        };
        let all = self.freedom.draws as usize;
        let first = self.draws.len();
        if solved.coefficients.is_some() && first < all {
            let last = all.min(first + FreedomSpec::DRAWS_AT_A_TIME as usize);
            let estimates = self.repeat(solved, first, last);
            self.draws.extend(estimates);
            return None;
        }
        self.draws.resize(all, None);
        Some(self.finish())
    }

    fn solve(&mut self) -> Solved {
        let data = Arc::clone(&self.data);
        let matrix = self.design.matrix(&data.train_x, data.inputs, self.seed);
        let targets = Mat::from_fn(self.labels.len(), data.outputs, |row, output| {
            if usize::from(self.labels[row]) == output {
                1.0
            } else {
                0.0
            }
        });
        let coefficients = least_squares(matrix.as_ref(), targets.as_ref(), self.ridge);
        let mut train = Score::default();
        let mut fitted = Mat::zeros(0, 0);
        if let Some(coefficients) = &coefficients {
            fitted = &matrix * coefficients;
            train.add(&fitted, &self.labels);
        }
        Solved {
            closed_form: trace(matrix.as_ref(), self.ridge).map(|t| t * data.outputs as f64),
            matrix,
            coefficients,
            targets,
            fitted,
            train,
        }
    }

    /// Σ B∘(f′ − f) / ε of some draws.
    fn repeat(&self, solved: &Solved, first: usize, last: usize) -> Vec<Option<f64>> {
        let (samples, outputs) = (self.labels.len(), self.data.outputs);
        let probes: Vec<Vec<f64>> = (first..last)
            .map(|draw| {
                let draw = u32::try_from(draw).expect("draws are counted in 32 bits");
                probes::probe(&self.freedom, self.seed, draw, samples, outputs)
            })
            .collect();
        let epsilon = self.freedom.epsilon;
        let disturbed = Mat::from_fn(samples, probes.len() * outputs, |row, column| {
            let (draw, output) = (column / outputs, column % outputs);
            solved.targets[(row, output)] + epsilon * probes[draw][row * outputs + output]
        });
        let again = least_squares(solved.matrix.as_ref(), disturbed.as_ref(), self.ridge);
        let Some(again) = again else {
            return vec![None; probes.len()];
        };
        let fitted = &solved.matrix * again;
        let estimate = |(draw, probe): (usize, &Vec<f64>)| {
            let mut sum = 0.0;
            for row in 0..samples {
                for output in 0..outputs {
                    let moved =
                        fitted[(row, draw * outputs + output)] - solved.fitted[(row, output)];
                    sum += probe[row * outputs + output] * moved;
                }
            }
            Some(sum / epsilon).filter(|estimate| estimate.is_finite())
        };
        probes.iter().enumerate().map(estimate).collect()
    }

    fn finish(&mut self) -> (TrialResult, Option<Vec<u8>>) {
        let data = Arc::clone(&self.data);
        let solved = self.solved.take().expect("solved first");
        let outputs = data.outputs;
        let mut score = |x: &[f32], y: &[u8]| {
            let mut score = Score::default();
            if let Some(coefficients) = &solved.coefficients {
                for (x, y) in x.chunks(ROWS * data.inputs).zip(y.chunks(ROWS)) {
                    let matrix = self.design.matrix(x, data.inputs, self.seed);
                    score.add(&(matrix * coefficients), y);
                }
            }
            score
        };
        let validation = score(&data.validation_x, &data.validation_y);
        let test = score(&data.test_x, &data.test_y);
        let last = Measurement {
            epoch: 0,
            train_loss: solved.train.loss(outputs),
            train_error: solved.train.error(),
            validation_loss: validation.loss(outputs),
            validation_error: validation.error(),
            test_loss: test.loss(outputs),
            test_error: test.error(),
            dead_units: None,
        };
        let weights = solved.coefficients.as_ref().map(to_safetensors);
        let details = details(&self.draws, solved.closed_form);
        let result = TrialResult {
            stop: StopReason::ClosedForm,
            diverged: solved.coefficients.is_none() || last.test_loss.is_none(),
            last,
            coefficient_norm: solved.coefficients.as_ref().map(Mat::norm_l2),
            parameters: (solved.matrix.ncols() * outputs) as u64,
            details: Some(Details::DegreesOfFreedom(details)),
            weights: weights.as_deref().map(ContentHash::of),
            device: Device::Cpu.to_string(),
            instruction_set: Device::Cpu.instruction_set(),
            train_ms: 0,
        };
        (result, weights)
    }
}

/// The trace of the hat matrix: Σ s²/(s² + λ) over the singular values s, their number where λ is 0. Those that least squares counts as
/// zero count as zero here. `None` where they do not converge.
fn trace(matrix: MatRef<'_, f64>, ridge: f64) -> Option<f64> {
    let values = matrix.singular_values().ok()?;
    let largest = values.iter().copied().fold(0.0, f64::max);
    let cutoff = f64::EPSILON * matrix.nrows().max(matrix.ncols()) as f64 * largest;
    let part = |value: f64| match ridge > 0.0 {
        true => value * value / (value * value + ridge),
        false if value > cutoff => 1.0,
        false => 0.0,
    };
    Some(values.into_iter().map(part).sum())
}

impl Pack for Fits {
    /// A step is a piece of work: a member solved, or some of its draws.
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        for _ in 0..steps {
            let Some((key, fit)) = self.members.front_mut() else {
                break;
            };
            self.steps += 1;
            let key = *key;
            if let Some((result, weights)) = fit.advance() {
                self.members.pop_front();
                let measured = Event::Measured {
                    key,
                    measurement: result.last.clone(),
                };
                let finished = Event::Finished {
                    key,
                    result: Box::new(result),
                    weights,
                };
                return vec![measured, finished];
            }
        }
        Vec::new()
    }

    fn progress(&self) -> Vec<Progress> {
        let members = self.members.iter();
        members
            .map(|&(key, _)| Progress {
                key,
                epoch: 0,
                step: self.steps,
            })
            .collect()
    }

    fn checkpoint(&self, _key: u64) -> Option<Vec<u8>> {
        None
    }

    fn remove(&mut self, key: u64) {
        self.members.retain(|(other, _)| *other != key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;

    #[test]
    fn the_closed_form_is_the_trace_of_the_hat_matrix() {
        let mut stream = Stream::new("matrix", 0, 0);
        let (rows, columns, rank) = (20, 8, 5);
        let left = Mat::from_fn(rows, rank, |_, _| stream.normal());
        let right = Mat::from_fn(rank, columns, |_, _| stream.normal());
        let low = &left * right;
        assert_eq!(trace(low.as_ref(), 0.0), Some(5.0));
        // Columns of the hat matrix are the fits to unit vectors.
        let hat = |ridge: f64| {
            let unit = Mat::<f64>::identity(rows, rows);
            let a = least_squares(low.as_ref(), unit.as_ref(), ridge).unwrap();
            let fitted = &low * a;
            (0..rows).map(|row| fitted[(row, row)]).sum::<f64>()
        };
        for ridge in [0.0, 0.3, 50.0] {
            let (closed, summed) = (trace(low.as_ref(), ridge).unwrap(), hat(ridge));
            assert!((closed - summed).abs() < 1e-9, "{ridge}: {closed} {summed}");
        }
    }
}
