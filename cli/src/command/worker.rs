//! `descent worker`: joins a coordinator and trains what it leases.

use std::path::PathBuf;
use std::time::Duration;

use descent_coordinator::store::sqlite::memory_file_system;
use descent_worker::config::OrphanPolicy;
use descent_worker::ledger::Ledger;

use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::local_worker::{LocalWorker, TrainArgs};
use crate::signals::Signals;
use crate::{output, reach};

/// Joins a coordinator and trains what it leases, until told to stop. SIGTERM checkpoints, hands leases back and exits;
/// a coordinator that goes away is waited for, training goes on.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent --coordinator http://head:4780 worker --workers 8\n  descent --coordinator http://head-1:4780,http://head-2:4780 worker\n  descent worker --device cuda:0 --data-dir /data/descent       (DESCENT_COORDINATOR and DESCENT_TOKEN set)"
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
    /// What to do with trials in training when the coordinator has been silent for --orphan-grace-s: train them to their
    /// end, stop them and hand them back, or pause until it answers.
    #[arg(long, env = "DESCENT_ORPHAN", value_enum, default_value_t = Orphan::Finish)]
    orphan: Orphan,
    /// Seconds of silence before --orphan applies.
    #[arg(
        long,
        env = "DESCENT_ORPHAN_GRACE_S",
        default_value_t = 1800,
        value_name = "SECONDS"
    )]
    orphan_grace_s: u64,
    /// Folder for what cannot be delivered while the coordinator is silent, on a local disk [default: the folder for temporary files].
    #[arg(long, env = "DESCENT_SPOOL", value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Notes down what is trained and acknowledged, each line synced: for tests of whole clusters.
    #[arg(long, hide = true, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

/// What to do with trials that nobody may be waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Orphan {
    /// Train them to their end, and deliver when the coordinator is back.
    Finish,
    /// Checkpoint them, stop, and free the device.
    Stop,
    /// Checkpoint them and wait, holding the device.
    Pause,
}

impl From<Orphan> for OrphanPolicy {
    fn from(orphan: Orphan) -> Self {
        match orphan {
            Orphan::Finish => Self::Finish,
            Orphan::Stop => Self::Stop,
            Orphan::Pause => Self::Pause,
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    args.train.devices()?;
    let Some(connection) = reach::given_or_running(global)? else {
        return Err(Failed::usage(
            "no coordinator: give --coordinator URL (or DESCENT_COORDINATOR), or start `descent serve` here",
        ));
    };
    let ledger = match &args.ledger {
        Some(path) => Ledger::open(path)?,
        None => Ledger::default(),
    };
    let spool = args.spool.clone().unwrap_or_else(std::env::temp_dir);
    if let Some(kind) = memory_file_system(&spool) {
        tracing::warn!(
            folder = %spool.display(),
            kind,
            "what waits for a silent coordinator is put into a folder that lies in memory itself, and frees none: give \
             --spool a folder on a disk"
        );
    }
    let signals = Signals::listen()?;
    let worker = LocalWorker::start(&args.train, &connection, |config| {
        config.connect_patience = (args.connect_s > 0).then(|| Duration::from_secs(args.connect_s));
        config.drain_deadline = Duration::from_secs(args.drain_s);
        config.orphan_policy = args.orphan.into();
        config.orphan_grace = Duration::from_secs(args.orphan_grace_s);
        config.ledger = ledger;
        config.spool = Some(spool);
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
