//! A network's fit, and the same fit on disturbed targets: trained side by side, from the same start, in the same order.

use std::sync::Arc;

use descent_spec::asked::{Asked, FreedomSpec};
use descent_spec::details::Details;
use descent_spec::outcome::{Measurement, TrialResult};
use descent_spec::trial::{Experiment, Spread, TrialSpec};
use faer::{Mat, MatRef};
use serde::{Deserialize, Serialize};

use super::{details, probes};
use crate::course::{Answer, Course, Run, Saved, Turn, steps};
use crate::data::Prepared;
use crate::mlp::{Dense, Plan};
use crate::pack::{Member, TrainError};
use crate::weights;

/// Samples that go through a network at a time.
const ROWS: usize = 1_000;

/// A fit and its repetitions. Training 0 is of the targets as they are; it is trained on shifts of zero, so that its arithmetic is
/// that of the others.
pub(crate) struct Repeats {
    member: Member,
    freedom: FreedomSpec,
    data: Arc<Prepared>,
    labels: Arc<[u8]>,
    plan: Plan,
    /// How trainings ended; `None`: under way.
    ended: Vec<Option<Ended>>,
}

/// How a training ended.
#[derive(Serialize, Deserialize)]
struct Ended {
    result: TrialResult,
    /// Final weights; in a file of their own where it is saved.
    #[serde(skip)]
    weights: Option<Vec<u8>>,
}

impl Repeats {
    /// From the start, or where it was saved.
    ///
    /// # Errors
    /// When the description asks for a network that cannot be, or what was saved is of another trial.
    pub(crate) fn new(
        member: Member,
        freedom: FreedomSpec,
        data: Arc<Prepared>,
        labels: Arc<[u8]>,
        saved: Option<Saved>,
    ) -> Result<Self, TrainError> {
        let plan = Plan::new(&once(&member.spec), &data)?;
        let runs = freedom.draws as usize + 1;
        let mut ended: Vec<Option<Ended>> = (0..runs).map(|_| None).collect();
        if let Some(saved) = saved {
            let broken = |error| TrainError::Artifact(format!("not a repeated fit: {error}"));
            ended = serde_json::from_str(&saved.note).map_err(broken)?;
            let mut files = saved.files.into_iter();
            for ended in ended.iter_mut().flatten() {
                if ended.result.weights.is_some() {
                    ended.weights = files.next();
                }
            }
            if ended.len() != runs || files.next().is_some() {
                return Err(TrainError::Artifact("of another repeated fit".to_owned()));
            }
        }
        Ok(Self {
            member,
            freedom,
            data,
            labels,
            plan,
            ended,
        })
    }

    /// What is added to the targets of a draw.
    fn shifts(&self, draw: u32) -> Vec<f32> {
        let (samples, outputs) = (self.labels.len(), self.data.outputs);
        let probe = probes::probe(&self.freedom, self.member.spec.seed, draw, samples, outputs);
        let shifted = probe.iter().map(|b| (self.freedom.epsilon * b) as f32);
        shifted.collect()
    }

    /// Outputs of a trained network for all training samples, computed from its weights in double precision.
    fn fitted(&self, run: usize) -> Option<Mat<f64>> {
        let bytes = self.ended[run].as_ref()?.weights.as_ref()?;
        let layers = weights::parent(bytes, &self.plan).ok()?;
        Some(outputs(&layers, &self.data))
    }

    /// Σ B∘(f′ − f) / ε of a draw.
    fn estimate(&self, draw: u32, fitted: &Mat<f64>) -> Option<f64> {
        let disturbed = self.fitted(draw as usize + 1)?;
        let outputs = self.data.outputs;
        let mut sum = 0.0;
        for (place, shift) in self.shifts(draw).into_iter().enumerate() {
            let (row, output) = (place / outputs, place % outputs);
            sum += f64::from(shift) * (disturbed[(row, output)] - fitted[(row, output)]);
        }
        // The shift is ε·B, rounded.
        let estimate = sum / (self.freedom.epsilon * self.freedom.epsilon);
        estimate.is_finite().then_some(estimate)
    }
}

