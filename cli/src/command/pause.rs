//! `descent pause`: stops handing out a sweep's trials.

use descent_proto::v1::PauseRequest;

use crate::command::steer;
use crate::exit::Exit;
use crate::global::Global;

/// Stops handing out a sweep's trials; what is in training runs to its end.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  descent pause double-descent")]
pub(crate) struct Args {
    /// Name of the sweep.
    sweep: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    steer::run(global, async |mut sweeps, request_id| {
        let request = PauseRequest {
            request_id,
            sweep: args.sweep.clone(),
        };
        Ok(sweeps.pause(request).await?.into_inner().sweep)
    })
    .await
}
