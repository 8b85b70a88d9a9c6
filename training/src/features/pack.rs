//! The pack of random-features trials: solves its members one by one, then tests all that share a map in one pass.

use std::collections::VecDeque;
use std::sync::Arc;

use descent_spec::id::ContentHash;
use descent_spec::outcome::{Measurement, StopReason, TrialResult};
use descent_spec::trial::{DataSpec, FeatureKind, Labels, ModelSpec, NoiseKind};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::map::{RandomMap, scale};
use super::score::Score;
use super::solve::least_squares;
use crate::data::{DataStore, Noise, Prepared};
use crate::device::Device;
use crate::pack::{Event, Member, Pack, Progress, TrainError};
use crate::samples::samples;

/// Samples whose features are made at a time: 256 × 4,000 features are 8 MiB.
const ROWS: usize = 256;

/// Makes a pack of the members that ask for random features, and says which cannot start.
///
/// Closed forms keep no checkpoints: a trial takes seconds, and one that is interrupted starts over.
#[must_use]
pub fn open(members: Vec<Member>, data: &DataStore) -> (Box<dyn Pack>, Vec<Event>) {
    let mut pack = FeaturePack {
        groups: VecDeque::new(),
        steps: 0,
    };
    let mut failed = Vec::new();
    for member in members {
        let key = member.key;
        if let Err(error) = pack.add(&member, data) {
            failed.push(Event::Failed { key, error });
        }
    }
    (Box::new(pack), failed)
}

struct FeaturePack {
    groups: VecDeque<Group>,
    /// Pieces of work done.
    steps: u64,
}

/// What trials share that are tested in one pass.
#[derive(Clone, PartialEq)]
struct Shared {
    kind: FeatureKind,
    bandwidth: f64,
    seed: u64,
    content: ContentHash,
    /// With no noise: noise touches neither inputs nor features.
    data: DataSpec,
}

/// Members that share samples and random map.
struct Group {
    shared: Shared,
    prepared: Arc<Prepared>,
    /// Drawn at the first step, for the widest member.
    map: Option<RandomMap>,
    /// Not solved yet.
    waiting: VecDeque<Asked>,
    /// Solved, being tested.
    solved: Vec<Solved>,
    /// Validation and test samples tested so far.
    tested: usize,
}

struct Asked {
    key: u64,
    width: usize,
    ridge: f64,
    noise: Noise,
}

struct Solved {
    key: u64,
    width: usize,
    /// `[width, outputs]`; `None` where numbers are not finite.
    coefficients: Option<Mat<f64>>,
    train: Score,
    validation: Score,
    test: Score,
}

impl FeaturePack {
    fn add(&mut self, member: &Member, data: &DataStore) -> Result<(), TrainError> {
        let ModelSpec::Features {
            kind,
            width,
            bandwidth,
            ridge,
        } = member.spec.model
        else {
            return Err(TrainError::BadSpec(
                "random features are asked for, but the model is another".to_owned(),
            ));
        };
        let shared = Shared {
            kind,
            bandwidth: if kind == FeatureKind::Fourier {
                bandwidth
            } else {
                1.0
            },
            seed: member.spec.seed,
            content: member.data,
            data: DataSpec {
                labels: Labels::True,
                label_noise: 0.0,
                noise_kind: NoiseKind::Other,
                dataset: String::new(),
                ..member.spec.data.clone()
            },
        };
        let asked = Asked {
            key: member.key,
            width: usize::try_from(width).expect("usize has at least 32 bits"),
            ridge,
            noise: Noise::of(&member.spec.data),
        };
        if asked.width == 0 {
            return Err(TrainError::BadSpec(
                "`model.width` is 0: there is nothing to fit with".to_owned(),
            ));
        }
        if let Some(group) = self.groups.iter_mut().find(|group| group.shared == shared) {
            group.waiting.push_back(asked);
            return Ok(());
        }
        let same = |group: &&Group| {
            group.shared.content == shared.content && group.shared.data == shared.data
        };
        let prepared = match self.groups.iter().find(same) {
            Some(group) => Arc::clone(&group.prepared),
            None => samples(data, member.data, &member.spec.data)?.0,
        };
        let waiting = VecDeque::from([asked]);
        self.groups.push_back(Group {
            shared,
            prepared,
            map: None,
            waiting,
            solved: Vec::new(),
            tested: 0,
        });
        Ok(())
    }
}

