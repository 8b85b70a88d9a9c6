//! `descent import`: takes exported results back in. Results have names that hold everywhere, so this can be repeated.

mod curves;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use descent_coordinator::clock::{Clock as _, SystemClock};
use descent_coordinator::store::{Imported, ImportedResult, open_store};
use descent_spec::details::Details;
use descent_spec::outcome::{Measurement, StopReason, TrialResult};

use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::output::{self, Cell, Column, Form, Rows};
use crate::results;

/// Results in one transaction.
const SLICE: usize = 1000;

/// Options of `descent import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The sweep must have been submitted to this database: a result finds its trial by identity. What has the same result already\nis skipped; a different result is reported and changes nothing.\n\nExamples:\n  descent import results.parquet\n  descent import results.parquet --metrics metrics.parquet\n  descent --db postgres://descent@db/descent import results.jsonl"
)]
pub(crate) struct Args {
    /// File written by `descent export`, ending in .parquet or .jsonl.
    file: PathBuf,

    /// File written by `descent export --table metrics` from the same database: what was measured on the way to these results.
    #[arg(long, env = "DESCENT_IMPORT_METRICS", value_name = "FILE")]
    metrics: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let mut found = read(&args.file)?;
    if let Some(metrics) = &args.metrics {
        let curves = curves::read(metrics)?;
        curves::join(&mut found, curves)
            .map_err(|error| Failed::usage(format!("{}: {error:#}", metrics.display())))?;
    }
    let results: Vec<ImportedResult> = found.into_iter().map(|found| found.result).collect();
    if !global.coordinator.is_empty() {
        return Err(Failed::usage(
            "import writes to the database itself: give --db, without --coordinator",
        ));
    }
    let store = open_store(&global.db).await;
    let store =
        store.map_err(|error| Failed::unreachable(format!("open the database: {error}")))?;
    let mut counts: BTreeMap<Imported, u64> = BTreeMap::new();
    // Trials that start from another's weights come after it in an export: taken from the end, none is found waiting.
    for slice in results.rchunks(SLICE) {
        let slice: Vec<ImportedResult> = slice.iter().rev().cloned().collect();
        let verdicts = store.import_results(&slice, SystemClock.now()).await;
        let verdicts = match verdicts {
            Ok(verdicts) => verdicts,
            Err(error) => {
                store.close().await;
                return Err(Failed::unreachable(format!(
                    "import: {error}; run it again to go on"
                )));
            }
        };
        for verdict in verdicts {
            *counts.entry(verdict).or_default() += 1;
        }
    }
    store.close().await;
    report(&counts, global)
}

/// Prints what became of the results.
fn report(counts: &BTreeMap<Imported, u64>, global: &Global) -> anyhow::Result<Exit> {
    let mut rows = Rows::new([
        ("outcome", Form::Text),
        ("results", Form::Count),
        ("meaning", Form::Text),
    ]);
    for (outcome, count) in counts {
        rows.push([
            outcome.word().into(),
            (*count).into(),
            meaning(*outcome).into(),
        ]);
    }
    output::print(&rows, global.format)?;
    let left = counts
        .keys()
        .any(|outcome| !matches!(outcome, Imported::Added | Imported::Same));
    Ok(if left {
        Exit::Incomplete
    } else {
        Exit::Success
    })
}

fn meaning(outcome: Imported) -> &'static str {
    match outcome {
        Imported::Added => "the trial has its result now",
        Imported::Same => "the trial had this result already",
        Imported::Different => {
            "the trial has another result, which stays: compare device and instruction_set"
        }
        Imported::Unknown => {
            "no sweep here has this trial: submit the sweep's file first, then import again"
        }
        Imported::Leased => "a worker is training the trial, and goes on",
        Imported::Needed => {
            "another trial waits for its weights, which exports do not hold: it is trained here"
        }
    }
}

/// A result as a file has it.
struct Found {
    /// Row number of the trial where the file was written.
    trial: Option<i64>,
    result: ImportedResult,
}

/// Reads a file's rows.
fn rows(file: &Path) -> anyhow::Result<Rows> {
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("parquet") => {
            output::read_parquet(file).map_err(|error| Failed::usage(format!("{error:#}")))
        }
        Some("jsonl") => read_jsonl(file),
        _ => Err(Failed::usage(format!(
            "{}: import reads .parquet and .jsonl files of `descent export`",
            file.display()
        ))),
    }
}

/// Reads a file of results whole, before anything is changed.
fn read(file: &Path) -> anyhow::Result<Vec<Found>> {
    let rows = rows(file)?;
    (0..rows.rows.len())
        .map(|at| {
            imported(&rows, at).map_err(|error| {
                Failed::usage(format!("{}, result {}: {error:#}", file.display(), at + 1))
            })
        })
        .collect()
}

