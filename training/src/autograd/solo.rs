//! One member, trained by candle's automatic differentiation.

use std::sync::Arc;

use candle_core::{D, DType, Device, Tensor, Var};
use descent_spec::outcome::Measurement;
use descent_spec::trial::{Loss, Optimizer};

use crate::data::Prepared;
use crate::ending::{Ending, Place, Standing, Tally};
use crate::mlp::{Dense, Loose, Plan, State, loss};
use crate::pack::Event;

/// Samples measured at a time.
const BLOCK: usize = 1_000;

/// Inputs of every split, on the device.
#[derive(Clone)]
pub(super) struct Splits {
    train: Tensor,
    validation: Tensor,
    test: Tensor,
}

impl Splits {
    pub(super) fn new(data: &Prepared, device: &Device) -> candle_core::Result<Self> {
        let tensor =
            |x: &[f32]| Tensor::from_slice(x, (x.len() / data.inputs, data.inputs), device);
        Ok(Self {
            train: tensor(&data.train_x)?,
            validation: tensor(&data.validation_x)?,
            test: tensor(&data.test_x)?,
        })
    }
}

/// One member.
pub(super) struct Solo {
    pub(super) key: u64,
    plan: Arc<Plan>,
    data: Arc<Prepared>,
    labels: Arc<[u8]>,
    device: Device,
    splits: Splits,
    /// One-hot training labels.
    targets: Tensor,
    /// Weights `[inputs, units]` and bias `[units]` of every layer, in turn.
    vars: Vec<Var>,
    /// 1 for every weight kept and 0 for the others, layer by layer; empty where all are kept.
    masks: Vec<Tensor>,
    moments: Vec<Vec<Tensor>>,
    step: u64,
    order: Vec<u32>,
}

