//! `descent resume`: hands out a paused sweep's trials again.

use descent_proto::v1::ResumeRequest;

use crate::command::steer;
use crate::exit::Exit;
use crate::global::Global;

/// Hands out a paused sweep's trials again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  descent resume double-descent")]
pub(crate) struct Args {
    /// Name of the sweep.
    sweep: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    steer::run(global, async |mut sweeps, request_id| {
        let request = ResumeRequest {
            request_id,
            sweep: args.sweep.clone(),
        };
        Ok(sweeps.resume(request).await?.into_inner().sweep)
    })
    .await
}
