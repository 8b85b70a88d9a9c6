//! `descent worker`: joins a coordinator and trains what it leases.

use std::time::Duration;

use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::local_worker::{LocalWorker, TrainArgs};
use crate::signals::Signals;
use crate::{output, reach};

/// Joins a coordinator and trains what it leases, until told to stop. SIGTERM checkpoints, hands leases back and exits;
/// a coordinator that goes away is waited for, training goes on.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent --coordinator http://head:4780 worker --workers 8\n  descent worker --device cuda:0 --data-dir /data/descent       (DESCENT_COORDINATOR and DESCENT_TOKEN set)"
)]
pub(crate) struct Args {
    #[command(flatten)]
    train: TrainArgs,
    /// Seconds to wait for the coordinator at the start; 0: for ever.
    #[arg(
        long,
        env = "DESCENT_CONNECT_S",
        default_value_t = 60,
        value_name = "SECONDS"
    )]
    connect_s: u64,
    /// Seconds that a stop may take before what is unfinished is left behind.
    #[arg(
        long,
        env = "DESCENT_DRAIN_S",
        default_value_t = 25,
        value_name = "SECONDS"
    )]
    drain_s: u64,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    args.train.devices()?;
    let Some(connection) = reach::given_or_running(global)? else {
        return Err(Failed::usage(
            "no coordinator: give --coordinator URL (or DESCENT_COORDINATOR), or start `descent serve` here",
        ));
    };
    let signals = Signals::listen()?;
    let worker = LocalWorker::start(&args.train, &connection, |config| {
        config.connect_patience = (args.connect_s > 0).then(|| Duration::from_secs(args.connect_s));
        config.drain_deadline = Duration::from_secs(args.drain_s);
    })?;
    let shutdown = worker.shutdown.clone();
    let first = signals.first();
    tokio::spawn(async move {
        first.cancelled().await;
        shutdown.drain();
    });
    let report = worker.end().await?;
    output::note(&format!(
        "{} trials completed, {} failed, {} handed back, {} dropped, {} undelivered",
        report.completed, report.failed, report.released, report.dropped, report.undelivered
    ));
    Ok(signals.exit())
}
