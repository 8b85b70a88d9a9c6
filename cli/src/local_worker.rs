//! A worker in this process: what `worker` and `run` share.

use std::collections::BTreeSet;
use std::sync::Arc;

use descent_proto::channel::Connection;
use descent_training::device::Device;
use descent_worker::activity::Activity;
use descent_worker::link::rpc::RpcLink;
use descent_worker::trainer::{LocalTrainer, Trainer};
use descent_worker::{Config, Report, RunError, Shutdown, World};
use tokio::task::JoinHandle;

use crate::VERSION;
use crate::exit::{Exit, Failed};
use crate::memory;
use crate::sweep_file::DataArgs;

/// A pebibyte: more than any machine has, and still a number of bytes.
const MEMORY_MIB_MAX: u64 = 1 << 30;

/// How this process trains.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// Packs trained side by side, one thread each [default: the number of cores, or of GPUs].
    #[arg(long, env = "DESCENT_WORKERS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) workers: Option<u32>,
    /// Where to train: auto, cpu, cuda:0, …, cuda:all; several by commas: slots are spread over them.
    #[arg(long, env = "DESCENT_DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Memory for training, in MiB, on each device [default: three quarters of what is free].
    #[arg(long, env = "DESCENT_MEMORY_MIB", value_name = "MIB", value_parser = clap::value_parser!(u64).range(16..=MEMORY_MIB_MAX))]
    pub(crate) memory_mib: Option<u64>,
    /// Trials in one pack at most [default: 32; more suits a GPU].
    #[arg(long, env = "DESCENT_PACK", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) pack: Option<u32>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

impl TrainArgs {
    /// The devices, each of which can be used; all of one instruction set, because a session has one.
    ///
    /// # Errors
    /// When one cannot be used, is named twice, or is of another kind.
    pub(crate) fn devices(&self) -> anyhow::Result<Vec<Device>> {
        let devices = Device::parse_all(&self.device)
            .map_err(|error| Failed::usage(format!("--device: {error}")))?;
        if self
            .workers
            .is_some_and(|slots| (slots as usize) < devices.len())
        {
            return Err(Failed::usage(format!(
                "--device {} names {} devices: --workers must be as many at least, or some of them would stay idle",
                self.device,
                devices.len()
            )));
        }
        for device in &devices {
            device
                .check()
                .map_err(|error| Failed::usage(format!("--device {}: {error}", self.device)))?;
        }
        let sets = devices.iter().map(|device| device.instruction_set());
        let sets: BTreeSet<String> = sets.collect();
        if sets.len() > 1 {
            return Err(Failed::usage(format!(
                "--device {}: these compute in different ways ({}): start a worker for each kind",
                self.device,
                sets.into_iter().collect::<Vec<_>>().join(", ")
            )));
        }
        Ok(devices)
    }

    /// Packs trained side by side: a core takes one, and so does a GPU.
    fn slots(&self, devices: &[Device]) -> u32 {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.workers
            .unwrap_or_else(|| match devices.first().and_then(|first| first.cuda()) {
                Some(_) => count(devices.len()),
                None => std::thread::available_parallelism().map_or(1, |n| count(n.get())),
            })
    }

    /// What packs may take on each device, in bytes.
    fn memory_bytes(&self, devices: &[Device]) -> u64 {
        let free = |device: &Device| device.memory_bytes().map(|(free, _)| free);
        self.memory_mib.map_or_else(
            || memory::for_training(devices.iter().filter_map(free).min()),
            |mib| mib << 20,
        )
    }
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
        let devices = args.devices()?;
        let data = Arc::new(args.data.store());
        let trainer = |&device: &Device| -> Arc<dyn Trainer> {
            Arc::new(LocalTrainer::new(Arc::clone(&data), device))
        };
        let mut settings = Config::new(name(), VERSION.to_owned());
        settings.slots = args.slots(&devices);
        settings.memory_bytes = args.memory_bytes(&devices);
        settings.machine_bytes = memory::for_training(None);
        if let Some(pack) = args.pack {
            settings.pack_trials = pack;
        }
        config(&mut settings);
        let world = World::real(
            Arc::new(RpcLink::new(connection)),
            devices.iter().map(trainer).collect(),
        );
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
            Ok(Err(error @ RunError::DeviceLost { .. })) => Err(Failed {
                exit: Exit::Incomplete,
                message: error.to_string(),
            }
            .into()),
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
