//! `descent workers`: who is there.

use descent_proto::v1::{Worker, WorkersRequest};

use crate::exit::Exit;
use crate::global::Global;
use crate::output::{Cell, Form, Rows};
use crate::{output, reach, request};

/// The workers that are there: what each is and holds, who has fallen silent, drains or is quarantined.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  descent --coordinator http://head:4780 workers")]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) async fn run(_args: Args, global: &Global) -> anyhow::Result<Exit> {
    let reached = reach::coordinator(global).await?;
    let answer = request::repeat(async || reached.sweeps().workers(WorkersRequest {}).await).await;
    reached.close().await;
    let workers = answer
        .map_err(|status| reach::explain(&status, global))?
        .into_inner()
        .workers;
    output::print(&rows(&workers), global.format)?;
    Ok(Exit::Success)
}

/// One row a worker's process.
fn rows(workers: &[Worker]) -> Rows {
    let mut rows = Rows::new([
        ("worker", Form::Text),
        ("state", Form::Text),
        ("device", Form::Text),
        ("instruction_set", Form::Text),
        ("slots", Form::Count),
        ("memory_mib", Form::Count),
        ("trials", Form::Count),
        ("opened_at_ms", Form::Count),
        ("quarantined_until_ms", Form::Count),
        ("reason", Form::Text),
    ]);
    let count = |count: u64| Cell::Int(i64::try_from(count).unwrap_or(i64::MAX));
    for worker in workers {
        rows.push([
            Cell::Text(worker.worker.clone()),
            Cell::Text(state(worker).to_owned()),
            Cell::Text(worker.device.clone()),
            Cell::Text(worker.instruction_set.clone()),
            count(worker.slots.into()),
            count(worker.memory_bytes >> 20),
            count(worker.trials),
            Cell::Int(worker.opened_at_ms),
            worker.quarantined_until_ms.map_or(Cell::Null, Cell::Int),
            worker.quarantine.clone().map_or(Cell::Null, Cell::Text),
        ]);
    }
    rows
}

/// Where a worker is, the most telling first.
fn state(worker: &Worker) -> &'static str {
    if worker.silent {
        "silent"
    } else if worker.quarantined_until_ms.is_some() {
        "quarantined"
    } else if worker.draining {
        "draining"
    } else {
        "open"
    }
}
