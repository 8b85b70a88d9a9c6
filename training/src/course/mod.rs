//! Trials of several trainings, in stages: a code's blocks, or one fit repeated on other targets.
//!
//! A course says which trainings its next stage takes and hears what becomes of them; it never sees a step. All courses of a pack go
//! through their stages together, so that trainings on the same samples lie side by side as those of single trials do, and
//! none of their bits depends on it. A checkpoint holds what the course has heard, and the checkpoints of the trainings under way.

mod file;
mod pack;

use std::sync::Arc;

use descent_spec::outcome::{Measurement, TrialResult};
use descent_spec::trial::TrialSpec;

pub(crate) use self::file::instruction_set;
pub(crate) use self::pack::open;
use crate::data::Prepared;
use crate::pack::Member;

/// One training of a course.
pub(crate) struct Run {
    /// What to train, and where to go on from.
    pub(crate) member: Member,
    /// What to train on, and what to measure on.
    pub(crate) data: Arc<Prepared>,
    /// One for each training sample.
    pub(crate) labels: Arc<[u8]>,
    /// What is added to one-hot targets; `None`: nothing.
    pub(crate) shifts: Option<Arc<[f32]>>,
    /// Whether final weights are to have the coordinates of their subspace with them.
    pub(crate) keeps_coordinates: bool,
}

impl Run {
    /// Steps from start to end; none of one that a course starts at its end.
    pub(crate) fn steps(&self) -> u64 {
        if self.member.checkpoint.is_some() {
            return 0;
        }
        steps(&self.member.spec, self.data.train_y.len())
    }
}

/// Steps of a training on so many samples.
pub(crate) fn steps(spec: &TrialSpec, samples: usize) -> u64 {
    let batch = (spec.train.batch as usize).clamp(1, samples.max(1));
    samples.div_ceil(batch) as u64 * u64::from(spec.train.epochs)
}

/// What a course makes of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The training goes on.
    GoOn,
    /// It goes on, and the measurement is one of the trial.
    Tell,
    /// It has been heard enough of: it is taken out.
    Stop,
}

/// What comes after a stage.
pub(crate) enum Turn {
    /// Another one.
    Next,
    /// Nothing: the trial's result, and its weights.
    Over(Box<TrialResult>, Option<Vec<u8>>),
}

/// What a course has heard, to go on from exactly.
pub(crate) struct Saved {
    /// As JSON.
    pub(crate) note: String,
    /// Files that belong to it.
    pub(crate) files: Vec<Vec<u8>>,
}

/// A trial of several trainings.
pub(crate) trait Course: Send {
    /// Steps of all its trainings, one after the other and side by side counting once: what progress is measured against.
    fn steps(&self) -> u64;
    /// The trainings of its stage, from their start. The same whenever asked within a stage.
    fn runs(&self) -> Vec<Run>;
    /// Whether a training of its stage has been heard enough of.
    fn is_heard(&self, run: usize) -> bool;
    /// A training of its stage was measured.
    fn measured(&mut self, run: usize, measurement: &Measurement) -> Answer;
    /// A training of its stage ended.
    fn ended(&mut self, run: usize, result: TrialResult, weights: Option<Vec<u8>>);
    /// All of its stage's trainings have been heard enough of.
    fn turn(&mut self) -> Turn;
    /// All that it has heard.
    fn save(&self) -> Saved;
}