fn read_jsonl(file: &Path) -> anyhow::Result<Rows> {
    let open = std::fs::File::open(file);
    let open = open.map_err(|error| Failed::usage(format!("open {}: {error}", file.display())))?;
    let mut rows = Rows::default();
    for (at, line) in BufReader::new(open).lines().enumerate() {
        let line = line.with_context(|| format!("read {}", file.display()))?;
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |error| Failed::usage(format!("{}:{}: {error}", file.display(), at + 1));
        let mut object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&line).map_err(wrong)?;
        if rows.columns.is_empty() {
            let names = object.keys();
            rows.columns = names
                .map(|name| Column {
                    name: name.clone(),
                    form: Form::of(name),
                })
                .collect();
        }
        let cells = rows.columns.iter().map(|column| {
            object
                .remove(&column.name)
                .map_or(Cell::Null, results::from_json)
        });
        rows.rows.push(cells.collect());
    }
    Ok(rows)
}

/// One row as a result.
fn imported(rows: &Rows, at: usize) -> anyhow::Result<Found> {
    let cell = |name: &str| -> anyhow::Result<&Cell> {
        let at_column = rows.column(name);
        let at_column = at_column
            .with_context(|| format!("column `{name}` is missing: export the table `results`"))?;
        Ok(&rows.rows[at][at_column])
    };
    let text = |name: &str| -> anyhow::Result<&str> {
        cell(name)?
            .text()
            .with_context(|| format!("column `{name}` is empty"))
    };
    let number = |name: &str| anyhow::Ok(cell(name)?.number());
    let count = |name: &str| -> anyhow::Result<u64> {
        let found = cell(name)?
            .int()
            .and_then(|value| u64::try_from(value).ok());
        found.with_context(|| format!("column `{name}` holds no count"))
    };
    // Exports of earlier versions do not have it.
    let details = match rows
        .column("details")
        .map(|at_column| &rows.rows[at][at_column])
    {
        Some(Cell::Text(json)) => Some(Details::from_json(json)?),
        _ => None,
    };
    let stop = text("stop")?;
    let weights = match cell("weights")? {
        Cell::Text(hash) => Some(hash.parse()?),
        _ => None,
    };
    let dead_units = match cell("dead_units")? {
        Cell::Null => None,
        _ => Some(u32::try_from(count("dead_units")?)?),
    };
    let trial = rows
        .column("trial")
        .and_then(|place| rows.rows[at][place].int());
    let result = ImportedResult {
        identity: text("identity")?.parse()?,
        measurements: Vec::new(),
        result: TrialResult {
            stop: StopReason::from_word(stop)
                .with_context(|| format!("`{stop}` is no way for training to end"))?,
            last: Measurement {
                epoch: u32::try_from(count("last_epoch")?)?,
                train_loss: number("train_loss")?,
                train_error: number("train_error")?,
                validation_loss: number("validation_loss")?,
                validation_error: number("validation_error")?,
                test_loss: number("test_loss")?,
                test_error: number("test_error")?,
                dead_units,
            },
            diverged: cell("diverged")?.int() == Some(1),
            coefficient_norm: number("coefficient_norm")?,
            parameters: count("parameters")?,
            details,
            weights,
            device: text("device")?.to_owned(),
            instruction_set: text("instruction_set")?.to_owned(),
            train_ms: count("train_ms")?,
        },
    };
    Ok(Found { trial, result })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"identity":"00112233445566778899aabbccddeeff","stop":"epochs","last_epoch":5,"train_loss":0.1,"train_error":0,"validation_loss":null,"validation_error":null,"test_loss":0.123456789012345,"test_error":0.25,"dead_units":null,"coefficient_norm":null,"diverged":false,"parameters":2395,"weights":null,"device":"cpu","instruction_set":"avx2","train_ms":12,"params":{"model.width":3}}"#;

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("results.jsonl");
        std::fs::write(&file, text).expect("room");
        (folder, file)
    }

    #[test]
    fn a_line_is_a_result_to_the_last_digit() {
        let (_folder, file) = written(&format!("{LINE}\n\n{LINE}\n"));
        let results = read(&file).expect("two results");
        assert_eq!(results.len(), 2);
        let result = &results[0].result.result;
        assert_eq!(result.last.test_loss, Some(0.123_456_789_012_345));
        assert_eq!(result.last.train_error, Some(0.0));
        assert_eq!(
            (result.stop, result.last.epoch, result.diverged),
            (StopReason::Epochs, 5, false)
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let mistakes = [
            ("{\"identity\": 1".to_owned(), "results.jsonl:1"),
            (
                LINE.replace("epochs", "boredom"),
                "result 1: `boredom` is no way",
            ),
            (
                LINE.replace("\"stop\"", "\"end\""),
                "column `stop` is missing",
            ),
            (
                LINE.replace("00112233", "xx"),
                "is not 16 bytes in hexadecimal",
            ),
        ];
        for (text, expected) in mistakes {
            let (_folder, file) = written(&text);
            let error = read(&file).err().expect("a mistake").to_string();
            assert!(error.contains(expected), "{error} should name {expected}");
        }
        let error = read(Path::new("results.csv")).err();
        let error = error.expect("csv has no types").to_string();
        assert!(error.contains(".parquet and .jsonl"), "{error}");
    }
}
