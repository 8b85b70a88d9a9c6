//! `descent cancel`: gives up a sweep's unfinished trials.

use descent_proto::v1::CancelRequest;

use crate::command::steer;
use crate::exit::Exit;
use crate::global::Global;

/// Gives up a sweep's unfinished trials; what another sweep wants stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  descent cancel double-descent")]
pub(crate) struct Args {
    /// Name of the sweep.
    sweep: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    steer::run(global, async |mut sweeps, request_id| {
        let request = CancelRequest {
            request_id,
            sweep: args.sweep.clone(),
        };
        Ok(sweeps.cancel(request).await?.into_inner().sweep)
    })
    .await
}
