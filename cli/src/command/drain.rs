//! `descent drain`: asks a worker to hand everything back and exit.

use descent_proto::v1::DrainRequest;

use crate::exit::Exit;
use crate::global::Global;
use crate::{output, reach, request};

/// Asks a worker to save and hand back what it holds, and to exit. It hears of it with its next heartbeat.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  descent --coordinator http://head:4780 drain node7:4711      a name as `descent workers` lists it"
)]
pub(crate) struct Args {
    /// Name of the worker.
    worker: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let reached = reach::coordinator(global).await?;
    let request = DrainRequest {
        request_id: request::id(),
        worker: args.worker.clone(),
    };
    let answer = request::repeat(async || reached.sweeps().drain(request.clone()).await).await;
    reached.close().await;
    answer.map_err(|status| reach::explain(&status, global))?;
    output::note(&format!("{} is asked to drain", args.worker));
    Ok(Exit::Success)
}
