//! The pack of kernel trials: each solved at once, then tested block by block.

use std::collections::VecDeque;
use std::sync::Arc;

use descent_spec::closed::Closed;
use descent_spec::id::ContentHash;
use descent_spec::outcome::{Measurement, StopReason, TrialResult};
use descent_spec::trial::{FeatureKind, ModelSpec};
use faer::Mat;

use super::kernel::{Kernel, norm, solve};
use super::pack::to_safetensors;
use super::score::Score;
use crate::data::{DataStore, Prepared};
use crate::device::Device;
use crate::pack::{Event, Member, Pack, Progress, TrainError};
use crate::samples::samples;

/// Samples whose kernel values are made at a time: 256 × 10,000 are 20 MB.
const ROWS: usize = 256;

/// Makes a pack of the members that interpolate with a kernel, and says which cannot start.
///
/// They keep no checkpoints: one that is interrupted starts over.
pub(crate) fn open(members: Vec<Member>, data: &DataStore) -> (Box<dyn Pack>, Vec<Event>) {
    let mut pack = Limits {
        members: VecDeque::new(),
        steps: 0,
    };
    let mut failed = Vec::new();
    for member in members {
        let key = member.key;
        match Limit::new(&member, data) {
            Ok(limit) => pack.members.push_back((key, limit)),
            Err(error) => failed.push(Event::Failed { key, error }),
        }
    }
    (Box::new(pack), failed)
}

struct Limits {
    members: VecDeque<(u64, Limit)>,
    /// Pieces of work done.
    steps: u64,
}

struct Limit {
    kind: FeatureKind,
    bandwidth: f64,
    ridge: f64,
    data: Arc<Prepared>,
    labels: Arc<[u8]>,
    solved: Option<Solved>,
}

struct Solved {
    kernel: Kernel,
    /// `[samples, outputs]`; `None` where numbers are not finite.
    alpha: Option<Mat<f64>>,
    norm: Option<f64>,
    train: Score,
    validation: Score,
    test: Score,
    /// Validation and test samples tested so far.
    tested: usize,
}

impl Limit {
    fn new(member: &Member, data: &DataStore) -> Result<Self, TrainError> {
        let ModelSpec::Closed(Closed::Kernel {
            kind,
            bandwidth,
            ridge,
        }) = member.spec.model
        else {
            return Err(TrainError::BadSpec(
                "a kernel is asked for, but the model is another".to_owned(),
            ));
        };
        let (data, labels) = samples(data, member.data, &member.spec.data)?;
        Ok(Self {
            kind,
            bandwidth,
            ridge,
            data,
            labels,
            solved: None,
        })
    }

    /// Does the next piece of work: everything about the training samples, or a block of others; says whether that was the last.
    fn advance(&mut self) -> bool {
        let held_out = self.data.validation_y.len() + self.data.test_y.len();
        let Some(solved) = &mut self.solved else {
            self.solved = Some(self.solve());
            return held_out == 0;
        };
        solved.test_block(&self.data);
        solved.tested >= held_out
    }

    fn solve(&self) -> Solved {
        let data = &self.data;
        let kernel = Kernel::new(self.kind, self.bandwidth, &data.train_x, data.inputs);
        let values = kernel.values(&data.train_x);
        let targets = Mat::from_fn(self.labels.len(), data.outputs, |row, output| {
            f64::from(u8::from(usize::from(self.labels[row]) == output))
        });
        let alpha = solve(values.as_ref(), targets.as_ref(), self.ridge);
        let mut train = Score::default();
        if let Some(alpha) = &alpha {
            train.add(&(&values * alpha), &self.labels);
        }
        Solved {
            norm: alpha.as_ref().map(|alpha| norm(values.as_ref(), alpha)),
            kernel,
            alpha,
            train,
            validation: Score::default(),
            test: Score::default(),
            tested: 0,
        }
    }
}

impl Solved {
    fn test_block(&mut self, data: &Prepared) {
        let validation = data.validation_y.len();
        let (x, y, start, score) = if self.tested < validation {
            let held_out = (&data.validation_x, &data.validation_y);
            (held_out.0, held_out.1, self.tested, &mut self.validation)
        } else {
            let start = self.tested - validation;
            (&data.test_x, &data.test_y, start, &mut self.test)
        };
        let end = (start + ROWS).min(y.len());
        if let Some(alpha) = &self.alpha {
            let values = self
                .kernel
                .values(&x[start * data.inputs..end * data.inputs]);
            score.add(&(values * alpha), &y[start..end]);
        }
        self.tested += end - start;
    }

    fn finish(self, key: u64, outputs: usize) -> [Event; 2] {
        let measurement = Measurement {
            epoch: 0,
            train_loss: self.train.loss(outputs),
            train_error: self.train.error(),
            validation_loss: self.validation.loss(outputs),
            validation_error: self.validation.error(),
            test_loss: self.test.loss(outputs),
            test_error: self.test.error(),
            dead_units: None,
        };
        let weights = self.alpha.as_ref().map(to_safetensors);
        let result = TrialResult {
            stop: StopReason::ClosedForm,
            last: measurement.clone(),
            diverged: self.alpha.is_none() || measurement.test_loss.is_none(),
            coefficient_norm: self.norm,
            parameters: self
                .alpha
                .as_ref()
                .map_or(0, |alpha| alpha.nrows() as u64 * alpha.ncols() as u64),
            details: None,
            weights: weights.as_deref().map(ContentHash::of),
            device: Device::Cpu.to_string(),
            instruction_set: Device::Cpu.instruction_set(),
            train_ms: 0,
        };
        [
            Event::Measured { key, measurement },
            Event::Finished {
                key,
                result: Box::new(result),
                weights,
            },
        ]
    }
}

impl Pack for Limits {
    /// A step is a piece of work.
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        for _ in 0..steps {
            let Some((_, limit)) = self.members.front_mut() else {
                break;
            };
            self.steps += 1;
            if limit.advance() {
                let ended = self.members.pop_front();
                return ended.map_or_else(Vec::new, |(key, limit)| {
                    let outputs = limit.data.outputs;
                    let finish = |solved: Solved| solved.finish(key, outputs).into();
                    limit.solved.map_or_else(Vec::new, finish)
                });
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
