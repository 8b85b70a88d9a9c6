//! `descent report`: the measured numbers beside the published ones, as Markdown.

use crate::exit::Exit;
use crate::figure::{Size, account, theorem};
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
    let built = results
        .curves
        .iter()
        .any(|curve| curve.size == Size::Samples);
    let text = if built {
        theorem(&args.sweep, &results.curves)
    } else {
        account(&args.sweep, &results.curves, results.comparable)
    };
    output::print_text(&text)?;
    Ok(Exit::Success)
}
