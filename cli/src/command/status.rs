//! `descent status`: counts per state and progress.

use descent_coordinator::clock::{Clock as _, SystemClock};
use descent_coordinator::reader::Reader;
use descent_proto::v1::{GetRequest, ListRequest, Sweep, WorkersRequest};

use crate::exit::{Exit, Failed};
use crate::global::{self, Global};
use crate::{output, reach, request, sweep_rows};

/// Sweeps in one page of the list.
const PAGE: u32 = 500;

/// Counts per state, progress and the first failure of one sweep or of all. Counts are kept, not counted: this is quick at any size.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent status\n  descent status double-descent --format json"
)]
pub(crate) struct Args {
    /// Name of the sweep; all of them without it.
    sweep: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let (sweeps, quarantined) = if global.coordinator.is_empty() {
        from_database(args.sweep.as_deref(), global).await?
    } else {
        from_coordinator(args.sweep.as_deref(), global).await?
    };
    output::print(&sweep_rows::rows(&sweeps), global.format)?;
    for (worker, reason) in quarantined {
        output::note(&format!("worker {worker} is quarantined: {reason}"));
    }
    let incomplete = sweeps
        .iter()
        .any(|sweep| sweep_rows::is_over(sweep) && sweep_rows::without_result(sweep) > 0);
    Ok(if incomplete {
        Exit::Incomplete
    } else {
        Exit::Success
    })
}

/// Sweeps, and workers that get no trials with the reason.
type Found = (Vec<Sweep>, Vec<(String, String)>);

/// Reads the database, whoever else has it open.
async fn from_database(name: Option<&str>, global: &Global) -> anyhow::Result<Found> {
    let reader = Reader::open(&global.db)
        .await
        .map_err(|error| Failed::unreachable(error.to_string()))?;
    let rows = match name {
        Some(name) => {
            let row = reader
                .sweep(name)
                .await
                .map_err(|error| Failed::unreachable(error.to_string()))?;
            vec![row.ok_or_else(|| no_such(name, global))?]
        }
        None => reader
            .sweeps()
            .await
            .map_err(|error| Failed::unreachable(error.to_string()))?,
    };
    let sweeps = rows.iter().map(descent_coordinator::sweep_message);
    let quarantined = reader
        .quarantined(SystemClock.now())
        .await
        .map_err(|error| Failed::unreachable(error.to_string()))?;
    Ok((sweeps.collect(), quarantined))
}

/// Asks the given coordinator.
async fn from_coordinator(name: Option<&str>, global: &Global) -> anyhow::Result<Found> {
    let connection = reach::connect(&global.coordinator, global)?;
    let refused = |status| reach::explain(&status, global);
    let answer =
        request::repeat(async || connection.sweeps().workers(WorkersRequest {}).await).await;
    let workers = answer.map_err(refused)?.into_inner().workers.into_iter();
    let quarantined = workers.filter_map(|row| Some((row.worker, row.quarantine?)));
    let quarantined: Vec<(String, String)> = quarantined.collect();
    if let Some(name) = name {
        let request = GetRequest {
            sweep: name.to_owned(),
        };
        let answer = request::repeat(async || connection.sweeps().get(request.clone()).await).await;
        let sweep = answer.map_err(refused)?.into_inner().sweep;
        return Ok((sweep.into_iter().collect(), quarantined));
    }
    let mut sweeps: Vec<Sweep> = Vec::new();
    loop {
        let request = ListRequest {
            after: sweeps.last().map_or(0, |sweep| sweep.id),
            limit: PAGE,
        };
        let answer = request::repeat(async || connection.sweeps().list(request).await).await;
        let page = answer.map_err(refused)?.into_inner().sweeps;
        if page.is_empty() {
            return Ok((sweeps, quarantined));
        }
        sweeps.extend(page);
    }
}

/// There is no sweep of this name.
pub(crate) fn no_such(name: &str, global: &Global) -> anyhow::Error {
    Failed::usage(format!(
        "there is no sweep `{name}` in {}: `descent status` lists them",
        global::shown(&global.db)
    ))
}
