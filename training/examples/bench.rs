//! Measures training of the fast path: `cargo run --release -p descent-training --example bench [SHAPES] [EPOCHS] [BATCH] [NAME=VALUE …]`.
//!
//! Networks of the given shapes (`300-100`, comma-separated; 24 widths from 3 to 1000 otherwise) learn 4,000 images of MNIST side by side, on one
//! thread. Useful operations are those of the products alone: 4·784·H + 6·10·H per sample; the gradient of the inputs is not one.
//! Names: `optimizer=adam`, `loss=cross-entropy`, `density=0.2` (a random mask), `evaluate=1` (every so many epochs, on 10,000 test
//! images too), `set=avx2` (an instruction set that is not the widest).
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::time::Instant;

use descent_spec::asked::Asked;
use descent_spec::setting::layers;
use descent_spec::trial::{
    AugmentSpec, DataSpec, EarlyStop, EvaluateSpec, Experiment, Init, Inputs, Labels, Loss,
    MaskSpec, ModelSpec, NoiseKind, Optimizer, Schedule, Scope, Spread, TrainSpec, TrialSpec,
};
use descent_training::data::DataStore;
use descent_training::device::Device;
use descent_training::open_with;
use descent_training::pack::Member;

/// From 3 to 1000, evenly on a log scale but for rounding; they sum to 3430.
const WIDTHS: [u32; 24] = [
    3, 4, 5, 6, 8, 10, 13, 17, 22, 28, 36, 46, 51, 60, 75, 96, 122, 150, 187, 230, 290, 371, 600,
    1000,
];

fn main() {
    let (named, positional): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.contains('='));
    let named = |name: &str| {
        let prefix = format!("{name}=");
        named
            .iter()
            .find_map(|argument| argument.strip_prefix(&prefix))
    };
    let shapes: Vec<Vec<u32>> = match positional.first() {
        Some(text) => text
            .split(',')
            .map(|text| layers(text).expect("a shape"))
            .collect(),
        None => WIDTHS.iter().map(|&width| vec![width]).collect(),
    };
    let number = |index: usize, default: u32| {
        positional
            .get(index)
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let (epochs, batch) = (number(1, 5), number(2, 100));
    let (adam, entropy) = (
        named("optimizer") == Some("adam"),
        named("loss") == Some("cross-entropy"),
    );
    let density = named("density").map(|text| text.parse().expect("a density"));
    let every = named("evaluate").map(|text| text.parse().expect("a number of epochs"));
    let data = DataStore::new(Vec::new());
    let hash = data.describe("mnist-4k").expect("it is in the binary").hash;
    let members = shapes.iter().zip(0..).map(|(shape, key)| {
        let mut spec = spec(1, batch);
        spec.seed = key;
        let init = Init::GlorotUniform;
        spec.model = ModelSpec::Mlp {
            hidden: shape.clone(),
            init,
        };
        if adam {
            spec.train.optimizer = Optimizer::Adam {
                lr: 1.2e-3,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
            };
        }
        if entropy {
            spec.train.loss = Loss::CrossEntropy;
        }
        if let Some(density) = density {
            spec.mask = MaskSpec::Random { density };
        }
        if let Some(every) = every {
            spec.data.test_samples = None;
            spec.evaluate.spread = Spread::Every;
            spec.evaluate.every = every;
        }
        Member {
            key,
            spec,
            data: hash,
            checkpoint: None,
            parent_weights: None,
        }
    });
    let default = Device::Cpu.instruction_set();
    let set = named("set").unwrap_or(&default);
    let (mut pack, failed) =
        open_with(members.collect(), &data, set).expect("this processor has it");
    assert!(failed.is_empty(), "{failed:?}");
    let steps = 4_000_u32.div_ceil(batch);
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..epochs {
        let start = Instant::now();
        pack.advance(steps);
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let (best, median) = (times[0], times[times.len() / 2]);
    let useful: f64 = shapes.iter().map(|shape| operations(shape)).sum();
    println!(
        "{} networks, batch {batch}, {set}: best epoch {:.1} ms, median {:.1} ms, {:.1} GFLOP/s useful",
        shapes.len(),
        best * 1e3,
        median * 1e3,
        useful / best / 1e9,
    );
}

/// Operations of an epoch's products: no gradient of the inputs.
fn operations(shape: &[u32]) -> f64 {
    let (mut below, mut all) = (784.0, 0.0);
    for (index, &units) in shape.iter().chain([&10]).enumerate() {
        let passes = if index == 0 { 4.0 } else { 6.0 };
        all += passes * below * f64::from(units);
        below = f64::from(units);
    }
    4_000.0 * all
}

fn spec(width: u32, batch: u32) -> TrialSpec {
    TrialSpec {
        experiment: Experiment::RiskCurve,
        data: DataSpec {
            dataset: "mnist-4k".to_owned(),
            samples: None,
            validation: 0,
            test_samples: Some(100),
            centre: true,
            inputs: Inputs::True,
            labels: Labels::True,
            label_noise: 0.0,
            noise_kind: NoiseKind::Other,
            seed: 0,
        },
        model: ModelSpec::uniform(width, 1, Init::GlorotUniform),
        mask: MaskSpec::None,
        train: TrainSpec {
            loss: Loss::Squared,
            optimizer: Optimizer::Sgd {
                lr: 0.003,
                momentum: 0.95,
            },
            schedule: Schedule::Constant,
            schedule_scope: Scope::Never,
            weight_decay: 0.0,
            dropout: 0.0,
            augment: AugmentSpec::default(),
            early_stop: EarlyStop::Never,
            patience: 10,
            batch,
            epochs: 1_000_000,
            order_seed: 0,
            weight_reuse: Scope::Never,
            reuse_sd: 0.1,
            stop_at_zero_error: Scope::Never,
        },
        subspace: None,
        evaluate: EvaluateSpec {
            spread: Spread::End,
            points: 0,
            every: 0,
        },
        asked: Asked::Nothing,
        robustness: None,
        seed: 0,
    }
}
