//! One network in training.

use std::sync::Arc;

use descent_spec::details::Details;
use descent_spec::outcome::Measurement;
use descent_spec::shape::CONV_BLOCK;

use super::changed::{Numbers, Tester};
use super::network::{Network, Role};
use super::pass::Pass;
use super::state::State;
use crate::best;
use crate::data::Prepared;
use crate::dropout::Dropout;
use crate::ending::{Ending, Place, Standing, Tally};
use crate::kernel::Isa;
use crate::mlp::{Plan, loss};
use crate::notes::{Look, Notes};
use crate::optimizer::{Descend, Moments, keep};
use crate::pack::Event;
use crate::robustness::{self, Snapshot};
use crate::subspace::Subspace;

/// Samples measured at a time.
const BLOCK: usize = CONV_BLOCK as usize;

/// A network before its buffers are made.
pub(crate) struct Start {
    pub(crate) key: u64,
    pub(crate) plan: Plan,
    pub(crate) network: Network,
    pub(crate) data: Arc<Prepared>,
    pub(crate) labels: Arc<[u8]>,
    /// Which numbers are trained; `None`: all.
    pub(crate) mask: Option<Vec<f32>>,
    pub(crate) state: State,
    /// The subspace that it is trained in, and where it is there.
    pub(crate) subspace: Option<Box<Subspace>>,
    /// What it keeps beside its weights.
    pub(crate) notes: Notes,
}

/// One network, its state and its buffers.
pub(crate) struct Trained {
    pub(crate) start: Start,
    isa: Isa,
    pass: Pass,
    gradient: Vec<f32>,
    order: Vec<u32>,
    outputs: Vec<f32>,
    /// A batch of augmented images.
    images: Vec<f32>,
}

impl Trained {
    pub(crate) fn new(isa: Isa, start: Start) -> Self {
        let plan = &start.plan;
        let mut order = Vec::new();
        plan.order(plan.epoch(start.state.step), &mut order);
        Self {
            isa,
            pass: Pass::new(isa, &start.network, plan.batch.max(BLOCK)),
            gradient: vec![0.0; start.network.parameters()],
            outputs: vec![0.0; plan.outputs],
            images: Vec::new(),
            order,
            start,
        }
    }

    /// Epochs completed.
    pub(crate) fn epoch(&self) -> u32 {
        self.start.plan.epoch(self.start.state.step)
    }

    /// Trains by up to `steps` steps; whether the member stays.
    pub(crate) fn advance(&mut self, steps: u32, place: &Place, events: &mut Vec<Event>) -> bool {
        if self.start.state.step >= self.start.plan.steps() {
            return self.measure(place, events);
        }
        for _ in 0..steps {
            let finite = self.train_batch();
            self.start.state.step += 1;
            let plan = &self.start.plan;
            let epoch = self.epoch();
            let at_end = self.start.state.step.is_multiple_of(plan.steps_per_epoch());
            if !finite || (at_end && !self.is_finite()) {
                let ending = Ending::diverged(epoch);
                events.push(ending.with_weights(self.start.key, plan, place, None));
                return false;
            }
            self.pause();
            if at_end {
                let plan = &self.start.plan;
                plan.order(epoch, &mut self.order);
                if plan.kept.binary_search(&epoch).is_ok() {
                    self.start.state.keep(epoch);
                }
                if plan.measured.binary_search(&epoch).is_ok() && !self.measure(place, events) {
                    return false;
                }
            }
        }
        true
    }

    fn is_finite(&self) -> bool {
        self.start.state.theta.iter().all(|value| value.is_finite())
    }

