//! `descent delete`: removes a sweep and what only it wanted.

use descent_proto::v1::DeleteRequest;

use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::{output, reach, request};

/// Removes a sweep, its trials and their results; what another sweep wants stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  descent delete smoke --yes")]
pub(crate) struct Args {
    /// Name of the sweep.
    sweep: String,
    /// Yes, remove its results.
    #[arg(long, env = "DESCENT_YES")]
    yes: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    if !args.yes {
        return Err(Failed::usage(format!(
            "this removes the results of `{0}` that no other sweep wants: say --yes to do it, or `descent export {0}` first",
            args.sweep
        )));
    }
    let reached = reach::coordinator(global).await?;
    let request = DeleteRequest {
        request_id: request::id(),
        sweep: args.sweep.clone(),
    };
    let answer = request::repeat(async || reached.sweeps().delete(request.clone()).await).await;
    reached.close().await;
    answer.map_err(|status| reach::explain(&status, global))?;
    output::note(&format!("deleted {}", args.sweep));
    Ok(Exit::Success)
}
