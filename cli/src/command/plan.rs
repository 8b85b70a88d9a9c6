//! `descent plan`.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use descent_coordinator::reader::Reader;
use descent_proto::channel::{Connection, Credentials};
use descent_proto::v1::QueryRequest;
use descent_spec::data::KnownData;
use descent_spec::grid::Grid;
use descent_spec::id::Identity;
use descent_spec::plan::Plan;
use descent_spec::sweep::Sweep;
use serde_json::json;

use crate::exit::{Exit, Failed};
use crate::global::{Format, Global};
use crate::mistakes;
use crate::output::{self, Cell, Form, Rows};

/// What one core does in training, in 10⁹ floating-point operations a second: between small networks and large ones.
const GFLOPS_PER_CORE: f64 = 40.0;
/// Most lines about single widths in the table for people.
const MAX_WIDTHS: usize = 40;

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

/// Whether there is a database to ask: before the first run, there is no file.
fn database_exists(url: &str) -> bool {
    match url.strip_prefix("sqlite:") {
        Some(path) => {
            let path = path.trim_start_matches("//");
            Path::new(path.split('?').next().unwrap_or(path)).exists()
        }
        None => true,
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

/// Who knows which trials have a result.
enum Results {
    /// Nobody: there is no database yet.
    None,
    /// The database, read-only.
    Database(Reader),
    /// The given coordinator.
    Coordinator(Connection),
}

impl Results {
    async fn open(global: &Global) -> anyhow::Result<Self> {
        if !global.coordinator.is_empty() {
            let credentials = Credentials {
                token: global.token.clone(),
                authority: None,
            };
            return Connection::new(&global.coordinator, &credentials)
                .map(Self::Coordinator)
                .map_err(|error| Failed::usage(error.to_string()));
        }
        if !database_exists(&global.db) {
            return Ok(Self::None);
        }
        Reader::open(&global.db)
            .await
            .map(Self::Database)
            .map_err(|error| Failed::unreachable(error.to_string()))
    }

    /// Which of these trials have a result.
    async fn finished(&self, identities: &[Identity]) -> anyhow::Result<Vec<Identity>> {
        match self {
            _ if identities.is_empty() => Ok(Vec::new()),
            Self::None => Ok(Vec::new()),
            Self::Database(reader) => {
                let found = reader.finished(identities).await;
                found.map_err(|error| Failed::unreachable(error.to_string()))
            }
            Self::Coordinator(connection) => from_coordinator(connection, identities).await,
        }
    }

    async fn close(&self) {
        if let Self::Database(reader) = self {
            reader.close().await;
        }
    }
}

async fn from_coordinator(
    connection: &Connection,
    identities: &[Identity],
) -> anyhow::Result<Vec<Identity>> {
    let unreachable = |status: tonic::Status| {
        Failed::unreachable(format!(
            "ask the coordinator for results: {}",
            status.message()
        ))
    };
    let list: Vec<String> = identities
        .iter()
        .map(|identity| format!("'{identity}'"))
        .collect();
    let request = QueryRequest {
        sql: format!(
            "SELECT DISTINCT identity FROM results WHERE identity IN ({})",
            list.join(",")
        ),
        max_rows: u32::try_from(identities.len()).unwrap_or(u32::MAX),
    };
    let mut pages = connection
        .sweeps()
        .query(request)
        .await
        .map_err(unreachable)?
        .into_inner();
    let mut found = HashSet::new();
    while let Some(page) = pages.message().await.map_err(unreachable)? {
        for row in &page.rows_json {
            let (name,): (String,) = serde_json::from_str(row)?;
            found.insert(name.parse::<Identity>()?);
        }
    }
    Ok(found.into_iter().collect())
}

/// The totals, as people read them.
fn summary(file: &SweepFile, plan: &Plan, gflops: f64, asked: bool) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text += &format!("{name:<12} {value}\n");
    line(
        "sweep",
        format!(
            "{} ({}), {}",
            file.sweep.name(),
            file.sweep.experiment(),
            file.path.display()
        ),
    );
    let names = file.sweep.axis_names();
    line(
        "axes",
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        },
    );
    let excluded = plan.places - plan.points;
    let excluded = match excluded {
        0 => String::new(),
        _ => format!(", {} places excluded or of other blocks", grouped(excluded)),
    };
    line("points", format!("{}{excluded}", grouped(plan.points)));
    if plan.duplicates > 0 {
        line(
            "duplicates",
            format!("{} are the same trial as another", grouped(plan.duplicates)),
        );
    }
    let found = match asked {
        true => format!(", {} finished already", grouped(plan.finished)),
        false => String::new(),
    };
    line(
        "trials",
        format!(
            "{}{found}, {} to train",
            grouped(plan.trials()),
            grouped(plan.left())
        ),
    );
    if plan.chained > 0 {
        let chained = grouped(plan.chained);
        line(
            "chained",
            format!("{chained} start from the weights of the next narrower network"),
        );
    }
    if let Some((low, high)) = parameters(plan) {
        line(
            "parameters",
            format!("{} to {} of a network", grouped(low), grouped(high)),
        );
    }
    if let Some((low, high)) = plan.threshold {
        let range = if low == high {
            grouped(low)
        } else {
            format!("{} to {}", grouped(low), grouped(high))
        };
        line("threshold", format!("n·K = {range} parameters"));
    }
    line(
        "cost",
        format!(
            "{} GFLOP, {} GFLOP to do",
            giga(plan.cost),
            giga(plan.cost_left)
        ),
    );
    line(
        "time",
        format!(
            "about {} at {gflops} GFLOP/s (an assumption: say --gflops)",
            duration(plan.cost_left / (gflops * 1e9))
        ),
    );
    line(
        "memory",
        format!(
            "up to {} a trial, and {} of samples that trials share",
            bytes(plan.memory),
            bytes(plan.data_bytes)
        ),
    );
    text.push('\n');
    text
}