    /// One step; whether the loss is finite.
    fn train_batch(&mut self) -> bool {
        let Start {
            plan,
            network,
            data,
            labels,
            mask,
            state,
            subspace,
            ..
        } = &mut self.start;
        let place =
            usize::try_from(state.step % plan.steps_per_epoch()).expect("fewer steps than samples");
        let batch = &self.order[place * plan.batch..];
        let batch = &batch[..plan.batch.min(batch.len())];
        let extent = if let Some(augment) = &plan.augment {
            augment.write(data, state.step, batch, &mut self.images);
            self.pass.gather(self.images.chunks_exact(data.inputs))
        } else {
            let images = batch
                .iter()
                .map(|&sample| &data.train_x[sample as usize * data.inputs..][..data.inputs]);
            self.pass.gather(images)
        };
        let dropping = plan.dropout.map(|dropout| dropout.of_step(state.step));
        let (theta, running) = (&state.theta, &mut state.running);
        self.pass.forward(theta, running, extent, true, dropping);
        let scale = 1.0 / batch.len() as f32;
        let mut finite = true;
        for (row, &sample) in batch.iter().enumerate() {
            self.pass.outputs(row, &mut self.outputs);
            let label = labels[sample as usize];
            finite &= loss::gradient(plan.loss, &mut self.outputs, label, scale);
            self.pass.set_deltas(row, Some(&self.outputs));
        }
        for row in batch.len()..extent.room() {
            self.pass.set_deltas(row, None);
        }
        self.pass.backward(&state.theta, &mut self.gradient, extent);
        if let Some(mask) = mask {
            keep(mask, &mut self.gradient);
        }
        let by = plan.coefficients(state.step);
        if let Some(subspace) = subspace {
            // Weights decay as they do outside; biases do not.
            let decay = by.decay;
            for parameter in &network.parameters {
                if decay != 0.0 && matches!(parameter.role, Role::Weight { .. }) {
                    let range = parameter.range.clone();
                    let gradient = self.gradient[range.clone()].iter_mut();
                    for (g, w) in gradient.zip(&state.theta[range]) {
                        *g += decay * w;
                    }
                }
            }
            subspace.sides().1.copy_from_slice(&self.gradient);
            subspace.step(self.isa, &by);
            state.theta.copy_from_slice(subspace.theta());
            return finite;
        }
        for parameter in &network.parameters {
            let range = parameter.range.clone();
            self.isa.run(Descend {
                by: &by,
                decay: Some(match parameter.role {
                    Role::Weight { .. } => by.decay,
                    Role::Bias | Role::Scale => 0.0,
                }),
                weights: &mut state.theta[range.clone()],
                gradient: &self.gradient[range.clone()],
                moments: Moments::of(&mut state.moments, range),
            });
        }
        finite
    }

    /// What is to be done between two steps: a state kept, the validation samples looked at. The test samples are looked at where
    /// the validation loss is less than ever before, for no other look can be the best.
    fn pause(&mut self) {
        let Start {
            plan,
            network,
            state,
            notes,
            ..
        } = &mut self.start;
        let step = state.step;
        if plan.keeps_at == Some(step) {
            notes.carried = state.kept(plan, network);
        }
        if !plan.looks_at(step) {
            return;
        }
        let data = Arc::clone(&self.start.data);
        let validation = self.tally(&data.validation_x, &data.validation_y, None);
        let loss = validation.mean_loss(&self.start.plan).unwrap_or(f64::NAN);
        if !self.start.notes.improves(loss) {
            return;
        }
        let test = self.tally(&data.test_x, &data.test_y, None);
        self.start.notes.best = Some(Look {
            step,
            validation_loss: loss,
            validation_error: validation.error().unwrap_or(f64::NAN),
            test_loss: test.mean_loss(&self.start.plan).unwrap_or(f64::NAN),
            test_error: test.error().unwrap_or(f64::NAN),
        });
    }

    /// Measures.
    pub(crate) fn measured(&mut self) -> Measurement {
        let data = Arc::clone(&self.start.data);
        let labels = Arc::clone(&self.start.labels);
        let train = self.tally(&data.train_x, &labels, None);
        let validation = self.tally(&data.validation_x, &data.validation_y, None);
        let test = self.tally(&data.test_x, &data.test_y, None);
        let plan = &self.start.plan;
        Measurement {
            epoch: self.epoch(),
            train_loss: train.mean_loss(plan),
            train_error: train.error(),
            validation_loss: validation.mean_loss(plan),
            validation_error: validation.error(),
            test_loss: test.mean_loss(plan),
            test_error: test.error(),
            // A filter's many places make no unit.
            dead_units: None,
        }
    }

