//! What all hosts of one simulation share with whoever drives it: things that outlive a crash, and switches for faults.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use descent_coordinator::artifacts::Artifacts;
use descent_coordinator::clock::Clock;
use descent_coordinator::store::memory::Disk;
use descent_spec::id::{RequestId, SessionId, Timestamp};
use descent_worker::{Report, Shutdown};
use tokio::sync::watch;

use crate::broken::Broken;
use crate::chance::Chance;
use crate::plan::{Action, Plan};
use crate::record::{Life, Record};
use crate::trainer::Ledger;

/// When simulations begin, by the coordinator's clock. In the far future, so that every file is old enough to be collected.
const EPOCH_MS: i64 = 7_000_000_000_000;

pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) broken: Option<Broken>,
    pub(crate) record: Record,
    pub(crate) disk: Arc<Disk>,
    pub(crate) artifacts: Artifacts,
    pub(crate) ledger: Ledger,
    /// Draws everything that is decided on the way: delays of the disk, repeats.
    pub(crate) chance: Mutex<Chance>,
    /// What the coordinator's clock is off by, in milliseconds.
    pub(crate) clock_off: AtomicI64,
    /// Until when the coordinator's disk does not answer, in simulated milliseconds.
    pub(crate) stalled_until: AtomicU64,
    /// Cancels the coordinator that runs.
    pub(crate) drain_coordinator: watch::Sender<u64>,
    pub(crate) workers: Vec<Mutex<WorkerState>>,
    last_now: AtomicU64,
    /// What the user was told is done, in order, and the number that came with it.
    pub(crate) acknowledged: Mutex<Vec<(Duration, Action, u64)>>,
    pub(crate) user_is_done: AtomicBool,
    /// Set when all faults are over.
    pub(crate) healed: watch::Sender<bool>,
}

/// One worker, over its lives.
#[derive(Default)]
pub(crate) struct WorkerState {
    pub(crate) lives: u32,
    pub(crate) shutdown: Option<Shutdown>,
    pub(crate) frozen: bool,
    /// How lives ended that did so by themselves.
    pub(crate) ended: BTreeMap<u32, Result<Report, String>>,
    /// Lives that were killed.
    pub(crate) killed: Vec<u32>,
    pub(crate) asked: BTreeMap<SessionId, Asked>,
}

/// Requests for trials of one session.
#[derive(Default)]
pub(crate) struct Asked {
    /// Those that have no answer yet, and since when they are asked.
    pub(crate) open: BTreeMap<RequestId, Duration>,
    /// The most that there were at a time.
    pub(crate) most_open: usize,
}

impl Shared {
    pub(crate) fn new(plan: Plan, broken: Option<Broken>) -> Self {
        let mut chance = Chance::new(plan.seed ^ 0x5eed);
        Self {
            workers: (0..plan.workers).map(|_| Mutex::default()).collect(),
            broken,
            record: Record::default(),
            disk: Arc::default(),
            artifacts: Artifacts::in_memory(1 << 20),
            ledger: Ledger::default(),
            chance: Mutex::new(chance.fork()),
            clock_off: AtomicI64::new(0),
            stalled_until: AtomicU64::new(0),
            drain_coordinator: watch::Sender::new(0),
            last_now: AtomicU64::new(0),
            acknowledged: Mutex::default(),
            user_is_done: AtomicBool::new(false),
            healed: watch::Sender::new(false),
            plan,
        }
    }

    /// Simulated time; outside of any host, that of the last look.
    pub(crate) fn now(&self) -> Duration {
        match turmoil::sim_elapsed() {
            Some(now) => {
                let nanos = u64::try_from(now.as_nanos()).expect("centuries");
                self.last_now.store(nanos, Ordering::Relaxed);
                now
            }
            None => Duration::from_nanos(self.last_now.load(Ordering::Relaxed)),
        }
    }

    /// Tells the time to who is outside of any host.
    pub(crate) fn set_now(&self, now: Duration) {
        let nanos = u64::try_from(now.as_nanos()).expect("centuries");
        self.last_now.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn is_frozen(&self, worker: usize) -> bool {
        self.workers[worker].lock().unwrap().frozen
    }

    pub(crate) fn is_healed(&self) -> bool {
        *self.healed.borrow()
    }

    /// Whether this life was ended by somebody before its time.
    pub(crate) fn was_killed(&self, life: Life) -> bool {
        let state = self.workers[life.worker].lock().unwrap();
        state.killed.contains(&life.number)
    }
}

/// The coordinator's clock, which may be set.
pub(crate) struct WallClock(pub(crate) Arc<Shared>);

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let now = i64::try_from(self.0.now().as_millis()).expect("centuries");
        Timestamp(EPOCH_MS + now + self.0.clock_off.load(Ordering::Relaxed))
    }
}
