//! The pack of courses: the trainings of all their stages in packs of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use descent_spec::asked::Asked;

use super::file::Checkpoint;
use super::{Answer, Course, Run, Turn};
use crate::code::{Blocks, Sender};
use crate::data::DataStore;
use crate::freedom::Repeats;
use crate::open::{Launch, open_runs};
use crate::pack::{Event, Member, Pack, Progress, ROUND_STEPS, TrainError};
use crate::samples::samples;

/// Makes a pack of trials of several trainings, and says which cannot start.
#[must_use]
pub(crate) fn open(
    members: Vec<Member>,
    data: &DataStore,
    launch: Launch,
) -> (Box<dyn Pack>, Vec<Event>) {
    let mut failed = Vec::new();
    let mut seats = Vec::with_capacity(members.len());
    let mut blocks = Vec::new();
    for member in members {
        let key = member.key;
        match Seat::new(member, data, &mut blocks, launch) {
            Ok(seat) => seats.push(seat),
            Err(error) => failed.push(Event::Failed { key, error }),
        }
    }
    let mut pack = Courses {
        launch,
        seats,
        inner: open_runs(Vec::new(), launch).0,
        routes: BTreeMap::new(),
        next: 0,
        most: FIRST_STEPS,
    };
    pack.start(&mut failed);
    (Box::new(pack), failed)
}

/// A course, and where it is.
struct Seat {
    key: u64,
    epochs: u32,
    course: Box<dyn Course>,
    /// Steps of the stages that are over.
    before: u64,
    /// Steps of this stage.
    stage: u64,
    /// Checkpoints of the trainings under way, before they go on.
    resumed: BTreeMap<usize, Vec<u8>>,
}

struct Courses {
    launch: Launch,
    seats: Vec<Seat>,
    /// The trainings under way.
    inner: Box<dyn Pack>,
    /// Whose they are, by their keys in there: a course's key, and the training's place in its stage.
    routes: BTreeMap<u64, (u64, usize)>,
    /// The next free key.
    next: u64,
    /// Steps taken at most when next advanced: few at a stage's start, whose steps may take longer than those before.
    most: u32,
}

/// Steps taken at first in a stage.
const FIRST_STEPS: u32 = 8 * ROUND_STEPS;

impl Seat {
    fn new(
        mut member: Member,
        data: &DataStore,
        blocks: &mut Vec<Arc<Blocks>>,
        launch: Launch,
    ) -> Result<Self, TrainError> {
        let resumed = match member.checkpoint.take() {
            // What other instructions began is begun again: half of each would be neither's result.
            Some(bytes)
                if crate::checkpoint::instruction_set(&bytes)? == launch.instruction_set() =>
            {
                Some(Checkpoint::from_bytes(&bytes)?)
            }
            _ => None,
        };
        let (before, saved, runs) = match resumed {
            Some(resumed) => (resumed.before, Some(resumed.saved), resumed.runs),
            None => (0, None, Vec::new()),
        };
        let (key, epochs) = (member.key, member.spec.train.epochs);
        let (images, labels) = samples(data, member.data, &member.spec.data)?;
        let course: Box<dyn Course> = match member.spec.asked {
            Asked::Code(code) => {
                let blocks = Blocks::shared(blocks, code, images, labels);
                let place = launch.place_of(&member.spec);
                Box::new(Sender::new(member, place, blocks, saved)?)
            }
            Asked::Freedom(freedom) => {
                Box::new(Repeats::new(member, freedom, images, labels, saved)?)
            }
            Asked::Nothing => {
                return Err(TrainError::BadSpec("this is one training alone".to_owned()));
            }
        };
        Ok(Self {
            key,
            epochs,
            course,
            before,
            stage: 0,
            resumed: runs.into_iter().collect(),
        })
    }
}

/// Holds that a checkpoint is of one of a stage's trainings.
fn fits(run: usize, runs: usize) -> Result<(), TrainError> {
    if run < runs {
        return Ok(());
    }
    Err(TrainError::Artifact(format!(
        "a checkpoint of training {run}, where there are {runs}"
    )))
}

impl Courses {
    /// Opens the trainings of everybody's stage.
    fn start(&mut self, told: &mut Vec<Event>) {
        let mut open = Vec::new();
        self.routes.clear();
        let mut broken = Vec::new();
        for seat in &mut self.seats {
            let runs = seat.course.runs();
            seat.stage = runs.iter().map(Run::steps).max().unwrap_or(0);
            let mut resumed = std::mem::take(&mut seat.resumed);
            if let Some((&run, _)) = resumed.last_key_value()
                && let Err(error) = fits(run, runs.len())
            {
                broken.push((seat.key, error));
                continue;
            }
            for (index, mut run) in runs.into_iter().enumerate() {
                if seat.course.is_heard(index) {
                    continue;
                }
                run.member.key = self.next;
                if let Some(checkpoint) = resumed.remove(&index) {
                    run.member.checkpoint = Some(checkpoint);
                }
                self.routes.insert(self.next, (seat.key, index));
                self.next += 1;
                open.push(run);
            }
        }
        for (key, error) in broken {
            self.fail(key, error, told);
        }
        self.most = FIRST_STEPS;
        let (inner, events) = open_runs(open, self.launch);
        self.inner = inner;
        self.hear(events, told);
    }