impl Solo {
    pub(super) fn new(device: &Device, splits: Splits, member: Loose) -> candle_core::Result<Self> {
        let Loose {
            key,
            plan,
            data,
            labels,
            mask,
            state,
            ..
        } = member;
        let outputs = plan.outputs;
        let mut targets = vec![0.0_f32; labels.len() * outputs];
        for (row, &label) in targets.chunks_exact_mut(outputs).zip(&*labels) {
            row[usize::from(label)] = 1.0;
        }
        let tensors = |layers: &[Dense]| -> candle_core::Result<Vec<Tensor>> {
            let mut tensors = Vec::with_capacity(2 * layers.len());
            for layer in layers {
                let inputs = layer.rows - 1;
                let weights = &layer.values[..inputs * layer.columns];
                tensors.push(Tensor::from_slice(
                    weights,
                    (inputs, layer.columns),
                    device,
                )?);
                tensors.push(Tensor::from_slice(layer.bias(), layer.columns, device)?);
            }
            Ok(tensors)
        };
        let vars = tensors(&state.layers)?
            .iter()
            .map(Var::from_tensor)
            .collect::<Result<_, _>>()?;
        let masks = match &mask {
            Some(mask) => {
                let layers = mask.layers().iter();
                layers
                    .map(|layer| {
                        let inputs = layer.rows - 1;
                        let kept = &layer.values[..inputs * layer.columns];
                        Tensor::from_slice(kept, (inputs, layer.columns), device)
                    })
                    .collect::<Result<_, _>>()?
            }
            None => Vec::new(),
        };
        let moments = state
            .moments
            .iter()
            .map(|layers| tensors(layers))
            .collect::<Result<_, _>>()?;
        let mut order = Vec::new();
        plan.order(plan.epoch(state.step), &mut order);
        Ok(Self {
            key,
            targets: Tensor::from_vec(targets, (labels.len(), outputs), device)?,
            plan,
            data,
            labels,
            device: device.clone(),
            splits,
            vars,
            masks,
            moments,
            step: state.step,
            order,
        })
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Steps completed.
    pub(super) const fn step(&self) -> u64 {
        self.step
    }

    /// Epochs completed.
    pub(super) fn epoch(&self) -> u32 {
        self.plan.epoch(self.step)
    }

    /// Whether the member stays in the pack.
    pub(super) fn advance(
        &mut self,
        steps: u32,
        place: &Place,
        events: &mut Vec<Event>,
    ) -> candle_core::Result<bool> {
        if self.step >= self.plan.steps() {
            return self.measure(place, events);
        }
        for _ in 0..steps {
            let loss = self.train_batch()?;
            self.step += 1;
            let epoch = self.plan.epoch(self.step);
            let at_end = self.step.is_multiple_of(self.plan.steps_per_epoch());
            if !loss.is_finite() || (at_end && !self.is_finite()?) {
                events.push(Ending::diverged(epoch).event(self.key, &self.plan, place, None));
                return Ok(false);
            }
            if at_end {
                self.plan.order(epoch, &mut self.order);
                if self.plan.measured.binary_search(&epoch).is_ok()
                    && !self.measure(place, events)?
                {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Sums of every hidden layer's outputs, and the network's outputs. relu′(0) is 0: the mask is a constant.
    fn forward(&self, x: &Tensor) -> candle_core::Result<(Vec<Tensor>, Tensor)> {
        let mut hidden = Vec::with_capacity(self.plan.depth());
        let mut activations = x.clone();
        let mut sums = x.clone();
        for (index, layer) in self.vars.chunks_exact(2).enumerate() {
            sums = activations.matmul(&layer[0])?.broadcast_add(&layer[1])?;
            if index < self.plan.depth() {
                let mask = sums.detach().gt(0.0_f32)?.to_dtype(DType::F32)?;
                activations = (&sums * mask)?;
                hidden.push(activations.clone());
            }
        }
        Ok((hidden, sums))
    }

    /// One step; gives the batch's loss.
    fn train_batch(&mut self) -> candle_core::Result<f32> {
        let plan = Arc::clone(&self.plan);
        let place =
            usize::try_from(self.step % plan.steps_per_epoch()).expect("fewer steps than samples");
        let batch = &self.order[place * plan.batch..];
        let batch = Tensor::from_slice(
            &batch[..plan.batch.min(batch.len())],
            plan.batch.min(batch.len()),
            &self.device,
        )?;
        let x = self.splits.train.index_select(&batch, 0)?;
        let y = self.targets.index_select(&batch, 0)?;
        let (_, outputs) = self.forward(&x)?;
        let sum = match plan.loss {
            Loss::Squared => (outputs - y)?.sqr()?.sum_all()?,
            Loss::CrossEntropy => {
                let shifted = outputs.broadcast_sub(&outputs.detach().max_keepdim(D::Minus1)?)?;
                let normaliser = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
                shifted
                    .broadcast_sub(&normaliser)?
                    .mul(&y)?
                    .sum_all()?
                    .neg()?
            }
        };
        let loss = (sum / batch.dim(0)? as f64)?;
        let gradients = loss.backward()?;
        for index in 0..self.vars.len() {
            let var = &self.vars[index];
            let gradient = gradients
                .get(var)
                .expect("every weight takes part")
                .detach();
            // Biases, every second one, do not decay.
            let gradient = if plan.decay != 0.0 && index % 2 == 0 {
                (gradient + (var.as_detached_tensor() * plan.decay)?)?
            } else {
                gradient
            };
            let gradient = match self.masks.get(index / 2) {
                Some(mask) if index % 2 == 0 => (gradient * mask)?,
                _ => gradient,
            };
            let moved = self.moved(index, &gradient)?;
            self.vars[index].set(&moved)?;
        }
        loss.to_scalar()
    }

    /// The new value of a weight tensor. Moments are updated.
    fn moved(&mut self, index: usize, gradient: &Tensor) -> candle_core::Result<Tensor> {
        let factor = self.plan.factor(self.step);
        let old = self.vars[index].as_detached_tensor();
        match self.plan.optimizer {
            Optimizer::Sgd { lr, momentum } => {
                let velocity = &mut self.moments[0][index];
                *velocity = ((&*velocity * momentum)? + gradient)?;
                old - (&*velocity * (lr * factor))?
            }
            Optimizer::Adam {
                lr,
                beta1,
                beta2,
                epsilon,
            } => {
                let steps = (self.step + 1) as f64;
                let first = ((&self.moments[0][index] * beta1)? + (gradient * (1.0 - beta1))?)?;
                let second =
                    ((&self.moments[1][index] * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
                let root = libm::sqrt(1.0 - libm::pow(beta2, steps));
                let bottom =
                    ((second.sqrt()? / root)? + epsilon.max(f64::from(f32::MIN_POSITIVE)))?;
                let rate = lr * factor / (1.0 - libm::pow(beta1, steps));
                let moved = old - ((&first / bottom)? * rate)?;
                self.moments[0][index] = first;
                self.moments[1][index] = second;
                moved
            }
        }
    }

    fn is_finite(&self) -> candle_core::Result<bool> {
        for var in &self.vars {
            // The product with 0 is not 0 exactly where a number is not finite.
            let sum: f32 = (var.as_detached_tensor() * 0.0)?.sum_all()?.to_scalar()?;
            if sum != 0.0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Measures, and says whether the member stays.
    fn measure(&self, place: &Place, events: &mut Vec<Event>) -> candle_core::Result<bool> {
        let mut live = vec![0.0_f32; self.plan.hidden.iter().sum()];
        let train = self.tally(&self.splits.train, &self.labels, Some(&mut live))?;
        let validation = self.tally(&self.splits.validation, &self.data.validation_y, None)?;
        let test = self.tally(&self.splits.test, &self.data.test_y, None)?;
        let dead = live.iter().filter(|&&top| top <= 0.0).count();
        let measurement = Measurement {
            epoch: self.plan.epoch(self.step),
            train_loss: train.mean_loss(&self.plan),
            train_error: train.error(),
            validation_loss: validation.mean_loss(&self.plan),
            validation_error: validation.error(),
            test_loss: test.mean_loss(&self.plan),
            test_error: test.error(),
            dead_units: u32::try_from(dead).ok(),
        };
        let standing = Standing::of(&self.plan, measurement, false);
        events.push(standing.event(self.key));
        let Some(ending) = standing.ending() else {
            return Ok(true);
        };
        let state = if ending.is_diverged() {
            None
        } else {
            Some(self.state()?)
        };
        let layers = state.as_ref().map(|state| state.layers.as_slice());
        events.push(ending.event(self.key, &self.plan, place, layers));
        Ok(false)
    }

    fn tally(
        &self,
        x: &Tensor,
        labels: &[u8],
        mut live: Option<&mut [f32]>,
    ) -> candle_core::Result<Tally> {
        let mut tally = Tally::default();
        for (block, labels) in labels.chunks(BLOCK).enumerate() {
            let (hidden, outputs) = self.forward(&x.narrow(0, block * BLOCK, labels.len())?)?;
            for (row, &label) in outputs.to_vec2::<f32>()?.iter().zip(labels) {
                tally.loss += loss::value(self.plan.loss, row, label);
                tally.wrong += u64::from(loss::is_wrong(row, label));
                tally.samples += 1;
            }
            if let Some(live) = &mut live {
                let mut rest = &mut **live;
                for (&units, hidden) in self.plan.hidden.iter().zip(hidden) {
                    let (live, after) = rest.split_at_mut(units);
                    rest = after;
                    for (live, top) in live.iter_mut().zip(hidden.max(0)?.to_vec1::<f32>()?) {
                        *live = live.max(top);
                    }
                }
            }
        }
        Ok(tally)
    }

    pub(super) fn state(&self) -> candle_core::Result<State> {
        let dense = |pair: [&Tensor; 2]| -> candle_core::Result<Dense> {
            let (inputs, columns) = pair[0].dims2()?;
            let mut values = pair[0].flatten_all()?.to_vec1::<f32>()?;
            values.extend(pair[1].to_vec1::<f32>()?);
            Ok(Dense {
                rows: inputs + 1,
                columns,
                values,
            })
        };
        let layers = self
            .vars
            .chunks_exact(2)
            .map(|pair| dense([pair[0].as_tensor(), pair[1].as_tensor()]));
        let moments = self.moments.iter().map(|tensors| {
            let layers = tensors
                .chunks_exact(2)
                .map(|pair| dense([&pair[0], &pair[1]]));
            layers.collect::<Result<_, _>>()
        });
        Ok(State {
            step: self.step,
            layers: layers.collect::<Result<_, _>>()?,
            moments: moments.collect::<Result<_, _>>()?,
            coordinates: None,
            snapshots: Vec::new(),
            best: None,
        })
    }
}
