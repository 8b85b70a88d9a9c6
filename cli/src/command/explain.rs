//! `descent explain`: why a trial is where it is, and what happened to it.

use descent_proto::v1::{ExplainRequest, ExplainResponse};
use descent_spec::id::Identity;
use descent_spec::state::TrialState;

use crate::exit::Exit;
use crate::global::{Format, Global};
use crate::output::{Cell, Form, Rows};
use crate::{output, reach, request};

/// Why a trial is where it is, and every attempt at it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent explain 17          a row number, as in the view `trials`\n  descent explain 3fa9c1      an identity, or a unique beginning of it"
)]
pub(crate) struct Args {
    /// Row number, identity, or a unique beginning of an identity.
    trial: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let reached = reach::coordinator(global).await?;
    let request = ExplainRequest { trial: args.trial };
    let answer = request::repeat(async || reached.sweeps().explain(request.clone()).await).await;
    reached.close().await;
    let trial = answer
        .map_err(|status| reach::explain(&status, global))?
        .into_inner();
    if global.format == Format::Table {
        output::print_text(&headline(&trial)?)?;
    }
    output::print(&attempts(&trial), global.format)?;
    Ok(Exit::Success)
}

/// What is known of the trial, one line each.
fn headline(trial: &ExplainResponse) -> anyhow::Result<String> {
    let state = TrialState::try_from(trial.state()).map_or("unknown", TrialState::word);
    Ok(format!(
        "trial {}  {}\nidentity  {}\nsweeps    {}\nsettings  {}\n{}\n\n",
        trial.trial,
        state,
        Identity::from_slice(&trial.identity)?,
        trial.sweeps.join(", "),
        trial.params,
        trial.reason,
    ))
}

/// One row an attempt.
fn attempts(trial: &ExplainResponse) -> Rows {
    let mut rows = Rows::new([
        ("attempt", Form::Count),
        ("outcome", Form::Text),
        ("worker", Form::Text),
        ("started_at_ms", Form::Count),
        ("took_ms", Form::Count),
        ("message", Form::Text),
    ]);
    for attempt in &trial.attempts {
        rows.push([
            Cell::Int(attempt.attempt),
            Cell::Text(attempt.outcome.clone()),
            Cell::Text(attempt.worker.clone()),
            Cell::Int(attempt.started_at_ms),
            attempt
                .ended_at_ms
                .map_or(Cell::Null, |ended| Cell::Int(ended - attempt.started_at_ms)),
            attempt.message.clone().map_or(Cell::Null, Cell::Text),
        ]);
    }
    rows
}
