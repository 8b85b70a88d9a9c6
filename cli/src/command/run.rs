//! `descent run`: a sweep in one process, embedded coordinator and workers; running it again resumes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use descent_proto::v1::{GetRequest, ResumeRequest, Sweep};
use descent_spec::state::{SweepState, TrialState};
use descent_worker::activity::SlotActivity;
use tokio_util::sync::CancellationToken;

use crate::command::{plot, submit, watch};
use crate::embedded::{Embedded, LOCAL_WORKER};
use crate::eta::{self, Eta};
use crate::exit::{Exit, Failed};
use crate::global::{self, Global};
use crate::local_worker::{LocalWorker, TrainArgs};
use crate::progress::{Progress, Style};
use crate::signals::Signals;
use crate::sweep_file::SweepFile;
use crate::{output, reach, request, results, sweep_rows};

/// Time between two looks at the sweep: quick enough for a bar, and for a sweep of a second.
const LOOK: Duration = Duration::from_millis(100);

/// Trains a sweep here: embedded coordinator and workers in one process. Interrupt it as you like; running the same line again
/// goes on where it was and ends with the same bits.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent run sweeps/smoke.toml\n  descent run sweeps/double-descent.toml --db sqlite:results.db --workers 8"
)]
pub(crate) struct Args {
    /// The sweep file.
    spec: PathBuf,
    #[command(flatten)]
    train: TrainArgs,
    /// How progress is shown on stderr.
    #[arg(long, env = "DESCENT_PROGRESS", value_enum, default_value_t = Style::Auto)]
    progress: Style,
    /// Folder of the figure and its numbers.
    #[arg(long, env = "DESCENT_FIGURES", default_value = ".", value_name = "DIR")]
    figures: PathBuf,
    /// Draw no figure at the end.
    #[arg(long, env = "DESCENT_NO_FIGURE")]
    no_figure: bool,
    /// Yes, remove points that the edited file no longer has.
    #[arg(long, env = "DESCENT_YES")]
    yes: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let signals = Signals::listen()?;
    let file = SweepFile::read(&args.spec, &args.train.data)?;
    // Before anything is stored or asked for.
    args.train.devices()?;
    let embedded = Embedded::start(global).await?;
    let ended = train(&args, &file, &embedded, &signals, global).await;
    embedded.stop().await;
    let Some((sweep, trained)) = ended? else {
        output::note("interrupted; the same command resumes");
        return Ok(signals.exit());
    };
    finish(&args, &sweep, trained, global).await
}

/// Submits the sweep and trains until it is over. `None`: interrupted. Else the sweep, and how long training took if there was any.
async fn train(
    args: &Args,
    file: &SweepFile,
    embedded: &Embedded,
    signals: &Signals,
    global: &Global,
) -> anyhow::Result<Option<(Sweep, Option<Duration>)>> {
    let reached = reach::Reached::from(embedded);
    let name = submit::send(&reached, file, global, false, args.yes)
        .await?
        .name;
    let mut sweep = look(embedded, &name, global).await?;
    if sweep_rows::is_over(&sweep) {
        return Ok(Some((sweep, None)));
    }
    if sweep_rows::state(&sweep) == Some(SweepState::Paused) {
        sweep = resume(embedded, sweep, global).await?;
    }
    let since = Instant::now();
    let worker = LocalWorker::start(&args.train, &embedded.connection, |config| {
        LOCAL_WORKER.clone_into(&mut config.worker);
    })?;
    let followed = follow(args, embedded, &worker, &sweep, &signals.first(), global).await;
    worker.shutdown.drain();
    worker.end().await?;
    Ok(followed?.map(|sweep| (sweep, Some(since.elapsed()))))
}

/// Lets a paused sweep go on: whoever runs it wants it trained.
async fn resume(embedded: &Embedded, paused: Sweep, global: &Global) -> anyhow::Result<Sweep> {
    let request = ResumeRequest {
        request_id: request::id(),
        sweep: paused.name.clone(),
    };
    let answer = embedded.connection.sweeps().resume(request).await;
    let resumed = answer
        .map_err(|status| reach::explain(&status, global))?
        .into_inner()
        .sweep;
    output::note(&format!("{} was paused: it goes on", paused.name));
    Ok(resumed.unwrap_or(paused))
}

