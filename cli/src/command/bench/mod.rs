//! `descent bench`: how fast this machine trains, and how fast the queue is.

mod case;
mod machine;
mod measure;
mod queue;
mod rows;
mod together;

use std::num::NonZeroU32;

use anyhow::Context as _;
use descent_training::device::Device;

use self::case::Case;
use self::measure::{Effort, Measured};
use crate::exit::{Exit, Failed};
use crate::global::{Format, Global};
use crate::output;
use crate::sweep_file::DataArgs;

/// Options of `descent bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What to measure.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Measures training: packs pulled forward without a queue, beside the rate of a large matrix product on the same core.
    #[command(
        after_help = "Examples:\n  descent bench train\n  descent bench train --case widths-24 --case small-16 --threads 2\n  descent bench train --case my-sweep.toml --whole --format json"
    )]
    Train(Train),
    /// Measures the queue: simulated workers that train nothing, over gRPC on loopback, against a coordinator in a process of its own.
    #[command(
        after_help = "Examples:\n  descent bench queue\n  descent bench queue --folder /data --case throughput,claims,million,beats --format json\n  descent bench queue --postgres postgres://postgres@localhost/bench --per-call 16"
    )]
    Queue(Box<queue::Args>),
}

/// Options of `descent bench train`.
#[derive(Debug, clap::Args)]
struct Train {
    #[arg(long = "case", env = "DESCENT_BENCH_CASE", value_name = "NAME", value_delimiter = ',', help = case_help())]
    cases: Vec<String>,
    /// Threads, each training a pack of its own: the whole case with other seeds. Times are per case.
    #[arg(long, env = "DESCENT_THREADS", value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// Where to train: auto, cpu, cuda:0, …
    #[arg(long, env = "DESCENT_DEVICE", default_value = "cpu")]
    device: String,
    /// Measurements of each case; the table shows their median.
    #[arg(long, env = "DESCENT_REPEAT", value_name = "N", default_value = "5")]
    repeat: NonZeroU32,
    /// Epochs of one measurement [default: as many as take 0.4 s; with --whole, those of the file].
    #[arg(long, env = "DESCENT_EPOCHS", value_name = "N")]
    epochs: Option<NonZeroU32>,
    /// Train whole trials, from the first step to the result, measured on training and test images as the file says. Without it: steps alone.
    #[arg(long, env = "DESCENT_WHOLE")]
    whole: bool,
    /// Use these instructions on the processor instead of the widest it has: avx512, avx2, neon, portable.
    #[arg(long, env = "DESCENT_INSTRUCTION_SET", value_name = "NAME")]
    instruction_set: Option<String>,
    #[command(flatten)]
    data: DataArgs,
}

fn case_help() -> String {
    let names: Vec<&str> = case::BUILT_IN.iter().map(|(name, _)| *name).collect();
    format!(
        "A built-in case ({}), or the path of a sweep file; several may be given [default: the cases for the device]",
        names.join(", ")
    )
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let train = match args.action {
        Action::Train(train) => train,
        Action::Queue(args) => return Box::pin(queue::run(*args, global)).await,
    };
    let format = global.format;
    // Training blocks; the runtime's threads must not.
    tokio::task::spawn_blocking(move || measure_all(&train, format))
        .await
        .context("measure training")?
}

fn measure_all(train: &Train, format: Format) -> anyhow::Result<Exit> {
    let device: Device = train
        .device
        .parse()
        .map_err(|error| Failed::usage(format!("--device: {error}")))?;
    device
        .check()
        .map_err(|error| Failed::usage(format!("--device {}: {error}", train.device)))?;
    let cases: Vec<Case> = if train.cases.is_empty() {
        case::defaults(device, &train.data)?
    } else {
        let read = |name: &String| Case::read(name, &train.data);
        train.cases.iter().map(read).collect::<Result<_, _>>()?
    };
    if train.instruction_set.is_some() && device != Device::Cpu {
        return Err(Failed::usage("--instruction-set is for --device cpu"));
    }
    let store = train.data.store();
    let effort = Effort {
        threads: train.threads,
        repeat: train.repeat,
        epochs: train.epochs,
        whole: train.whole,
        instruction_set: train.instruction_set.clone(),
    };
    output::note(&format!(
        "{}, {}, {} thread{}",
        machine::processor(),
        effort
            .instruction_set
            .as_deref()
            .unwrap_or(&device.instruction_set()),
        train.threads,
        if train.threads == 1 { "" } else { "s" },
    ));
    let mut measured: Vec<Measured> = Vec::new();
    for case in &cases {
        case.suits(train.whole)?;
        let found = measure::measure(case, &store, device, &effort)?;
        output::note(&format!(
            "{}: {} networks, {} ms an epoch",
            case.name,
            case.points.len(),
            output::number(found.ms_per_epoch()),
        ));
        measured.push(found);
    }
    output::print(&rows::rows(&measured, format), format)?;
    Ok(Exit::Success)
}
