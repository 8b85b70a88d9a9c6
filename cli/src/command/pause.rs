//! `descent pause`: stops a sweep, what is in training included.

use descent_proto::v1::PauseRequest;

use crate::command::steer;
use crate::exit::Exit;
use crate::global::Global;

/// Stops a sweep: nothing more is handed out, and what is in training is saved and handed back within a heartbeat, unless another
/// sweep that runs wants it too. `descent resume` goes on from there.
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
