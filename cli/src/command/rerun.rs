//! `descent rerun`: makes failed or missing trials of a sweep ready again.

use descent_proto::v1::{RerunRequest, RerunWhich};

use crate::exit::Exit;
use crate::global::Global;
use crate::output::{Cell, Form, Rows};
use crate::{output, reach, request};

/// Makes failed or missing trials of a sweep ready again; the history of their attempts stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  descent rerun double-descent --failed")]
pub(crate) struct Args {
    /// Name of the sweep.
    sweep: String,
    #[command(flatten)]
    which: Which,
}

/// Which trials.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Failed and poisoned trials.
    #[arg(long)]
    failed: bool,
    /// Cancelled and skipped trials.
    #[arg(long)]
    missing: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let which = if args.which.failed {
        RerunWhich::Failed
    } else {
        RerunWhich::Missing
    };
    let reached = reach::coordinator(global).await?;
    let request = RerunRequest {
        request_id: request::id(),
        sweep: args.sweep.clone(),
        which: which.into(),
    };
    let answer = request::repeat(async || reached.sweeps().rerun(request.clone()).await).await;
    reached.close().await;
    let trials = answer
        .map_err(|status| reach::explain(&status, global))?
        .into_inner()
        .trials;
    let mut rows = Rows::new([("sweep", Form::Text), ("trials", Form::Count)]);
    rows.push([Cell::Text(args.sweep), Cell::Int(i64::try_from(trials)?)]);
    output::print(&rows, global.format)?;
    Ok(Exit::Success)
}
