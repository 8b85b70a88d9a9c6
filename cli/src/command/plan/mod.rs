//! `descent plan`.

mod finished;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;

use descent_spec::data::KnownData;
use descent_spec::grid::Grid;
use descent_spec::plan::Plan;
use descent_spec::sweep::Sweep;

use self::finished::Results;
use self::show::{MAX_WIDTHS, document, summary, widths};
use crate::exit::{Exit, Failed};
use crate::global::{Format, Global};
use crate::mistakes;
use crate::output;

/// What one core does in training, in 10⁹ floating-point operations a second: between small networks and large ones.
const GFLOPS_PER_CORE: f64 = 40.0;

/// Options of `descent plan`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent plan sweeps/double-descent.toml\n  descent plan sweeps/double-descent.toml --gflops 2000 --format json"
)]
pub(crate) struct Args {
    /// The sweep file.
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Folder of data sets, besides the built-in ones; several may be given.
    #[arg(
        long = "data-dir",
        env = "DESCENT_DATA_DIR",
        value_name = "DIR",
        value_delimiter = ':'
    )]
    folders: Vec<PathBuf>,
    /// Speed that the time is estimated with, in 10⁹ operations a second over all workers [default: 40 for each core here].
    #[arg(long, env = "DESCENT_GFLOPS", value_name = "GFLOP/S", value_parser = speed)]
    gflops: Option<f64>,
}

/// A checked sweep file.
struct SweepFile {
    path: PathBuf,
    sweep: Sweep,
    grid: Grid,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let file = read(&args)?;
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

/// Reads and checks the sweep file, and looks at its data sets.
fn read(args: &Args) -> anyhow::Result<SweepFile> {
    let path = args.spec.clone();
    let source = std::fs::read_to_string(&path).map_err(|error| {
        Failed::usage(format!("read the sweep file {}: {error}", path.display()))
    })?;
    let wrong = |found| mistakes::failed(&path, &source, &found);
    let sweep = Sweep::parse(&source).map_err(wrong)?;
    let data = describe(&sweep, &args.folders)?;
    let grid = sweep.grid(&data).map_err(wrong)?;
    Ok(SweepFile { path, sweep, grid })
}

#[cfg(feature = "worker")]
fn describe(sweep: &Sweep, folders: &[PathBuf]) -> anyhow::Result<BTreeMap<String, KnownData>> {
    let default = descent_training::data::default_folder();
    let folders = folders.iter().cloned().chain(default).collect();
    let store = descent_training::data::DataStore::new(folders);
    let names = sweep.data_sets().into_iter();
    names
        .map(|name| {
            let known = store
                .describe(name)
                .map_err(|error| Failed::usage(error.to_string()))?;
            Ok((name.to_owned(), known))
        })
        .collect()
}

/// A build without training has no readers of data.
#[cfg(not(feature = "worker"))]
fn describe(_: &Sweep, _: &[PathBuf]) -> anyhow::Result<BTreeMap<String, KnownData>> {
    Err(Failed::usage(
        "this build of descent cannot look at data: plan with a full build",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_number_above_0() {
        assert!(speed("0").is_err() && speed("x").is_err() && speed("2.5") == Ok(2.5));
    }
}
