//! `descent export`: a sweep's rows as a file for other tools.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;

use crate::exit::{Exit, Failed};
use crate::global::{Format, Global};
use crate::output::{self, NewFile, ParquetFile, Rows};
use crate::results::{self, ALL_ROWS, VIEW_VERSION, quoted};

/// Trials in one slice: bounds the memory, whatever the size of the sweep.
const SLICE: usize = 4096;

/// Options of `descent export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent export double-descent --out results.parquet\n  descent export double-descent --table metrics --out metrics.csv\n  descent export double-descent --format jsonl | jq .test_loss\n\n`descent import` takes results back in from parquet and jsonl."
)]
pub(crate) struct Args {
    /// Name of the sweep.
    sweep: String,

    /// File to write, ending in .parquet, .csv or .jsonl; stdout without it.
    #[arg(short, long, env = "DESCENT_EXPORT_OUT", value_name = "FILE")]
    out: Option<PathBuf>,

    /// What to write.
    #[arg(long, env = "DESCENT_EXPORT_TABLE", value_enum, default_value_t = Table::Results)]
    table: Table,
}

/// A view that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Trials that have a result, with their final numbers.
    Results,
    /// All trials, in whatever state.
    Trials,
    /// Every measurement of every epoch.
    Metrics,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Results => "results",
            Self::Trials => "trials",
            Self::Metrics => "metrics",
        }
    }

    /// The rows of trials from `first` to `last`.
    fn slice(self, sweep: &str, first: i64, last: i64) -> String {
        let trials = format!(
            "sweep = {} AND trial BETWEEN {first} AND {last}",
            quoted(sweep)
        );
        match self {
            Self::Results | Self::Trials => {
                format!(
                    "SELECT * FROM {} WHERE {trials} ORDER BY trial",
                    self.name()
                )
            }
            Self::Metrics => format!(
                "SELECT * FROM metrics WHERE trial IN (SELECT trial FROM trials WHERE {trials}) ORDER BY trial, epoch, split, name"
            ),
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let format = format(&args, global.format)?;
    let sql = format!(
        "SELECT trial FROM trials WHERE sweep = {} ORDER BY trial",
        quoted(&args.sweep)
    );
    let trials = results::query(global, &sql, ALL_ROWS).await?.rows.rows;
    let trials: Vec<i64> = trials.iter().filter_map(|row| row.first()?.int()).collect();
    if trials.is_empty() {
        return Err(Failed::usage(format!(
            "there is no sweep `{}` with trials: `descent status` lists them",
            args.sweep
        )));
    }
    let Some(file) = &args.out else {
        let mut to = std::io::BufWriter::new(std::io::stdout());
        let written = export(&args, global, format, &trials, &mut to).await;
        output::unless_reader_left(written.and_then(|_| to.flush().context("write to stdout")))?;
        return Ok(Exit::Success);
    };
    let mut to = NewFile::create(file)?;
    let written = export(&args, global, format, &trials, &mut to).await?;
    to.keep()?;
    output::note(&format!(
        "{written} rows of {} to {}",
        args.table.name(),
        file.display()
    ));
    Ok(Exit::Success)
}

/// What to write: as asked for, else by the file's ending.
fn format(args: &Args, asked: Format) -> anyhow::Result<Format> {
    let ending = args
        .out
        .as_ref()
        .and_then(|file| file.extension())
        .and_then(|ending| ending.to_str());
    match (asked, ending) {
        (Format::Csv | Format::Jsonl | Format::Parquet, _) => Ok(asked),
        (_, Some("csv")) => Ok(Format::Csv),
        (_, Some("jsonl")) => Ok(Format::Jsonl),
        (_, Some("parquet")) => Ok(Format::Parquet),
        _ => Err(Failed::usage(
            "give --out FILE ending in .parquet, .csv or .jsonl, or --format parquet, csv or jsonl",
        )),
    }
}

/// Where slices of rows go.
enum Sink<'a> {
    Csv(&'a mut (dyn Write + Send)),
    Jsonl(&'a mut (dyn Write + Send)),
    Parquet(Box<ParquetFile<&'a mut (dyn Write + Send)>>),
}

impl Sink<'_> {
    fn write(&mut self, rows: &Rows) -> anyhow::Result<()> {
        match self {
            Self::Csv(to) => output::csv(rows, false, *to).context("write csv"),
            Self::Jsonl(to) => output::jsonl(rows, *to).context("write jsonl"),
            Self::Parquet(file) => file.write(rows),
        }
    }
}

/// Writes slice by slice; answers how many rows.
async fn export(
    args: &Args,
    global: &Global,
    format: Format,
    trials: &[i64],
    to: &mut (dyn Write + Send),
) -> anyhow::Result<usize> {
    let mut written = 0;
    let mut to = Some(to);
    let mut sink: Option<Sink<'_>> = None;
    for slice in trials.chunks(SLICE) {
        let (first, last) = (slice[0], slice[slice.len() - 1]);
        let rows = results::query(
            global,
            &args.table.slice(&args.sweep, first, last),
            ALL_ROWS,
        )
        .await?
        .rows;
        if let Some(to) = to.take() {
            sink = Some(begin(args, format, &rows, to)?);
        }
        if let Some(sink) = &mut sink {
            sink.write(&rows)?;
        }
        written += rows.rows.len();
    }
    if let Some(Sink::Parquet(file)) = sink {
        file.finish()?;
    }
    Ok(written)
}

fn begin<'a>(
    args: &Args,
    format: Format,
    rows: &Rows,
    to: &'a mut (dyn Write + Send),
) -> anyhow::Result<Sink<'a>> {
    Ok(match format {
        Format::Parquet => {
            let metadata = [
                ("descent.views", VIEW_VERSION.to_string()),
                ("descent.version", crate::VERSION.to_owned()),
                ("descent.table", args.table.name().to_owned()),
                ("descent.sweep", args.sweep.clone()),
            ];
            Sink::Parquet(Box::new(ParquetFile::create(to, rows, &metadata)?))
        }
        Format::Csv => {
            let header = Rows {
                columns: rows.columns.clone(),
                rows: Vec::new(),
            };
            output::csv(&header, true, to).context("write csv")?;
            Sink::Csv(to)
        }
        _ => Sink::Jsonl(to),
    })
}
