//! `descent verify`: proves that a sweep's bookkeeping is whole.

use std::path::PathBuf;

use descent_coordinator::artifacts::Artifacts;
use descent_coordinator::reader::Reader;
use descent_coordinator::verify::{Finding, verify};

use crate::command::status;
use crate::exit::{Exit, Failed};
use crate::global::{self, Global};
use crate::output::{Cell, Form, Rows};
use crate::{embedded, output};

/// Checks that every point has its trial, every finished trial exactly one result, counters equal rows, and files match their hashes.
/// Exit code 1 when something is wrong.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent verify\n  descent verify double-descent --format json"
)]
pub(crate) struct Args {
    /// Name of the sweep; all of them without it.
    sweep: Option<String>,
    /// Folder of checkpoints and weights [default: beside the SQLite file, or ./descent.artifacts]; files are not checked where there is none.
    #[arg(long, env = "DESCENT_ARTIFACTS", value_name = "DIR")]
    artifacts: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    if !global.coordinator.is_empty() {
        return Err(Failed::usage(
            "verify reads the database itself: give --db, not --coordinator",
        ));
    }
    let unreachable = |error: descent_coordinator::store::StoreError| {
        Failed::unreachable(format!("open {}: {error}", global::shown(&global.db)))
    };
    let reader = Reader::open(&global.db).await.map_err(unreachable)?;
    let sweeps = match &args.sweep {
        Some(name) => vec![
            reader
                .sweep(name)
                .await
                .map_err(unreachable)?
                .ok_or_else(|| status::no_such(name, global))?,
        ],
        None => reader.sweeps().await.map_err(unreachable)?,
    };
    let folder = match args.artifacts {
        Some(folder) => folder,
        None => embedded::artifacts_beside(&global.db)?,
    };
    let artifacts = if folder.exists() {
        Some(Artifacts::open(folder, u64::MAX)?)
    } else {
        None
    };
    let mut findings = Vec::new();
    for sweep in &sweeps {
        findings.extend(
            verify(&reader, artifacts.as_ref(), sweep)
                .await
                .map_err(unreachable)?,
        );
    }
    reader.close().await;
    output::print(&rows(&findings), global.format)?;
    let sound = findings.iter().all(|finding| finding.wrong == 0);
    Ok(if sound {
        Exit::Success
    } else {
        Exit::Incomplete
    })
}

/// One row a check.
fn rows(findings: &[Finding]) -> Rows {
    let mut rows = Rows::new([
        ("sweep", Form::Text),
        ("check", Form::Text),
        ("examined", Form::Count),
        ("wrong", Form::Count),
        ("details", Form::Text),
    ]);
    for finding in findings {
        rows.push([
            Cell::Text(finding.sweep.clone()),
            Cell::Text(finding.check.to_owned()),
            Cell::Int(i64::try_from(finding.examined).unwrap_or(i64::MAX)),
            Cell::Int(i64::try_from(finding.wrong).unwrap_or(i64::MAX)),
            Cell::Text(finding.details.join("; ")),
        ]);
    }
    rows
}
