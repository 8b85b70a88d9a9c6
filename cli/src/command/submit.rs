//! `descent submit`: sends a sweep to the queue.

use std::path::PathBuf;

use descent_proto::v1::{SubmitRequest, SubmitResponse};

use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::output::{Cell, Form, Rows};
use crate::reach::Reached;
use crate::sweep_file::{DataArgs, SweepFile};
use crate::{output, reach, request};

/// Sends a sweep to the queue. The same name again is a set difference: points are added, kept, or (with --yes) removed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent submit sweeps/double-descent.toml\n  descent submit edited.toml --dry-run        what would be added, kept and removed\n  descent --coordinator http://head:4780 submit sweeps/belkin.toml"
)]
pub(crate) struct Args {
    /// The sweep file.
    spec: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Only say what would be added, kept and removed.
    #[arg(long)]
    dry_run: bool,
    /// Yes, remove points that the edited file no longer has.
    #[arg(long, env = "DESCENT_YES")]
    yes: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let file = SweepFile::read(&args.spec, &args.data)?;
    let reached = reach::coordinator(global).await?;
    let mut answer = send(&reached, &file, global, args.dry_run, args.yes).await;
    if let Ok(sent) = &answer
        && !args.dry_run
        && let Err(status) = reached.expanded(&sent.name).await
    {
        answer = Err(reach::explain(&status, global));
    }
    reached.close().await;
    let answer = answer?;
    let mut rows = Rows::new([
        ("sweep", Form::Text),
        ("added", Form::Count),
        ("kept", Form::Count),
        ("removed", Form::Count),
    ]);
    let int = |count: u64| Cell::Int(i64::try_from(count).unwrap_or(i64::MAX));
    rows.push([
        Cell::Text(answer.name),
        int(answer.added),
        int(answer.kept),
        int(answer.removed),
    ]);
    output::print(&rows, global.format)?;
    Ok(Exit::Success)
}

/// Submits; where points would be removed and nobody said yes, says how many and changes nothing.
///
/// # Errors
/// When the coordinator refuses or cannot be reached.
pub(crate) async fn send(
    reached: &Reached,
    file: &SweepFile,
    global: &Global,
    dry_run: bool,
    yes: bool,
) -> anyhow::Result<SubmitResponse> {
    let request = |dry_run| SubmitRequest {
        request_id: request::id(),
        source: file.source.clone(),
        file: file.path.display().to_string(),
        data: file
            .data
            .iter()
            .map(|(name, known)| (name.clone(), (*known).into()))
            .collect(),
        dry_run,
        allow_removal: yes,
    };
    let call = async |request: SubmitRequest| {
        request::repeat(async || reached.sweeps().submit(request.clone()).await)
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| reach::explain(&status, global))
    };
    let difference = call(request(true)).await?;
    if dry_run {
        return Ok(difference);
    }
    if difference.removed > 0 && !yes {
        return Err(Failed::usage(format!(
            "{} has lost {} of the points of sweep `{}` (added {}, kept {}): say --yes to remove their trials, or give the file another name",
            file.path.display(),
            difference.removed,
            difference.name,
            difference.added,
            difference.kept
        )));
    }
    call(request(false)).await
}