/// Shows progress until the sweep is over (then: its last state) or a signal comes (then: `None`).
async fn follow(
    args: &Args,
    embedded: &Embedded,
    worker: &LocalWorker,
    begun: &Sweep,
    stop: &CancellationToken,
    global: &Global,
) -> anyhow::Result<Option<Sweep>> {
    let since = Instant::now();
    let mut eta: Option<Eta> = None;
    let mut progress = Progress::start(args.progress);
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                progress.end("");
                return Ok(None);
            }
            () = tokio::time::sleep(LOOK) => {}
        }
        let sweep = look(embedded, &begun.name, global).await?;
        let done = sweep.cost_done + under_way(&sweep, &worker.activity.borrow());
        let eta = eta.get_or_insert_with(|| Eta::new(sweep.cost_done, sweep.cost_total));
        let share = eta.share(done);
        progress.show(
            share,
            &sweep_rows::line(&sweep, share, eta.rest(done, since.elapsed())),
        );
        if sweep_rows::is_over(&sweep) {
            progress.end(&sweep_rows::line(&sweep, sweep_rows::share(&sweep), None));
            return Ok(Some(sweep));
        }
        if let Some(reason) = &sweep.pause_reason {
            progress.end(&sweep_rows::line(&sweep, share, None));
            return Err(Failed::incomplete(format!(
                "{} is paused, because {reason}; mend the cause, then run this again, or raise run.max_alike_failures",
                sweep.name
            )));
        }
        if worker.is_over() {
            // Its error is told by whoever waits for its end.
            return Ok(Some(sweep));
        }
    }
}

/// Work behind the trials in training: their epochs, at the mean cost of a trial that is not finished.
fn under_way(sweep: &Sweep, slots: &[SlotActivity]) -> f64 {
    let over: u64 = TrialState::ALL
        .iter()
        .filter(|state| state.is_terminal())
        .map(|&state| sweep_rows::count(sweep, state))
        .sum();
    let open = sweep.points.saturating_sub(over).max(1);
    let trials: f64 = slots
        .iter()
        .filter(|slot| slot.epochs > 0)
        .map(|slot| slot.widths.len() as f64 * f64::from(slot.epoch) / f64::from(slot.epochs))
        .sum();
    (sweep.cost_total - sweep.cost_done).max(0.0) * (trials / open as f64).min(1.0)
}

/// The sweep as it is now.
async fn look(embedded: &Embedded, name: &str, global: &Global) -> anyhow::Result<Sweep> {
    let request = GetRequest {
        sweep: name.to_owned(),
    };
    let answer = embedded.connection.sweeps().get(request).await;
    let sweep = answer
        .map_err(|status| reach::explain(&status, global))?
        .into_inner()
        .sweep;
    sweep.ok_or_else(|| anyhow::anyhow!("the coordinator answered without a sweep"))
}

/// The table, the path of the database, the figure and its numbers.
async fn finish(
    args: &Args,
    sweep: &Sweep,
    trained: Option<Duration>,
    global: &Global,
) -> anyhow::Result<Exit> {
    match trained {
        None => output::note(&format!(
            "{}: nothing to do, all {} trials are finished",
            sweep.name,
            sweep_rows::trials(sweep)
        )),
        Some(took) => output::note(&format!("{}: trained in {}", sweep.name, eta::human(took))),
    }
    let results = results::of_sweep(global, &sweep.name, None).await?;
    let numbers = results.numbers(&sweep.name).map_err(anyhow::Error::msg)?;
    let spread = ["_sd", "_min", "_max"];
    // What every line says alike is left out.
    let alike =
        ["samples", "outputs", "diverged_trials"].map(|name| (name, numbers.is_constant(name)));
    let shown = numbers.keeping(|column| {
        !(spread.iter().any(|ending| column.ends_with(ending)) || alike.contains(&(column, true)))
    });
    output::print(&shown, global.format)?;
    output::note(&format!("database  {}", global::shown(&global.db)));
    if !args.no_figure && trained.is_some() {
        let files =
            ["svg", "png"].map(|ending| args.figures.join(format!("{}.{ending}", sweep.name)));
        for path in plot::write(global, &sweep.name, &files, None).await? {
            output::note(&format!("figure    {}", path.display()));
        }
    }
    if let Some(first) = &sweep.first_failure {
        output::note(&format!(
            "first failure: {first}; `descent rerun {} --failed` tries again",
            sweep.name
        ));
    }
    Ok(watch::ended(sweep))
}
