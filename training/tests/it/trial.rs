//! Trials for tests: small networks on the data set made of random numbers.

use std::collections::BTreeMap;

use descent_spec::asked::Asked;
use descent_spec::outcome::{Measurement, TrialResult};
use descent_spec::trial::{
    AugmentSpec, DataSpec, EarlyStop, EvaluateSpec, Experiment, Init, Inputs, Labels, Loss,
    MaskSpec, ModelSpec, NoiseKind, Optimizer, Schedule, Scope, Spread, TrainSpec, TrialSpec,
};
use descent_training::data::DataStore;
use descent_training::device::Device;
use descent_training::open;
use descent_training::pack::{Event, Member, Pack};
use descent_training::stream::Stream;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

pub(crate) const SGD: Optimizer = Optimizer::Sgd {
    lr: 0.05,
    momentum: 0.9,
};
pub(crate) const ADAM: Optimizer = Optimizer::Adam {
    lr: 0.01,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
};

/// A network of this width on 60 samples: 3 epochs, measured each.
pub(crate) fn spec(width: u32) -> TrialSpec {
    TrialSpec {
        experiment: Experiment::RiskCurve,
        data: DataSpec {
            dataset: "gaussians".to_owned(),
            samples: Some(60),
            validation: 10,
            test_samples: Some(30),
            centre: true,
            inputs: Inputs::True,
            labels: Labels::True,
            label_noise: 0.0,
            noise_kind: NoiseKind::Other,
            seed: 1,
        },
        model: ModelSpec::uniform(width, 1, Init::GlorotUniform),
        mask: MaskSpec::None,
        train: TrainSpec {
            loss: Loss::Squared,
            optimizer: SGD,
            schedule: Schedule::Constant,
            schedule_scope: Scope::Always,
            weight_decay: 0.0,
            dropout: 0.0,
            augment: AugmentSpec::default(),
            early_stop: EarlyStop::Never,
            patience: 10,
            batch: 16,
            epochs: 3,
            order_seed: 0,
            weight_reuse: Scope::Never,
            reuse_sd: 0.1,
            stop_at_zero_error: Scope::Never,
        },
        subspace: None,
        evaluate: EvaluateSpec {
            spread: Spread::Every,
            points: 0,
            every: 1,
        },
        asked: Asked::Nothing,
        robustness: None,
        seed: 0,
    }
}

pub(crate) fn member(key: u64, spec: &TrialSpec) -> Member {
    let data = DataStore::new(Vec::new());
    Member {
        key,
        spec: spec.clone(),
        data: data.describe(&spec.data.dataset).unwrap().hash,
        checkpoint: None,
        parent_weights: None,
    }
}

pub(crate) fn start(members: Vec<Member>) -> (Box<dyn Pack>, Vec<Event>) {
    open(members, &DataStore::new(Vec::new()), &Device::Cpu)
}

/// All that a member ever said: numbers by their bits.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Story {
    pub(crate) measured: Vec<Measurement>,
    pub(crate) result: Option<TrialResult>,
    pub(crate) weights: Option<Vec<u8>>,
    pub(crate) failure: Option<String>,
}

impl Story {
    pub(crate) fn hear(&mut self, event: Event) {
        match event {
            Event::Measured { measurement, .. } => self.measured.push(measurement),
            Event::Finished {
                result, weights, ..
            } => {
                self.result = Some(*result);
                self.weights = weights;
            }
            Event::Failed { error, .. } => {
                self.failure = Some(format!("{:?}: {error}", error.kind()));
            }
        }
    }
}

pub(crate) fn key(event: &Event) -> u64 {
    match event {
        Event::Measured { key, .. } | Event::Finished { key, .. } | Event::Failed { key, .. } => {
            *key
        }
    }
}

/// Trains to the end, a few steps at a time, and gives the stories of members 0, 1, ….
pub(crate) fn finish(members: Vec<Member>, steps: u32) -> Vec<Story> {
    listen(members.len(), start(members), steps)
}

/// Advances a pack of members 0, 1, … to its end.
pub(crate) fn listen(
    members: usize,
    opened: (Box<dyn Pack>, Vec<Event>),
    steps: u32,
) -> Vec<Story> {
    let mut stories = vec![Story::default(); members];
    let (mut pack, mut events) = opened;
    loop {
        for event in events {
            let key = usize::try_from(key(&event)).unwrap();
            stories[key].hear(event);
        }
        if pack.progress().is_empty() {
            return stories;
        }
        events = pack.advance(steps);
    }
}

/// One trial alone.
pub(crate) fn alone(spec: &TrialSpec) -> Story {
    finish(vec![member(0, spec)], u32::MAX).remove(0)
}

/// What dropout multiplies the units of a layer by in the first step, told sample by sample of the data (whose batch is all of them).
pub(crate) fn dropped(
    spec: &TrialSpec,
    layer: usize,
    samples: usize,
    units: usize,
) -> Vec<Vec<f64>> {
    let mut order: Vec<usize> = (0..samples).collect();
    Stream::new("order", spec.train.order_seed, 0).shuffle(&mut order);
    let mut stream = Stream::new(&format!("dropout/{layer}"), spec.seed, 0);
    let share = spec.train.dropout;
    let mut factors = vec![Vec::new(); samples];
    for sample in order {
        let factor = |_| {
            let out = f64::from(stream.u32()) < share * 4_294_967_296.0;
            if out { 0.0 } else { 1.0 / (1.0 - share) }
        };
        factors[sample] = (0..units).map(factor).collect();
    }
    factors
}

/// Tensors of a safetensors file by name, single precision.
pub(crate) fn tensors(bytes: &[u8]) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let read = |(name, view): (&str, TensorView<'_>)| {
        let numbers = view
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        (name.to_owned(), (view.shape().to_vec(), numbers.collect()))
    };
    file.iter().map(read).collect()
}
