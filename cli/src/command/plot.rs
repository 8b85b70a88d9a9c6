//! `descent plot`: the experiment's figure, with its numbers beside it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::{Exit, Failed};
use crate::experiment::Picture;
use crate::experiment::strand::Against;
use crate::global::Global;
use crate::{output, results};

/// Options of `descent plot`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent plot double-descent                  double-descent.svg, .png and .csv\n  descent plot double-descent -o curve.png     curve.png and curve.csv\n  descent plot double-descent --against epoch  epoch-wise, a curve for each width\n\nIt can be drawn while the sweep runs: it shows what is there."
)]
pub(crate) struct Args {
    /// Name of the sweep.
    sweep: String,

    /// File to write, ending in .svg or .png; its numbers go beside it as .csv [default: SWEEP.svg and SWEEP.png].
    #[arg(short, long, env = "DESCENT_PLOT_OUT", value_name = "FILE")]
    out: Option<PathBuf>,

    /// What risk curves run along [default: parameters; samples or epoch where all models are of one size].
    #[arg(long, env = "DESCENT_AGAINST", value_name = "WHAT")]
    against: Option<Against>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let wanted = match args.out {
        Some(file) => vec![file],
        None => ["svg", "png"]
            .map(|ending| PathBuf::from(format!("{}.{ending}", args.sweep)))
            .to_vec(),
    };
    let written = write(global, &args.sweep, &wanted, args.against).await?;
    let lines: String = written
        .iter()
        .map(|file| format!("{}\n", file.display()))
        .collect();
    output::print_text(&lines)?;
    Ok(Exit::Success)
}

/// Draws a sweep into files (.svg or .png by their endings) and writes its numbers beside the first as .csv.
/// Answers what was written.
///
/// # Errors
/// When there is nothing to draw, an ending is unknown, or a file cannot be written.
pub(crate) async fn write(
    global: &Global,
    sweep: &str,
    files: &[PathBuf],
    against: Option<Against>,
) -> anyhow::Result<Vec<PathBuf>> {
    if let Some(file) = files
        .iter()
        .find(|file| !["svg", "png"].contains(&ending(file)))
    {
        return Err(Failed::usage(format!(
            "`{}`: a figure's name ends in .svg or .png",
            file.display()
        )));
    }
    let results = results::of_sweep(global, sweep, against).await?;
    let failed = |error: String| anyhow::anyhow!("draw `{sweep}`: {error}");
    let Picture { figure, numbers } = results.picture(sweep).map_err(failed)?;
    let mut written = Vec::new();
    for file in files {
        let content = if ending(file) == "svg" {
            figure.svg().into_bytes()
        } else {
            figure.png().map_err(failed)?
        };
        save(file, &content)?;
        written.push(file.clone());
    }
    if let Some(first) = files.first() {
        let mut csv = Vec::new();
        output::csv(&numbers, true, &mut csv)?;
        let beside = first.with_extension("csv");
        save(&beside, &csv)?;
        written.push(beside);
    }
    Ok(written)
}

fn ending(file: &Path) -> &str {
    file.extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default()
}

/// Writes a file whole or not at all.
fn save(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut to = output::NewFile::create(file)?;
    std::io::Write::write_all(&mut to, content)
        .with_context(|| format!("write {}", file.display()))?;
    to.keep()
}
