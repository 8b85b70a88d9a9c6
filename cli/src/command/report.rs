//! `descent report`: the measured numbers beside the published ones, as Markdown.

use crate::exit::Exit;
use crate::experiment::strand::Against;
use crate::global::{Format, Global};
use crate::{output, results};

/// Options of `descent report`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent report double-descent\n  descent report double-descent > report.md\n  descent report double-descent --format json     the compared quantities alone"
)]
pub(crate) struct Args {
    /// Name of the sweep.
    sweep: String,

    /// What risk curves run along [default: parameters; samples or epoch where all models are of one size].
    #[arg(long, env = "DESCENT_AGAINST", value_name = "WHAT")]
    against: Option<Against>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let results = results::of_sweep(global, &args.sweep, args.against).await?;
    let report = results.report(&args.sweep);
    match global.format {
        Format::Table => output::print_text(&report.markdown())?,
        format => output::print(&report.rows(), format)?,
    }
    Ok(Exit::Success)
}
