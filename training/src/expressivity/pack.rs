//! The pack of expressivity trials: one after the other, each in pieces short enough to be interrupted between them.

use std::collections::VecDeque;

use descent_spec::closed::{Closed, Precision};
use descent_spec::id::ContentHash;
use descent_spec::outcome::{Measurement, StopReason, TrialResult};
use descent_spec::trial::ModelSpec;

use super::double::Double;
use super::fit::{Fit, Outcome, Task, Work};
use super::repeats::{Contradiction, distinct};
use crate::data::{DataStore, Prepared};
use crate::device::Device;
use crate::pack::{Event, Member, Pack, Progress, TrainError};
use crate::samples::samples;

/// Makes a pack of the members that build a network for their samples, and says which cannot start.
///
/// They keep no checkpoints: one that is interrupted starts over.
#[must_use]
pub fn open(members: Vec<Member>, data: &DataStore) -> (Box<dyn Pack>, Vec<Event>) {
    let mut pack = ExpressivityPack {
        members: VecDeque::new(),
        steps: 0,
    };
    let mut failed = Vec::new();
    for member in members {
        match start(&member, data) {
            Ok(work) => pack.members.push_back((member.key, work)),
            Err(error) => failed.push(Event::Failed {
                key: member.key,
                error,
            }),
        }
    }
    (Box::new(pack), failed)
}

struct ExpressivityPack {
    members: VecDeque<(u64, Box<dyn Work>)>,
    /// Pieces of work done.
    steps: u64,
}

fn start(member: &Member, data: &DataStore) -> Result<Box<dyn Work>, TrainError> {
    let ModelSpec::Closed(Closed::Interpolator {
        directions,
        precision,
    }) = member.spec.model
    else {
        return Err(TrainError::BadSpec(
            "a network that takes any labels is asked for, but the model is another".to_owned(),
        ));
    };
    let (prepared, labels) = samples(data, member.data, &member.spec.data)?;
    let firsts = distinct(&prepared.train_x, prepared.inputs, &labels)
        .map_err(|found| contradiction(found, &prepared, &labels))?;
    let task = Task {
        labels: labels.to_vec(),
        data: prepared,
        distinct: firsts,
        directions,
        seed: member.spec.seed,
    };
    Ok(match precision {
        Precision::F32 => Box::new(Fit::<f32>::new(task)),
        Precision::F64 => Box::new(Fit::<f64>::new(task)),
        Precision::DoubleDouble => Box::new(Fit::<Double>::new(task)),
    })
}

/// No function takes two values on one sample. Another attempt would find the same: it is the description that cannot be met.
fn contradiction(found: Contradiction, data: &Prepared, labels: &[u8]) -> TrainError {
    let Contradiction {
        first,
        second,
        more,
    } = found;
    let others = match more {
        0 => String::new(),
        more => format!(", and {more} more like them"),
    };
    TrainError::BadSpec(format!(
        "bad data: training samples {} and {} of the data set are equal, but have labels {} and {}{others}: no function fits both. Draw other samples \
         (`data.samples`, `data.seed`) or labels (`data.labels`, `data.label_noise`)",
        data.train_index[first], data.train_index[second], labels[first], labels[second],
    ))
}

impl Pack for ExpressivityPack {
    /// A step is a piece of work: a direction tried, the network solved for, or a block of samples evaluated.
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        for _ in 0..steps {
            let Some((key, work)) = self.members.front_mut() else {
                break;
            };
            self.steps += 1;
            let key = *key;
            if let Some(outcome) = work.advance() {
                self.members.pop_front();
                return finish(key, outcome).into();
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

fn finish(key: u64, outcome: Outcome) -> [Event; 2] {
    let [train, validation, test] = outcome.scores;
    let measurement = Measurement {
        epoch: 0,
        train_loss: train.loss(),
        train_error: train.error(),
        validation_loss: validation.loss(),
        validation_error: validation.error(),
        test_loss: test.loss(),
        test_error: test.error(),
        dead_units: None,
    };
    let result = TrialResult {
        stop: StopReason::ClosedForm,
        last: measurement.clone(),
        diverged: !outcome.finite,
        coefficient_norm: None,
        parameters: outcome.parameters,
        details: Some(outcome.details),
        weights: Some(ContentHash::of(&outcome.artifact)),
        device: Device::Cpu.to_string(),
        instruction_set: Device::Cpu.instruction_set(),
        train_ms: 0,
    };
    [
        Event::Measured { key, measurement },
        Event::Finished {
            key,
            result: Box::new(result),
            weights: Some(outcome.artifact),
        },
    ]
}
