//! Measures training of the fast path: `cargo run --release -p descent-training --example bench [WIDTHS] [EPOCHS] [BATCH]`.
//!
//! Networks of the given widths (comma-separated; 24 from 3 to 1000 otherwise) learn 4,000 images of MNIST side by side, on one
//! thread. Useful operations are those of the products alone: 4·784·H + 6·10·H per sample; the gradient of the inputs is not one.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::time::Instant;

use descent_spec::trial::{
    DataSpec, EvaluateSpec, Experiment, Init, Loss, MaskSpec, ModelSpec, Optimizer, Schedule,
    Scope, Spread, TrainSpec, TrialSpec,
};
use descent_training::data::DataStore;
use descent_training::device::Device;
use descent_training::open;
use descent_training::pack::Member;

/// From 3 to 1000, evenly on a log scale but for rounding; they sum to 3430.
const WIDTHS: [u32; 24] = [
    3, 4, 5, 6, 8, 10, 13, 17, 22, 28, 36, 46, 51, 60, 75, 96, 122, 150, 187, 230, 290, 371, 600,
    1000,
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let widths: Vec<u32> = arguments.next().map_or(WIDTHS.to_vec(), |text| {
        text.split(',')
            .map(|width| width.parse().expect("a width"))
            .collect()
    });
    let epochs: u32 = arguments
        .next()
        .map_or(5, |text| text.parse().expect("a number of epochs"));
    let batch: u32 = arguments
        .next()
        .map_or(100, |text| text.parse().expect("a batch size"));
    let data = DataStore::new(Vec::new());
    let hash = data.describe("mnist-4k").expect("it is in the binary").hash;
    let members = widths.iter().zip(0..).map(|(&width, key)| Member {
        key,
        spec: spec(width, batch),
        data: hash,
        checkpoint: None,
        parent_weights: None,
    });
    let (mut pack, failed) = open(members.collect(), &data, &Device::Cpu);
    assert!(failed.is_empty(), "{failed:?}");
    let steps = 4_000_u32.div_ceil(batch);
    let mut best = f64::INFINITY;
    for _ in 0..epochs {
        let start = Instant::now();
        pack.advance(steps);
        best = best.min(start.elapsed().as_secs_f64());
    }
    let units: u32 = widths.iter().sum();
    let useful = 4_000.0 * f64::from(units) * (4.0 * 784.0 + 6.0 * 10.0);
    println!(
        "{} networks, {units} units, batch {batch}, {}: best epoch {:.1} ms, {:.1} GFLOP/s useful",
        widths.len(),
        Device::Cpu.instruction_set(),
        best * 1e3,
        useful / best / 1e9,
    );
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
            label_noise: 0.0,
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
        seed: 0,
    }
}
