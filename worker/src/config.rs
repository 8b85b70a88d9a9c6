//! How one worker works. Every limit has its reason beside it.

use std::path::PathBuf;
use std::time::Duration;

use descent_proto::retry::{FIRST_BACKOFF, LONGEST_BACKOFF};

use crate::ledger::Ledger;

/// What to do with the trials in training when the coordinator has not answered for [`Config::orphan_grace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrphanPolicy {
    /// Finish them, keep what came of it and deliver it when the coordinator is back.
    Finish,
    /// Stop them and free the device; their checkpoints wait for the coordinator, and others may go on from them.
    Stop,
    /// Checkpoint them and compute nothing more until the coordinator answers; whoever was not given to another worker by then
    /// goes on where it was.
    Pause,
}

/// How one worker works.
#[derive(Clone, Debug)]
pub struct Config {
    /// A name for people: host and process.
    pub worker: String,
    /// Version and commit of the binary.
    pub version: String,
    /// Packs trained side by side, each on its own thread. At least 1.
    pub slots: u32,
    /// Most trials that one pack may hold.
    pub pack_trials: u32,
    /// What all packs of a device may use together, in bytes.
    pub memory_bytes: u64,
    /// What trials may use together, in bytes, that the processor computes because no device can. Where the device is the
    /// processor, there are none.
    pub machine_bytes: u64,
    /// How long one slice of training shall take: the longest time until a signal or a directive is noticed.
    pub slice: Duration,
    /// How long the coordinator may keep a request for trials waiting. It answers after 20 s at the latest.
    pub lease_wait: Duration,
    /// How long measurements are gathered before they are sent; what ends or is checkpointed is sent at once.
    pub metrics_interval: Duration,
    /// First and longest bound of the pause before a call is repeated: the bound doubles, the pause is drawn evenly below it.
    pub pause: (Duration, Duration),
    /// How long the first session may take to open before the coordinator counts as out of reach; `None`: for ever.
    pub connect_patience: Option<Duration>,
    /// How long draining may take: after it, what was not delivered is left to a later attempt.
    pub drain_deadline: Duration,
    /// How long training goes on without an acknowledged heartbeat before [`Config::orphan_policy`] decides.
    pub orphan_grace: Duration,
    /// What happens then.
    pub orphan_policy: OrphanPolicy,
    /// Folder for what cannot be delivered while the coordinator is silent; `None`: it stays in memory.
    pub spool: Option<PathBuf>,
    /// Where what is trained and acknowledged is noted down for an auditor.
    pub ledger: Ledger,
}

impl Config {
    /// The usual settings, with one slot.
    #[must_use]
    pub fn new(worker: String, version: String) -> Self {
        Self {
            worker,
            version,
            slots: 1,
            pack_trials: 32,
            memory_bytes: 4 << 30,
            machine_bytes: 4 << 30,
            slice: Duration::from_millis(250),
            lease_wait: Duration::from_secs(20),
            metrics_interval: Duration::from_secs(1),
            pause: (FIRST_BACKOFF, LONGEST_BACKOFF),
            connect_patience: None,
            // Slurm and containers kill 30 s after their signal.
            drain_deadline: Duration::from_secs(25),
            orphan_grace: Duration::from_secs(30 * 60),
            orphan_policy: OrphanPolicy::Finish,
            spool: None,
            ledger: Ledger::default(),
        }
    }

    /// Trials whose results wait for the coordinator beyond which nothing more is leased: bounds what an outage or a slow
    /// coordinator can pile up in memory.
    #[must_use]
    pub(crate) fn unsettled_trials_max(&self) -> usize {
        2 * self.slots.max(1) as usize * self.pack_trials.max(1) as usize
    }
}
