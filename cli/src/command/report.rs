//! `descent report`: the measured numbers beside the published ones, as Markdown.

use crate::exit::Exit;
use crate::figure::account;
use crate::global::Global;
use crate::{output, results};

/// Options of `descent report`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent report double-descent\n  descent report double-descent > report.md"
)]
pub(crate) struct Args {
    /// Name of the sweep.
    sweep: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let results = results::of_sweep(global, &args.sweep).await?;
    output::print_text(&account(&args.sweep, &results.curves, results.comparable))?;
    Ok(Exit::Success)
}
