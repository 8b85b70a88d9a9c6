//! The commands, one file each.

#[cfg(feature = "worker")]
pub(crate) mod bench;
pub(crate) mod cancel;
pub(crate) mod completions;
#[cfg(feature = "worker")]
pub(crate) mod data;
pub(crate) mod db;
pub(crate) mod delete;
pub(crate) mod drain;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod plot;
pub(crate) mod report;
pub(crate) mod rerun;
pub(crate) mod resume;
#[cfg(feature = "worker")]
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod sql;
pub(crate) mod status;
mod steer;
pub(crate) mod submit;
pub(crate) mod verify;
pub(crate) mod watch;
#[cfg(feature = "worker")]
pub(crate) mod worker;
pub(crate) mod workers;

use crate::exit::Exit;
use crate::global::Global;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Trains a sweep here: embedded coordinator and workers in one process. Running it again resumes.
    #[cfg(feature = "worker")]
    Run(run::Args),
    /// Says what a sweep would train and cost; trains nothing.
    Plan(plan::Args),
    /// Serves the queue to workers and commands.
    Serve(serve::Args),
    /// Joins a coordinator and trains what it leases.
    #[cfg(feature = "worker")]
    Worker(worker::Args),
    /// Sends a sweep to the queue; an edited file adds and removes points.
    Submit(submit::Args),
    /// Counts per state and progress of one sweep or of all.
    Status(status::Args),
    /// The live view of a sweep.
    Watch(watch::Args),
    /// Stops a sweep: nothing more is handed out, and what is in training is saved and handed back.
    Pause(pause::Args),
    /// Hands out a paused sweep's trials again.
    Resume(resume::Args),
    /// Gives a sweep's unfinished trials up.
    Cancel(cancel::Args),
    /// Removes a sweep and the results that no other sweep wants.
    Delete(delete::Args),
    /// Makes failed or missing trials of a sweep ready again.
    Rerun(rerun::Args),
    /// The workers that are there: what each holds, who drains, who is quarantined.
    Workers(workers::Args),
    /// Asks a worker to save and hand back what it holds, and to exit.
    Drain(drain::Args),
    /// Why a trial is where it is, and what happened to it.
    Explain(explain::Args),
    /// Read-only SQL over the documented views.
    Sql(sql::Args),
    /// Writes a sweep's results to parquet, csv or jsonl.
    Export(export::Args),
    /// Takes an export back in; what is there already stays.
    Import(import::Args),
    /// Draws the experiment's figure, with its numbers beside it as csv.
    Plot(plot::Args),
    /// The measured numbers beside the published ones, as Markdown.
    Report(report::Args),
    /// Checks that every trial has one result, counters equal rows, artifacts match their hashes.
    Verify(verify::Args),
    /// Lists, fetches and imports data sets.
    #[cfg(feature = "worker")]
    Data(data::Args),
    /// Measures how fast this machine trains.
    #[cfg(feature = "worker")]
    Bench(bench::Args),
    /// Backs the database up, collects unused artifacts.
    Db(db::Args),
    /// Prints shell completions.
    Completions(completions::Args),
}

/// Runs a command to its end.
pub(crate) async fn dispatch(command: Command, global: &Global) -> anyhow::Result<Exit> {
    match command {
        #[cfg(feature = "worker")]
        Command::Run(args) => run::run(args, global).await,
        Command::Plan(args) => plan::run(args, global).await,
        Command::Serve(args) => serve::run(args, global).await,
        #[cfg(feature = "worker")]
        Command::Worker(args) => worker::run(args, global).await,
        Command::Submit(args) => submit::run(args, global).await,
        Command::Status(args) => status::run(args, global).await,
        Command::Watch(args) => watch::run(args, global).await,
        Command::Pause(args) => pause::run(args, global).await,
        Command::Resume(args) => resume::run(args, global).await,
        Command::Cancel(args) => cancel::run(args, global).await,
        Command::Delete(args) => delete::run(args, global).await,
        Command::Rerun(args) => rerun::run(args, global).await,
        Command::Workers(args) => workers::run(args, global).await,
        Command::Drain(args) => drain::run(args, global).await,
        Command::Explain(args) => explain::run(args, global).await,
        Command::Sql(args) => sql::run(args, global).await,
        Command::Export(args) => export::run(args, global).await,
        Command::Import(args) => import::run(args, global).await,
        Command::Plot(args) => plot::run(args, global).await,
        Command::Report(args) => report::run(args, global).await,
        Command::Verify(args) => verify::run(args, global).await,
        #[cfg(feature = "worker")]
        Command::Data(args) => data::run(args, global).await,
        #[cfg(feature = "worker")]
        Command::Bench(args) => bench::run(args, global).await,
        Command::Db(args) => db::run(args, global).await,
        Command::Completions(args) => completions::run(args, global).await,
    }
}
