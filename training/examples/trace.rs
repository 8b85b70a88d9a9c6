//! Writes everything that another program needs to train the same networks, and the losses that it should find:
//!
//! ```text
//! cargo run --release -p descent-training --example trace -- FOLDER
//! ```
//!
//! `docs/reproduce/pytorch.py` is that program. For each case: its settings (`.json`), samples, initial weights
//! (`.safetensors`, PyTorch's names and layouts), and the training loss after every full-batch step (`.csv`).

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use descent_spec::params::Params;
use descent_training::data::{DataStore, prepare};
use descent_training::device::Device;
use descent_training::open;
use descent_training::pack::{Event, Member};
use safetensors::tensor::{Dtype, TensorView, serialize};

/// 64 digits in one batch, 20 steps: enough for every layer of a convolution network to move.
const SHARED_IMAGES: &str = r#""data.dataset":"mnist-4k","data.samples":64,"data.test_samples":1,"train.batch":64,"train.epochs":20,
    "evaluate.spread":"every","evaluate.every":1,"seed":1,"model.init":"he-normal","train.loss":"cross-entropy""#;
/// 500 digits in one batch, 100 steps, measured after every one.
const SHARED: &str = r#""data.dataset":"mnist-4k","data.samples":500,"data.test_samples":1,"train.batch":500,"train.epochs":100,
    "evaluate.spread":"every","evaluate.every":1,"seed":1"#;
const SGD: &str =
    r#""train.optimizer.kind":"sgd","train.optimizer.lr":0.01,"train.optimizer.momentum":0.9"#;
const ADAM: &str = r#""train.optimizer.kind":"adam","train.optimizer.lr":0.0005"#;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [folder] = arguments.as_slice() else {
        return Err("usage: trace FOLDER".into());
    };
    fs::create_dir_all(folder)?;
    for (rule, optimizer) in [("sgd", SGD), ("adam", ADAM)] {
        for loss in ["squared", "cross-entropy"] {
            for (depth, width) in [(1, 50), (2, 33)] {
                let settings = format!(
                    r#"{{{SHARED},{optimizer},"train.loss":"{loss}","model.depth":{depth},"model.width":{width}}}"#
                );
                trace(folder, &format!("{rule}-{loss}-{depth}x{width}"), &settings)?;
            }
        }
    }
    for (kind, width) in [
        ("lenet-5", 6),
        ("conv-2", 8),
        ("conv-6", 8),
        ("resnet-20", 8),
    ] {
        for (rule, optimizer) in [("sgd", SGD), ("adam", ADAM)] {
            let settings = format!(
                r#"{{{SHARED_IMAGES},{optimizer},"model.kind":"{kind}","model.width":{width}}}"#
            );
            trace(folder, &format!("{rule}-{kind}"), &settings)?;
        }
    }
    Ok(())
}

/// Trains one case and writes its files.
fn trace(folder: &Path, name: &str, settings: &str) -> Result<(), Box<dyn Error>> {
    let params = Params::from_json(settings)?;
    let spec = params.resolve()?;
    let store = DataStore::new(Vec::new());
    let data = store.describe(&spec.data.dataset)?.hash;
    let prepared = prepare(&*store.load(data)?, &spec.data)?;
    let member = Member {
        key: 0,
        spec,
        data,
        checkpoint: None,
        parent_weights: None,
    };
    let (mut pack, events) = open(vec![member], &store, &Device::Cpu);
    if let Some(Event::Failed { error, .. }) = events.into_iter().next() {
        return Err(error.into());
    }
    let file = |ending: &str| folder.join(format!("{name}.{ending}"));
    fs::write(file("json"), settings)?;
    // A checkpoint before the first step: initial weights, and an optimizer that has seen nothing.
    fs::write(
        file("initial.safetensors"),
        pack.checkpoint(0).ok_or("the member has gone")?,
    )?;
    let x: Vec<u8> = prepared
        .train_x
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let (samples, inputs) = (prepared.train_y.len(), prepared.inputs);
    let tensors = [
        ("x", TensorView::new(Dtype::F32, vec![samples, inputs], &x)?),
        (
            "y",
            TensorView::new(Dtype::U8, vec![samples], &prepared.train_y)?,
        ),
    ];
    fs::write(file("samples.safetensors"), serialize(tensors, None)?)?;

    let mut losses = "step,train_loss\n".to_owned();
    while !pack.progress().is_empty() {
        for event in pack.advance(1) {
            match event {
                Event::Measured { measurement, .. } => {
                    let loss = measurement.train_loss.ok_or("the network diverged")?;
                    writeln!(losses, "{},{loss:e}", measurement.epoch)?;
                }
                Event::Finished { weights, .. } => {
                    fs::write(
                        file("final.safetensors"),
                        weights.ok_or("there are no weights")?,
                    )?;
                }
                Event::Failed { error, .. } => return Err(error.into()),
            }
        }
    }
    fs::write(file("csv"), losses)?;
    Ok(())
}