/// A trial's description as one of a single training.
fn once(spec: &TrialSpec) -> TrialSpec {
    TrialSpec {
        experiment: Experiment::RiskCurve,
        asked: Asked::Nothing,
        ..spec.clone()
    }
}

/// Outputs of a network of dense layers for all training samples: `[samples, outputs]`.
fn outputs(layers: &[Dense], data: &Prepared) -> Mat<f64> {
    let layers: Vec<Mat<f64>> = layers
        .iter()
        .map(|layer| {
            Mat::from_fn(layer.rows, layer.columns, |row, column| {
                f64::from(layer.row(row)[column])
            })
        })
        .collect();
    let samples = data.train_y.len();
    let mut all = Mat::zeros(samples, data.outputs);
    for (block, x) in data.train_x.chunks(ROWS * data.inputs).enumerate() {
        let rows = x.len() / data.inputs;
        let mut values = Mat::from_fn(rows, data.inputs, |row, column| {
            f64::from(x[row * data.inputs + column])
        });
        for (index, layer) in layers.iter().enumerate() {
            values = pass(values.as_ref(), layer, index + 1 < layers.len());
        }
        all.subrows_mut(block * ROWS, rows).copy_from(&values);
    }
    all
}

/// One layer: its last row is the bias.
fn pass(values: MatRef<'_, f64>, layer: &Mat<f64>, rectify: bool) -> Mat<f64> {
    let inputs = layer.nrows() - 1;
    let mut sums = values * layer.subrows(0, inputs);
    for row in 0..sums.nrows() {
        for column in 0..sums.ncols() {
            let sum = sums[(row, column)] + layer[(inputs, column)];
            sums[(row, column)] = if rectify { sum.max(0.0) } else { sum };
        }
    }
    sums
}

impl Course for Repeats {
    fn steps(&self) -> u64 {
        steps(&self.member.spec, self.labels.len())
    }

    fn runs(&self) -> Vec<Run> {
        let run = |index: u32| {
            let mut spec = once(&self.member.spec);
            let shifts = match index.checked_sub(1) {
                None => vec![0.0; self.labels.len() * self.data.outputs],
                Some(draw) => {
                    spec.evaluate.spread = Spread::End;
                    self.shifts(draw)
                }
            };
            Run {
                member: Member {
                    key: 0,
                    spec,
                    data: self.member.data,
                    checkpoint: None,
                    parent_weights: None,
                },
                data: Arc::clone(&self.data),
                labels: Arc::clone(&self.labels),
                shifts: Some(shifts.into()),
                keeps_coordinates: false,
            }
        };
        (0..=self.freedom.draws).map(run).collect()
    }

    fn is_heard(&self, run: usize) -> bool {
        self.ended[run].is_some()
    }

    fn measured(&mut self, run: usize, _measurement: &Measurement) -> Answer {
        if run == 0 { Answer::Tell } else { Answer::GoOn }
    }

    fn ended(&mut self, run: usize, result: TrialResult, weights: Option<Vec<u8>>) {
        self.ended[run] = Some(Ended { result, weights });
    }

    fn turn(&mut self) -> Turn {
        let draws: Vec<Option<f64>> = match self.fitted(0) {
            Some(fitted) => (0..self.freedom.draws)
                .map(|draw| self.estimate(draw, &fitted))
                .collect(),
            None => vec![None; self.freedom.draws as usize],
        };
        let first = self.ended[0].take().expect("every training has ended");
        let result = TrialResult {
            details: Some(Details::DegreesOfFreedom(details(&draws, None))),
            ..first.result
        };
        Turn::Over(Box::new(result), first.weights)
    }

    fn save(&self) -> Saved {
        let files = self.ended.iter().flatten();
        Saved {
            note: serde_json::to_string(&self.ended).expect("finite numbers and plain names"),
            files: files.filter_map(|ended| ended.weights.clone()).collect(),
        }
    }
}