impl Pack for FeaturePack {
    /// A step is a piece of work: one member solved, or one block of samples tested for all members of a group.
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        for _ in 0..steps {
            let Some(group) = self.groups.front_mut() else {
                break;
            };
            self.steps += 1;
            let ended = group.advance();
            if !ended.is_empty() {
                self.groups.pop_front();
                return ended;
            }
        }
        Vec::new()
    }

    fn progress(&self) -> Vec<Progress> {
        let members = self.groups.iter().flat_map(Group::keys);
        members
            .map(|key| Progress {
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
        for group in &mut self.groups {
            group.waiting.retain(|asked| asked.key != key);
            group.solved.retain(|solved| solved.key != key);
        }
        self.groups.retain(|group| group.keys().next().is_some());
    }
}

impl Group {
    fn keys(&self) -> impl Iterator<Item = u64> {
        let waiting = self.waiting.iter().map(|asked| asked.key);
        waiting.chain(self.solved.iter().map(|solved| solved.key))
    }

    /// Does the next piece of work; at the last one, says how every member ended.
    fn advance(&mut self) -> Vec<Event> {
        let Shared {
            kind,
            bandwidth,
            seed,
            ..
        } = self.shared;
        let widest = self.waiting.iter().map(|asked| asked.width).max();
        let map = self.map.get_or_insert_with(|| {
            let width = widest.expect("a group starts with a member that waits");
            RandomMap::new(kind, bandwidth, seed, self.prepared.inputs, width)
        });
        if let Some(asked) = self.waiting.pop_front() {
            self.solved.push(asked.solve(&self.prepared, map, kind));
        } else {
            self.test_block();
        }
        let prepared = &self.prepared;
        let held_out = prepared.validation_y.len() + prepared.test_y.len();
        if !self.waiting.is_empty() || self.tested < held_out {
            return Vec::new();
        }
        self.solved
            .drain(..)
            .flat_map(|solved| solved.finish(prepared))
            .collect()
    }

    /// Makes the widest member's features of the next block of held-out samples once; every member takes the first of them.
    fn test_block(&mut self) {
        let prepared = &self.prepared;
        let in_validation = self.tested < prepared.validation_y.len();
        let (x, y, start) = if in_validation {
            (&prepared.validation_x, &prepared.validation_y, self.tested)
        } else {
            (
                &prepared.test_x,
                &prepared.test_y,
                self.tested - prepared.validation_y.len(),
            )
        };
        let end = (start + ROWS).min(y.len());
        let rows = &x[start * prepared.inputs..end * prepared.inputs];
        let members = || {
            self.solved
                .iter()
                .filter(|solved| solved.coefficients.is_some())
        };
        if let Some(width) = members().map(|solved| solved.width).max() {
            let map = self
                .map
                .as_ref()
                .expect("made before the first member was solved");
            let features = map.features(rows, width);
            for solved in &mut self.solved {
                let Some(coefficients) = &solved.coefficients else {
                    continue;
                };
                let mut outputs = Mat::zeros(end - start, prepared.outputs);
                let scale = scale(self.shared.kind, solved.width);
                let features = features.subcols(0, solved.width);
                matmul(
                    &mut outputs,
                    Accum::Replace,
                    features,
                    coefficients,
                    scale,
                    Par::Seq,
                );
                let score = if in_validation {
                    &mut solved.validation
                } else {
                    &mut solved.test
                };
                score.add(&outputs, &y[start..end]);
            }
        }
        self.tested += end - start;
    }
}

impl Asked {
    fn solve(self, prepared: &Prepared, map: &RandomMap, kind: FeatureKind) -> Solved {
        let labels = prepared.labels(&self.noise);
        let features =
            map.features(&prepared.train_x, self.width) * faer::Scale(scale(kind, self.width));
        let targets = Mat::from_fn(labels.len(), prepared.outputs, |row, output| {
            if usize::from(labels[row]) == output {
                1.0
            } else {
                0.0
            }
        });
        let coefficients = least_squares(features.as_ref(), targets.as_ref(), self.ridge);
        let mut train = Score::default();
        if let Some(coefficients) = &coefficients {
            train.add(&(&features * coefficients), &labels);
        }
        let (validation, test) = (Score::default(), Score::default());
        Solved {
            key: self.key,
            width: self.width,
            coefficients,
            train,
            validation,
            test,
        }
    }
}

impl Solved {
    fn finish(self, prepared: &Prepared) -> [Event; 2] {
        let key = self.key;
        let outputs = prepared.outputs;
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
        let weights = self.coefficients.as_ref().map(to_safetensors);
        let result = TrialResult {
            stop: StopReason::ClosedForm,
            last: measurement.clone(),
            diverged: self.coefficients.is_none() || measurement.test_loss.is_none(),
            coefficient_norm: self.coefficients.as_ref().map(Mat::norm_l2),
            parameters: self.width as u64 * outputs as u64,
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

/// The coefficients as `coefficients` `[features, outputs]` in 64-bit floats. The features are drawn from the seed.
pub(crate) fn to_safetensors(coefficients: &Mat<f64>) -> Vec<u8> {
    let (features, outputs) = (coefficients.nrows(), coefficients.ncols());
    let entries =
        (0..features).flat_map(|row| (0..outputs).map(move |column| coefficients[(row, column)]));
    let bytes: Vec<u8> = entries.flat_map(f64::to_le_bytes).collect();
    let view = TensorView::new(Dtype::F64, vec![features, outputs], &bytes)
        .expect("eight bytes per entry");
    serialize([("coefficients", view)], None).expect("one tensor of a known size")
}
