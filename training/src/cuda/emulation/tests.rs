//! Packs on the emulator against the same packs on the processor.

use std::sync::atomic::Ordering;

use descent_spec::asked::Asked;
use descent_spec::outcome::{Measurement, TrialResult};
use descent_spec::trial::{
    AugmentSpec, DataSpec, EarlyStop, EvaluateSpec, Experiment, Init, Inputs, Labels, Loss,
    MaskSpec, ModelSpec, NoiseKind, Optimizer, Schedule, Scope, Spread, TrainSpec, TrialSpec,
};

use super::super::stack::Stack;
use super::Emulator;
use crate::data::DataStore;
use crate::ending::Place;
use crate::kernel::Isa;
use crate::mlp::Loose;
use crate::open::start_all;
use crate::pack::{Event, Member, Pack};

const ADAM: Optimizer = Optimizer::Adam {
    lr: 0.01,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
};

/// A network on 60 samples in batches of 16: the last of an epoch has 12. 3 epochs, measured each.
fn spec(width: u32, depth: u32, change: impl FnOnce(&mut TrialSpec)) -> TrialSpec {
    let mut spec = TrialSpec {
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
        model: ModelSpec::uniform(width, depth, Init::HeNormal),
        mask: MaskSpec::None,
        subspace: None,
        train: TrainSpec {
            loss: Loss::Squared,
            optimizer: Optimizer::Sgd {
                lr: 0.03,
                momentum: 0.9,
            },
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
        evaluate: EvaluateSpec {
            spread: Spread::Every,
            points: 0,
            every: 1,
        },
        asked: Asked::Nothing,
        robustness: None,
        seed: u64::from(width),
    };
    change(&mut spec);
    spec
}

/// Networks of one hidden layer, as different as members of one group can be.
fn shallow() -> Vec<TrialSpec> {
    vec![
        spec(1, 1, |_| {}),
        spec(5, 1, |spec| spec.data.label_noise = 0.3),
        spec(70, 1, |spec| {
            spec.train.loss = Loss::CrossEntropy;
            spec.train.weight_decay = 0.01;
            spec.mask = MaskSpec::Random { density: 0.3 };
        }),
        spec(12, 1, |spec| {
            spec.train.optimizer = Optimizer::Sgd {
                lr: 0.01,
                momentum: 0.5,
            };
        }),
    ]
}

fn member(key: u64, spec: &TrialSpec) -> Member {
    Member {
        key,
        spec: spec.clone(),
        data: DataStore::new(Vec::new())
            .describe(&spec.data.dataset)
            .unwrap()
            .hash,
        checkpoint: None,
        parent_weights: None,
    }
}

fn loose(members: Vec<Member>) -> Vec<Loose> {
    let (loose, failed) = start_all(members, &DataStore::new(Vec::new()), "emulator");
    assert!(failed.is_empty(), "{failed:?}");
    loose
}

fn all(specs: &[TrialSpec]) -> Vec<Loose> {
    loose(
        specs
            .iter()
            .zip(0..)
            .map(|(spec, key)| member(key, spec))
            .collect(),
    )
}

/// All that a member ever said.
#[derive(Clone, Debug, Default, PartialEq)]
struct Story {
    measured: Vec<Measurement>,
    result: Option<TrialResult>,
    weights: Option<Vec<u8>>,
    failure: Option<String>,
}

fn hear(stories: &mut [Story], events: Vec<Event>) {
    for event in events {
        match event {
            Event::Measured { key, measurement } => {
                stories[key as usize].measured.push(measurement);
            }
            Event::Finished {
                key,
                result,
                weights,
            } => {
                stories[key as usize].result = Some(*result);
                stories[key as usize].weights = weights;
            }
            Event::Failed { key, error } => {
                let story = &mut stories[key as usize];
                assert!(story.failure.is_none() && story.result.is_none());
                story.failure = Some(format!("{:?}", error.kind()));
            }
        }
    }
}

fn listen(mut pack: impl Pack, events: Vec<Event>, members: usize, steps: u32) -> Vec<Story> {
    let mut stories = vec![Story::default(); members];
    hear(&mut stories, events);
    while !pack.progress().is_empty() {
        hear(&mut stories, pack.advance(steps));
    }
    stories
}

fn place() -> Place {
    Place {
        device: "emulator".to_owned(),
        instruction_set: "emulator".to_owned(),
    }
}

fn emulate(machine: Emulator, specs: &[TrialSpec], steps: u32) -> Vec<Story> {
    let (pack, events) = Stack::new(machine, place(), all(specs));
    listen(pack, events, specs.len(), steps)
}

fn numbers(weights: &[u8]) -> Vec<f32> {
    let file = safetensors::SafeTensors::deserialize(weights).unwrap();
    let mut tensors: Vec<_> = file.iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(b.0));
    tensors
        .iter()
        .flat_map(|(_, view)| view.data().as_chunks::<4>().0)
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

/// Trains on both and compares: errors and dead units exactly, losses to 1e-5 of themselves, final weights to 1e-5 of the largest.
fn check(name: &str, specs: &[TrialSpec]) {
    let Some(machine) = Emulator::start() else {
        return;
    };
    let emulated = emulate(machine, specs, 7);
    let pack = crate::mlp::Stack::new(Isa::detect(), all(specs));
    let expected = listen(pack, Vec::new(), specs.len(), 7);
    for (index, (emulated, expected)) in emulated.iter().zip(&expected).enumerate() {
        let name = format!("{name}, member {index}");
        assert_eq!(emulated.failure, None, "{name}");
        assert_eq!(emulated.measured.len(), expected.measured.len(), "{name}");
        for (a, b) in emulated.measured.iter().zip(&expected.measured) {
            let losses = |m: &Measurement| [m.train_loss, m.validation_loss, m.test_loss];
            for (a, b) in losses(a).into_iter().zip(losses(b)) {
                let (a, b) = (a.unwrap_or(0.0), b.unwrap_or(0.0));
                assert!((a - b).abs() <= 1e-5 * b, "{name}: {a} and {b}");
            }
            let exact = |m: &Measurement| {
                let errors = [m.train_error, m.validation_error, m.test_error];
                (m.epoch, errors, m.dead_units)
            };
            assert_eq!(exact(a), exact(b), "{name}");
        }
        let (a, b) = (
            emulated.result.as_ref().unwrap(),
            expected.result.as_ref().unwrap(),
        );
        assert_eq!(
            (a.stop, a.last.epoch, a.parameters),
            (b.stop, b.last.epoch, b.parameters),
            "{name}"
        );
        assert_eq!(emulated.weights.is_some(), expected.weights.is_some());
        if let (Some(a), Some(b)) = (&emulated.weights, &expected.weights) {
            let (a, b) = (numbers(a), numbers(b));
            assert_eq!(a.len(), b.len(), "{name}");
            let largest = b.iter().fold(0.0_f32, |top, number| top.max(number.abs()));
            let difference = a.iter().zip(&b).map(|(a, b)| (a - b).abs());
            let difference = difference.fold(0.0, f32::max);
            assert!(
                difference <= 1e-5 * largest,
                "{name}: weights differ by {difference} of {largest}"
            );
        }
    }
}

#[test]
fn networks_of_one_hidden_layer_are_the_processors() {
    check("momentum", &shallow());
    let with_adam = |mut spec: TrialSpec| {
        spec.train.optimizer = ADAM;
        spec.train.batch = 60;
        spec.train.epochs = 5;
        spec.train.schedule = Schedule::Cosine;
        spec
    };
    // Adam's first step is the same for all classes but for its sign, so that outputs of a lone unit that is dead tie to the last bit.
    let specs: Vec<_> = shallow().into_iter().skip(1).map(with_adam).collect();
    check("full batches of adam", &specs);
}

#[test]
fn deeper_networks_are_the_processors() {
    let specs = [
        spec(11, 2, |_| {}),
        spec(66, 2, |spec| spec.train.loss = Loss::CrossEntropy),
        spec(9, 3, |spec| {
            spec.train.weight_decay = 0.01;
            spec.train.schedule = Schedule::Step {
                factor: 0.5,
                every: 1,
            };
        }),
        spec(7, 3, |spec| spec.train.optimizer = ADAM),
        spec(3, 2, |spec| spec.mask = MaskSpec::Random { density: 0.4 }),
        spec(1, 2, |spec| {
            spec.model = ModelSpec::Mlp {
                hidden: vec![30, 80],
                init: Init::GlorotNormal,
            };
        }),
    ];
    check("deep", &specs);
}

#[test]
fn many_samples_are_cut_into_blocks() {
    let large = |mut spec: TrialSpec| {
        spec.data.samples = Some(600);
        spec.data.test_samples = Some(300);
        spec.train.batch = 400;
        spec.train.epochs = 2;
        spec
    };
    let deep = [
        spec(70, 2, |_| {}),
        spec(5, 2, |spec| spec.train.loss = Loss::CrossEntropy),
    ];
    let specs: Vec<_> = shallow().into_iter().chain(deep).map(large).collect();
    check("many samples", &specs);
}

#[test]
fn members_that_diverge_or_stop_early_leave_the_others_alone() {
    let mut specs = shallow();
    specs[1].train.optimizer = Optimizer::Sgd {
        lr: 1e6,
        momentum: 0.5,
    };
    specs[3].train.epochs = 1;
    check("diverging", &specs);
}

#[test]
fn interruption_and_company_change_no_bit() {
    let Some(machine) = Emulator::start() else {
        return;
    };
    let mut specs = shallow();
    specs.push(spec(6, 2, |spec| spec.train.optimizer = ADAM));
    let whole = emulate(machine, &specs, u32::MAX);
    for (index, spec) in specs.iter().enumerate() {
        // Five steps in company, then on alone.
        let (mut pack, _) = Stack::new(Emulator::start().unwrap(), place(), all(&specs));
        let mut stories = vec![Story::default(); specs.len()];
        pack.remove((index as u64 + 1) % specs.len() as u64);
        hear(&mut stories, pack.advance(5));
        let mut resumed = member(0, spec);
        resumed.checkpoint = pack.checkpoint(index as u64);
        assert!(resumed.checkpoint.is_some());
        let (pack, events) = Stack::new(Emulator::start().unwrap(), place(), loose(vec![resumed]));
        let rest = listen(pack, events, 1, 3).remove(0);
        stories[index].measured.extend(rest.measured);
        assert_eq!(stories[index].measured, whole[index].measured);
        assert_eq!(rest.weights, whole[index].weights);
        assert_eq!(rest.result, whole[index].result);
    }
}

#[test]
fn a_device_without_memory_for_all_trains_some() {
    let Some(machine) = Emulator::start() else {
        return;
    };
    // How much two of them take.
    let specs = shallow();
    let (pack, _) = Stack::new(machine, place(), all(&specs[..2]));
    let taken = usize::MAX - pack.machine().memory;
    drop(pack);
    let mut machine = Emulator::start().unwrap();
    machine.memory = taken + taken / 8;
    let held = std::sync::Arc::clone(&machine.held);
    let stories = emulate(machine, &specs, 7);
    let failures: Vec<_> = stories
        .iter()
        .map(|story| story.failure.as_deref())
        .collect();
    let out = Some("OutOfMemory");
    assert_eq!(failures, [None, None, out, out]);
    assert!(stories[..2].iter().all(|story| story.result.is_some()));
    assert_eq!(held.load(Ordering::Relaxed), 0, "memory was not given back");
}

#[test]
fn a_device_that_goes_away_fails_every_member_once() {
    let Some(mut machine) = Emulator::start() else {
        return;
    };
    machine.life = 40;
    let mut specs = shallow();
    specs.push(spec(6, 2, |_| {}));
    let stories = emulate(machine, &specs, 2);
    for story in stories {
        assert_eq!(story.failure.as_deref(), Some("Device"));
    }
}