    /// Measures, and says whether the member stays.
    fn measure(&mut self, place: &Place, events: &mut Vec<Event>) -> bool {
        let measurement = self.measured();
        let start = &mut self.start;
        let (plan, epoch) = (&start.plan, measurement.epoch);
        let mut best = start.state.best.take();
        best::update(plan, &mut best, &measurement, || start.state.numbers());
        let over = best::is_over(plan, best.as_ref(), epoch);
        start.state.best = best;
        let standing = Standing::of(plan, measurement, over);
        events.push(standing.event(start.key));
        let Some(ending) = standing.ending() else {
            return true;
        };
        events.push(self.end(place, ending));
        false
    }

    /// The event that takes it out: as it is, or as it was at its best where training may end early.
    fn end(&mut self, place: &Place, ending: Ending) -> Event {
        let (key, diverged) = (self.start.key, ending.is_diverged());
        if diverged {
            return ending.with_weights(key, &self.start.plan, place, None);
        }
        let state = &self.start.state;
        let (ending, numbers) = match &state.best {
            Some(best) => (
                ending.at(best.measurement.clone()),
                Arc::clone(&best.network),
            ),
            None => (ending, Arc::new(state.numbers())),
        };
        let at = self
            .start
            .subspace
            .as_ref()
            .map(|inside| inside.coordinates());
        let at = at.filter(|_| self.start.plan.keeps_coordinates && state.best.is_none());
        let mut notes = self.start.notes.clone();
        notes.end(&self.start.plan, ending.last());
        let z = at.map(|at| at.z.as_slice());
        let weights = numbers.weights(&self.start.network, z, &notes);
        let details = self
            .changed(numbers, ending.epoch())
            .or_else(|| notes.details(&self.start.plan));
        let ending = ending.with_details(details);
        ending.with_weights(key, &self.start.plan, place, Some(weights))
    }

    /// What becomes of it with a layer changed.
    fn changed(&mut self, network: Arc<Numbers>, epoch: u32) -> Option<Details> {
        let plan = self.start.plan.clone();
        let spec = plan.robustness.as_ref()?;
        let end = Snapshot { epoch, network };
        let snapshots = self.start.state.snapshots.clone();
        let norm = spec.norm;
        let mut tester = Tester {
            trained: self,
            norm,
        };
        Some(robustness::rows(&plan, spec, &snapshots, &end, &mut tester))
    }

    /// Sums over the test samples with other numbers in place of its own.
    pub(super) fn tested(&mut self, numbers: Numbers) -> Tally {
        let data = Arc::clone(&self.start.data);
        let state = &mut self.start.state;
        let theta = std::mem::replace(&mut state.theta, numbers.theta);
        let running = std::mem::replace(&mut state.running, numbers.running);
        let plan = &self.start.plan;
        let stays = plan.robustness.as_ref().is_some_and(|spec| spec.dropout);
        let dropout = plan.dropout.filter(|_| stays);
        let tally = self.tally(&data.test_x, &data.test_y, dropout);
        let state = &mut self.start.state;
        (state.theta, state.running) = (theta, running);
        tally
    }

    /// Sums over the samples of a split, in their order, with dropout where it stays on.
    fn tally(&mut self, x: &[f32], labels: &[u8], dropout: Option<Dropout>) -> Tally {
        let Start {
            plan, data, state, ..
        } = &mut self.start;
        let mut tally = Tally::default();
        let images = x.chunks(BLOCK * data.inputs);
        for (images, labels) in images.zip(labels.chunks(BLOCK)) {
            let extent = self.pass.gather(images.chunks_exact(data.inputs));
            let start = usize::try_from(tally.samples).unwrap_or(usize::MAX);
            let dropping = dropout.map(|dropout| dropout.of_tested(start));
            let (theta, running) = (&state.theta, &mut state.running);
            self.pass.forward(theta, running, extent, false, dropping);
            for (row, &label) in labels.iter().enumerate() {
                self.pass.outputs(row, &mut self.outputs);
                tally.loss += loss::value(plan.loss, &self.outputs, label);
                tally.wrong += u64::from(loss::is_wrong(&self.outputs, label));
                tally.samples += 1;
            }
        }
        tally
    }
}