fn parameters(plan: &Plan) -> Option<(u64, u64)> {
    let low = plan
        .widths
        .values()
        .map(|width| width.min_parameters)
        .min()?;
    let high = plan
        .widths
        .values()
        .map(|width| width.max_parameters)
        .max()?;
    Some((low, high))
}

/// One row for each width, or for the ends and every so many between when there are more than `most`.
fn widths(plan: &Plan, most: usize) -> Rows {
    let mut rows = Rows::new([
        ("width", Form::Count),
        ("trials", Form::Count),
        ("parameters", Form::Count),
        ("gflop", Form::Number),
    ]);
    let every = plan.widths.len().div_ceil(most.max(1));
    let last = plan.widths.len().saturating_sub(1);
    for (at, (width, sum)) in plan.widths.iter().enumerate() {
        if at % every.max(1) == 0 || at == last {
            rows.push([
                i64::from(*width).into(),
                count(sum.trials),
                count(sum.max_parameters),
                (sum.cost / 1e9).into(),
            ]);
        }
    }
    rows
}

fn count(value: u64) -> Cell {
    i64::try_from(value).map_or(Cell::Null, Cell::Int)
}

fn document(file: &SweepFile, plan: &Plan, gflops: f64) -> serde_json::Value {
    let parameters = parameters(plan);
    let widths: Vec<serde_json::Value> = plan
        .widths
        .iter()
        .map(|(width, sum)| {
            json!({
                "width": width,
                "trials": sum.trials,
                "parameters_min": sum.min_parameters,
                "parameters_max": sum.max_parameters,
                "flop": sum.cost,
            })
        })
        .collect();
    json!({
        "sweep": file.sweep.name(),
        "experiment": file.sweep.experiment().word(),
        "axes": file.sweep.axis_names(),
        "points": plan.points,
        "excluded": plan.places - plan.points,
        "duplicates": plan.duplicates,
        "trials": plan.trials(),
        "finished": plan.finished,
        "left": plan.left(),
        "chained": plan.chained,
        "parameters_min": parameters.map(|(low, _)| low),
        "parameters_max": parameters.map(|(_, high)| high),
        "threshold_min": plan.threshold.map(|(low, _)| low),
        "threshold_max": plan.threshold.map(|(_, high)| high),
        "flop": plan.cost,
        "flop_left": plan.cost_left,
        "assumed_gflops": gflops,
        "estimated_s": plan.cost_left / (gflops * 1e9),
        "trial_memory_bytes": plan.memory,
        "data_bytes": plan.data_bytes,
        "widths": widths,
    })
}

/// 1234567 as 1,234,567.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn giga(flop: f64) -> String {
    output::number((flop / 1e9 * 10.0).round() / 10.0)
}

fn duration(seconds: f64) -> String {
    let units = [(86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")];
    match units.iter().find(|(unit, _)| seconds >= 2.0 * unit) {
        Some((unit, name)) => format!("{:.1} {name}", seconds / unit),
        None if seconds < 1.0 => "a second".to_owned(),
        None => format!("{seconds:.0} seconds"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes / unit),
        None => format!("{bytes:.0} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0.2, 59.0, 119.0, 120.0, 7_300.0, 200_000.0].map(duration),
            [
                "a second",
                "59 seconds",
                "119 seconds",
                "2.0 minutes",
                "2.0 hours",
                "2.3 days"
            ]
        );
        assert_eq!(
            [12, 1_500, 44_000_000].map(bytes),
            ["12 B", "1.5 kB", "44.0 MB"]
        );
        assert!(speed("0").is_err() && speed("x").is_err() && speed("2.5") == Ok(2.5));
    }

    #[test]
    fn a_database_that_is_not_there_is_not_asked() {
        assert!(!database_exists("sqlite:/nowhere/at/all.db"));
        assert!(!database_exists("sqlite:///nowhere/at/all.db?mode=ro"));
        assert!(database_exists("postgres://db/descent"));
    }
}
