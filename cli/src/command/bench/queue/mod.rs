//! `descent bench queue`: how fast trials are handed out and taken back, by workers that train nothing.
//!
//! The coordinator is a process of its own, as `descent serve` starts it, reached over gRPC on loopback; the workers are tasks
//! of this process. So what `/proc` tells of the coordinator's process is the coordinator's alone.

mod beats;
mod claims;
mod figure;
mod fleet;
mod million;
mod place;
mod points;
mod server;
mod throughput;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use self::figure::Figures;
use self::place::Place;
use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::output;

/// Options of `descent bench queue`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to measure; several may be given.
    #[arg(long = "case", env = "DESCENT_BENCH_CASE", value_enum, value_name = "NAME", value_delimiter = ',', default_values_t = [Case::Throughput])]
    cases: Vec<Case>,
    /// Measure on this PostgreSQL database, which must have no sweeps, instead of a SQLite file: postgres://….
    #[arg(
        long,
        env = "DESCENT_BENCH_POSTGRES",
        value_name = "URL",
        hide_env_values = true
    )]
    postgres: Option<String>,
    /// Measure the coordinator of this program instead, another build of descent.
    #[arg(long, env = "DESCENT_BENCH_PROGRAM", value_name = "PATH")]
    program: Option<PathBuf>,
    /// Where the SQLite file and the coordinator's files are made, and removed afterwards: on the disk to be measured.
    #[arg(
        long,
        env = "DESCENT_BENCH_FOLDER",
        default_value = ".",
        value_name = "DIR"
    )]
    folder: PathBuf,
    /// Simulated workers of the throughput case, each on a connection of its own.
    #[arg(long, env = "DESCENT_WORKERS", value_name = "N", default_value = "64")]
    workers: NonZeroU32,
    /// Trials that a worker of the throughput case leases and completes in one call.
    #[arg(
        long,
        env = "DESCENT_BENCH_PER_CALL",
        value_name = "N",
        value_delimiter = ',',
        default_value = "16,1"
    )]
    per_call: Vec<NonZeroU32>,
    /// Trials made before the throughput is measured, which ends when few are left [default: more than are done in the time].
    #[arg(long, env = "DESCENT_BENCH_PREPARED", value_name = "N")]
    prepared: Option<NonZeroU32>,
    /// How long each throughput and the beats are measured, in seconds.
    #[arg(
        long,
        env = "DESCENT_BENCH_SECONDS",
        value_name = "S",
        default_value = "10"
    )]
    seconds: NonZeroU32,
    /// Rows in the table when claims are timed; half of them of trials that are over.
    #[arg(
        long,
        env = "DESCENT_BENCH_ROWS",
        value_name = "N",
        value_delimiter = ',',
        default_value = "10000,1000000"
    )]
    rows: Vec<NonZeroU32>,
    /// Claims timed for each number of rows.
    #[arg(
        long,
        env = "DESCENT_BENCH_CLAIMS",
        value_name = "N",
        default_value = "2000"
    )]
    claims: NonZeroU32,
    /// Trials of the sweep in the case `million`.
    #[arg(
        long,
        env = "DESCENT_BENCH_TRIALS",
        value_name = "N",
        default_value = "1000000"
    )]
    trials: NonZeroU32,
    /// Workers that beat in the case `beats`.
    #[arg(
        long,
        env = "DESCENT_BENCH_BEATING",
        value_name = "N",
        default_value = "10000"
    )]
    beating: NonZeroU32,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Case {
    /// Trials leased and completed a second, each with one durable result row.
    Throughput,
    /// How long a claim takes, by the number of rows in the table.
    Claims,
    /// A large sweep submitted, expanded, met again after kill -9, finished, read with SQL and deleted.
    Million,
    /// What workers cost that hold a trial and beat every five seconds.
    Beats,
}

/// Runs the command.
pub(super) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    if global.token.is_some() || !global.coordinator.is_empty() {
        return Err(Failed::usage(
            "bench queue starts a coordinator of its own: leave --coordinator and --token away",
        ));
    }
    let program = match args.program {
        Some(program) => program,
        None => std::env::current_exe().context("find this program")?,
    };
    let place = Place::find(program, args.postgres.as_deref(), &args.folder).await?;
    let mut figures = Figures::new(&place);
    output::note(&figures.circumstances());
    let seconds = Duration::from_secs(u64::from(args.seconds.get()));
    for case in args.cases {
        match case {
            Case::Throughput => {
                for per_call in &args.per_call {
                    let load = throughput::Load {
                        workers: args.workers.get(),
                        per_call: per_call.get(),
                        time: seconds,
                        prepared: args.prepared.map(NonZeroU32::get),
                    };
                    Box::pin(throughput::measure(&place, load, &mut figures)).await?;
                }
            }
            Case::Claims => {
                let mut rows: Vec<u32> = args.rows.iter().map(|rows| rows.get()).collect();
                rows.sort_unstable();
                Box::pin(claims::measure(
                    &place,
                    &rows,
                    args.claims.get(),
                    &mut figures,
                ))
                .await?;
            }
            Case::Million => {
                Box::pin(million::measure(&place, args.trials.get(), &mut figures)).await?;
            }
            Case::Beats => {
                let beating = args.beating.get();
                Box::pin(beats::measure(&place, beating, seconds, &mut figures)).await?;
            }
        }
    }
    output::print(&figures.rows(global.format), global.format)?;
    Ok(Exit::Success)
}
