//! Measures steps of convolution networks: `cargo run --release -p descent-training --example convolution [KIND] [BATCH] [STEPS]`.
//!
//! One network of its own width learns digits with Adam, on one thread. Prints the median and the best time of a step, in milliseconds.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::error::Error;
use std::time::Instant;

use descent_spec::params::Params;
use descent_training::data::DataStore;
use descent_training::device::Device;
use descent_training::open;
use descent_training::pack::Member;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap_or_else(|| "lenet-5".to_owned());
    let batch: u32 = arguments.next().map_or(Ok(60), |text| text.parse())?;
    let steps: u32 = arguments.next().map_or(Ok(30), |text| text.parse())?;
    // Whole batches only.
    let samples = 4_000 / batch * batch;
    let settings = format!(
        r#"{{"data.dataset":"mnist-4k","data.samples":{samples},"data.test_samples":100,"model.kind":"{kind}","train.batch":{batch},"train.epochs":1000,
            "train.loss":"cross-entropy","train.optimizer.kind":"adam","train.optimizer.lr":0.0012,"evaluate.spread":"end"}}"#
    );
    let spec = Params::from_json(&settings)?.resolve()?;
    let store = DataStore::new(Vec::new());
    let member = Member {
        key: 0,
        data: store.describe(&spec.data.dataset)?.hash,
        spec,
        checkpoint: None,
        parent_weights: None,
    };
    let (mut pack, failed) = open(vec![member], &store, &Device::Cpu);
    assert!(failed.is_empty(), "{failed:?}");
    let mut times = Vec::new();
    for _ in 0..steps {
        let start = Instant::now();
        pack.advance(1);
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{kind}, batch {batch}, {}: {:.2} ms a step, best {:.2}",
        Device::Cpu.instruction_set(),
        times[times.len() / 2],
        times[0]
    );
    Ok(())
}
