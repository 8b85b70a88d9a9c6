//! Measures a step in subspaces: `cargo run --release -p descent-training --example subspace [HIDDEN] [SECONDS]`.
//!
//! 784-200-200-10 (or other hidden layers: `400-400-400`), batch 128, one network on one thread, for the three projections and
//! many dimensions, beside training every parameter. Prints a table, and the same as JSON in its last line.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::time::Instant;

use descent_spec::asked::Asked;
use descent_spec::trial::{
    AugmentSpec, DataSpec, EarlyStop, EvaluateSpec, Experiment, Init, Inputs, Labels, Loss,
    MaskSpec, ModelSpec, NoiseKind, Optimizer, ProjectionKind, Schedule, Scope, Spread,
    SubspaceSpec, TrainSpec, TrialSpec,
};
use descent_training::data::DataStore;
use descent_training::device::Device;
use descent_training::open;
use descent_training::pack::Member;

const BATCH: u32 = 128;
const SAMPLES: u32 = 4_000 / BATCH * BATCH;
/// Dense projections of more numbers than this are left out: 2 GB.
const MOST_DENSE: u64 = 500_000_000;
const DIMENSIONS: [u32; 10] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000,
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let hidden: Vec<u32> = arguments
        .next()
        .unwrap_or_else(|| "200-200".to_owned())
        .split('-')
        .map(|units| units.parse().expect("units"))
        .collect();
    let seconds: f64 = arguments
        .next()
        .map_or(0.5, |text| text.parse().expect("a number of seconds"));
    let mut below = 784;
    let mut parameters = 0;
    for &units in hidden.iter().chain([&10]) {
        parameters += u64::from(below + 1) * u64::from(units);
        below = units;
    }
    let (direct, _) = measure(&hidden, None, seconds);
    println!(
        "{} parameters, batch {BATCH}, {}",
        parameters,
        Device::Cpu.instruction_set()
    );
    println!("projection  dimensions  ms a step  times direct  ms to draw");
    println!("none                 -  {:9.3}  {:12.2}", direct * 1e3, 1.0);
    let mut rows = vec![format!(
        r#"{{"projection":null,"dim":0,"step_s":{direct}}}"#
    )];
    for &projection in ProjectionKind::ALL {
        for dim in DIMENSIONS {
            let dense = projection == ProjectionKind::Dense;
            if u64::from(dim) > parameters || dense && u64::from(dim) * parameters > MOST_DENSE {
                continue;
            }
            let (step, draw) = measure(
                &hidden,
                Some(SubspaceSpec {
                    dim,
                    projection,
                    search: None,
                }),
                seconds,
            );
            println!(
                "{:10}  {dim:10}  {:9.3}  {:12.2}  {:10.0}",
                projection.word(),
                step * 1e3,
                step / direct,
                draw * 1e3
            );
            rows.push(format!(
                r#"{{"projection":"{projection}","dim":{dim},"step_s":{step},"draw_s":{draw}}}"#
            ));
        }
    }
    println!(
        r#"{{"parameters":{parameters},"batch":{BATCH},"rows":[{}]}}"#,
        rows.join(",")
    );
}

/// Seconds of a step, the best of several rounds of 8, and of drawing the projection.
fn measure(hidden: &[u32], subspace: Option<SubspaceSpec>, seconds: f64) -> (f64, f64) {
    const ROUND: u32 = 8;
    let data = DataStore::new(Vec::new());
    let member = Member {
        key: 0,
        spec: spec(hidden, subspace),
        data: data.describe("mnist-4k").expect("it is in the binary").hash,
        checkpoint: None,
        parent_weights: None,
    };
    let begin = Instant::now();
    let (mut pack, failed) = open(vec![member], &data, &Device::Cpu);
    let drawn = begin.elapsed().as_secs_f64();
    assert!(failed.is_empty(), "{failed:?}");
    pack.advance(ROUND);
    let mut best = f64::INFINITY;
    let begin = Instant::now();
    while best.is_infinite() || begin.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        pack.advance(ROUND);
        best = best.min(start.elapsed().as_secs_f64() / f64::from(ROUND));
    }
    (best, drawn)
}

fn spec(hidden: &[u32], subspace: Option<SubspaceSpec>) -> TrialSpec {
    TrialSpec {
        experiment: Experiment::RiskCurve,
        data: DataSpec {
            dataset: "mnist-4k".to_owned(),
            samples: Some(SAMPLES),
            validation: 0,
            test_samples: Some(100),
            centre: true,
            label_noise: 0.0,
            noise_kind: NoiseKind::Other,
            inputs: Inputs::True,
            labels: Labels::True,
            seed: 0,
        },
        model: ModelSpec::Mlp {
            hidden: hidden.to_vec(),
            init: Init::HeNormal,
        },
        mask: MaskSpec::None,
        train: TrainSpec {
            loss: Loss::CrossEntropy,
            optimizer: Optimizer::Sgd {
                lr: 0.1,
                momentum: 0.9,
            },
            schedule: Schedule::Constant,
            schedule_scope: Scope::Never,
            weight_decay: 0.0,
            dropout: 0.0,
            augment: AugmentSpec::default(),
            early_stop: EarlyStop::Never,
            patience: 10,
            batch: BATCH,
            epochs: 1_000_000,
            order_seed: 0,
            weight_reuse: Scope::Never,
            reuse_sd: 0.1,
            stop_at_zero_error: Scope::Never,
        },
        subspace,
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
