//! `descent plan`: what a sweep would train and cost.

mod finished;
mod show;

use std::path::PathBuf;

use descent_spec::plan::Plan;

use self::finished::Results;
use self::show::{MAX_WIDTHS, document, summary, widths};
use crate::exit::Exit;
use crate::global::{Format, Global};
use crate::output;
use crate::sweep_file::{DataArgs, SweepFile};

/// What one core does in training, in 10⁹ floating-point operations a second: between small networks and large ones.
const GFLOPS_PER_CORE: f64 = 40.0;

/// Says what a sweep would train and cost; trains nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent plan sweeps/double-descent.toml\n  descent plan sweeps/double-descent.toml --gflops 2000 --format json"
)]
pub(crate) struct Args {
    /// The sweep file.
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Speed that the time is estimated with, in 10⁹ operations a second over all workers [default: 40 for each core here].
    #[arg(long, env = "DESCENT_GFLOPS", value_name = "GFLOP/S", value_parser = speed)]
    gflops: Option<f64>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let file = SweepFile::read(&args.spec, &args.data)?;
    let results = Results::open(global).await?;
    let plan = tokio::task::block_in_place(|| {
        let here = tokio::runtime::Handle::current();
        Plan::count(&file.grid, |identities| {
            here.block_on(results.finished(identities))
        })
    })?;
    let asked = !matches!(results, Results::None);
    results.close().await;
    let gflops = args.gflops.unwrap_or_else(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        GFLOPS_PER_CORE * u32::try_from(cores).map_or(1.0, f64::from)
    });
    match global.format {
        Format::Table => {
            output::print_text(&summary(&file, &plan, gflops, asked))?;
            output::print(&widths(&plan, MAX_WIDTHS), Format::Table)?;
        }
        Format::Json => output::print_text(&format!("{:#}\n", document(&file, &plan, gflops)))?,
        Format::Csv | Format::Jsonl | Format::Parquet => {
            output::print(&widths(&plan, usize::MAX), global.format)?;
        }
    }
    Ok(Exit::Success)
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text
        .parse()
        .map_err(|_| format!("`{text}` is not a number"))?;
    if speed.is_finite() && speed > 0.0 {
        Ok(speed)
    } else {
        Err("a speed is above 0".to_owned())
    }
}
