//! A worker in this process: what `worker` and `run` share.

use std::sync::Arc;

use descent_proto::channel::Connection;
use descent_training::device::Device;
use descent_worker::activity::Activity;
use descent_worker::link::rpc::RpcLink;
use descent_worker::trainer::LocalTrainer;
use descent_worker::{Config, Report, RunError, Shutdown, World};
use tokio::task::JoinHandle;

use crate::VERSION;
use crate::exit::Failed;
use crate::sweep_file::DataArgs;

/// How this process trains.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// Packs trained side by side, one thread each [default: the number of cores].
    #[arg(long, env = "DESCENT_WORKERS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) workers: Option<u32>,
    /// Where to train: auto, cpu, cuda:0, …
    #[arg(long, env = "DESCENT_DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Memory for training, in MiB.
    #[arg(long, env = "DESCENT_MEMORY_MIB", default_value_t = 4096, value_name = "MIB", value_parser = clap::value_parser!(u64).range(16..))]
    pub(crate) memory_mib: u64,
    /// Trials in one pack at most [default: 16 for each process; more suits a GPU].
    #[arg(long, env = "DESCENT_PACK", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) pack: Option<u32>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// A worker at work.
pub(crate) struct LocalWorker {
    /// What each slot is doing.
    pub(crate) activity: Activity,
    /// Asks it to stop.
    pub(crate) shutdown: Shutdown,
    ended: JoinHandle<Result<Report, RunError>>,
}

impl LocalWorker {
    /// Starts it.
    ///
    /// # Errors
    /// When the device cannot be used.
    pub(crate) fn start(
        args: &TrainArgs,
        connection: &Connection,
        config: impl FnOnce(&mut Config),
    ) -> anyhow::Result<Self> {
        let device: Device = args
            .device
            .parse()
            .map_err(|error| Failed::usage(format!("--device: {error}")))?;
        device
            .check()
            .map_err(|error| Failed::usage(format!("--device {}: {error}", args.device)))?;
        let trainer = LocalTrainer::new(Arc::new(args.data.store()), device);
        let mut settings = Config::new(name(), VERSION.to_owned());
        let cores = std::thread::available_parallelism()
            .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
        settings.slots = args.workers.unwrap_or(cores);
        settings.memory_bytes = args.memory_mib << 20;
        if let Some(pack) = args.pack {
            settings.pack_trials = pack;
        }
        config(&mut settings);
        let world = World::real(Arc::new(RpcLink::new(connection)), Arc::new(trainer));
        let activity = world.activity.subscribe();
        let shutdown = Shutdown::new();
        let ended = tokio::spawn(descent_worker::run(settings, world, shutdown.clone()));
        Ok(Self {
            activity,
            shutdown,
            ended,
        })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the coordinator refuses it, cannot be reached, or the worker itself broke.
    pub(crate) async fn end(self) -> anyhow::Result<Report> {
        match self.ended.await {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(error @ RunError::Refused(_))) => Err(Failed::usage(error.to_string())),
            Ok(Err(error @ RunError::Unreachable(_))) => {
                Err(Failed::unreachable(error.to_string()))
            }
            Err(error) => Err(anyhow::Error::new(error).context("the worker broke")),
        }
    }

    /// Whether it has ended by itself.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.is_finished()
    }
}

/// This process's name for people: host and process id.
fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |host| host.trim().to_owned());
    format!("{host}:{}", std::process::id())
}