    /// Passes on what happened to trainings.
    fn hear(&mut self, events: Vec<Event>, told: &mut Vec<Event>) {
        for event in events {
            match event {
                Event::Measured { key, measurement } => {
                    let Some((owner, run)) = self.routes.get(&key).copied() else {
                        continue;
                    };
                    match self.course(owner).measured(run, &measurement) {
                        Answer::GoOn => {}
                        Answer::Tell => told.push(Event::Measured {
                            key: owner,
                            measurement,
                        }),
                        Answer::Stop => {
                            self.inner.remove(key);
                            self.routes.remove(&key);
                        }
                    }
                }
                Event::Finished {
                    key,
                    result,
                    weights,
                } => {
                    if let Some((owner, run)) = self.routes.remove(&key) {
                        self.course(owner).ended(run, *result, weights);
                    }
                }
                Event::Failed { key, error } => {
                    if let Some((owner, _)) = self.routes.get(&key).copied() {
                        self.fail(owner, error, told);
                    }
                }
            }
        }
    }

    fn course(&mut self, key: u64) -> &mut dyn Course {
        let seat = self.seats.iter_mut().find(|seat| seat.key == key);
        &mut *seat.expect("routes lead to those who are here").course
    }

    fn fail(&mut self, key: u64, error: TrainError, told: &mut Vec<Event>) {
        self.remove(key);
        told.push(Event::Failed { key, error });
    }

    /// When nobody has a training under way any more, everybody goes on to the next stage.
    fn turn(&mut self, told: &mut Vec<Event>) {
        if !self.routes.is_empty() || self.seats.is_empty() {
            return;
        }
        self.seats.retain_mut(|seat| {
            seat.before += seat.stage;
            match seat.course.turn() {
                Turn::Next => true,
                Turn::Over(result, weights) => {
                    let key = seat.key;
                    told.push(Event::Finished {
                        key,
                        result,
                        weights,
                    });
                    false
                }
            }
        });
        self.start(told);
    }
}

impl Pack for Courses {
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        let mut told = Vec::new();
        let events = self.inner.advance(steps.min(self.most));
        self.most = self.most.saturating_mul(2);
        self.hear(events, &mut told);
        self.turn(&mut told);
        told
    }

    fn progress(&self) -> Vec<Progress> {
        let mut within: BTreeMap<u64, u64> = BTreeMap::new();
        for progress in self.inner.progress() {
            if let Some((owner, _)) = self.routes.get(&progress.key) {
                let step = within.entry(*owner).or_default();
                *step = progress.step.max(*step);
            }
        }
        let seats = self.seats.iter().map(|seat| {
            // Who has no training under way waits for the others at the end of the stage.
            let within = within.get(&seat.key).copied().unwrap_or(seat.stage);
            let step = seat.before + within.min(seat.stage);
            let all = u128::from(seat.course.steps().max(1));
            let epoch = u128::from(step) * u128::from(seat.epochs) / all;
            Progress {
                key: seat.key,
                epoch: u32::try_from(epoch).unwrap_or(u32::MAX).min(seat.epochs),
                step,
            }
        });
        seats.collect()
    }

    fn checkpoint(&self, key: u64) -> Option<Vec<u8>> {
        let seat = self.seats.iter().find(|seat| seat.key == key)?;
        let open = self.routes.iter().filter(|(_, (owner, _))| *owner == key);
        let runs = open.map(|(&inner, &(_, run))| Some((run, self.inner.checkpoint(inner)?)));
        let checkpoint = Checkpoint {
            before: seat.before,
            saved: seat.course.save(),
            runs: runs.collect::<Option<_>>()?,
        };
        Some(checkpoint.to_bytes(&self.launch.instruction_set()))
    }

    fn remove(&mut self, key: u64) {
        let own: Vec<u64> = self
            .routes
            .iter()
            .filter(|(_, (owner, _))| *owner == key)
            .map(|(&inner, _)| inner)
            .collect();
        for inner in own {
            self.inner.remove(inner);
            self.routes.remove(&inner);
        }
        self.seats.retain(|seat| seat.key != key);
    }
}
