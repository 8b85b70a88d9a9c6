//! What a coordinator is told when it starts. Every limit is here, with its reason.

use std::path::PathBuf;
use std::time::Duration;

/// How one coordinator runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of checkpoints and weights; made when it is missing.
    pub artifacts: PathBuf,
    /// URL of the database, opened read-only for `Query`; without one, `Query` is refused.
    pub database: Option<String>,
    /// What every caller must show. Without it anybody may call.
    pub token: Option<String>,
    /// Whether to listen beyond this machine without a token.
    pub insecure: bool,
    /// Certificate and key, PEM; without them the wire is plain.
    pub tls: Option<Tls>,
    /// Whether to do the upkeep of a shared database without being elected for it: wasteful and harmless, for tests of two leaders.
    pub always_leads: bool,
    /// Version and commit of the binary, told to workers.
    pub version: String,
    /// How long things may take.
    pub timing: Timing,
    /// How much of everything.
    pub limits: Limits,
}

impl Config {
    /// The defaults, with artifacts in this folder.
    #[must_use]
    pub fn new(artifacts: impl Into<PathBuf>) -> Self {
        Self {
            artifacts: artifacts.into(),
            database: None,
            token: None,
            insecure: false,
            tls: None,
            always_leads: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            timing: Timing::default(),
            limits: Limits::default(),
        }
    }
}

/// A server's certificate.
#[derive(Clone)]
pub struct Tls {
    /// Certificate chain, PEM.
    pub certificate: String,
    /// Private key, PEM.
    pub key: String,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(…)") // the key stays out of logs
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often workers are asked to beat.
    pub heartbeat: Duration,
    /// How long a session counts as alive without a beat.
    pub lease: Duration,
    /// How long a grant may stay unlisted in heartbeats before it counts as lost on its way: two beats.
    pub unlisted: Duration,
    /// How often the maintenance looks around.
    pub maintain: Duration,
    /// How long the upkeep of a shared database stays one coordinator's without being renewed, which happens at every look around.
    pub lead: Duration,
    /// Longest a `Lease` call is parked. Below the idle timeouts of proxies and firewalls.
    pub longest_wait: Duration,
    /// How often a parked `Lease` looks again even when nobody woke it: what a lost wake-up costs.
    pub look_again: Duration,
    /// How often `Watch` looks at its sweep.
    pub watch: Duration,
    /// How long one call may wait for the database.
    pub call: Duration,
    /// How long one `Query` may take.
    pub query: Duration,
    /// Longest silence in the middle of an upload.
    pub upload_silence: Duration,
    /// How long calls under way may take after the shutdown began. hyper can hang in its own shutdown
    /// (hyperium/hyper#4170), so this is a hard end.
    pub drain: Duration,
    /// How often artifacts that nothing refers to are collected.
    pub collect: Duration,
    /// How old such an artifact must be: uploads that are stored but not yet committed are younger.
    pub collect_older_than: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            lease: Duration::from_secs(30),
            unlisted: Duration::from_secs(10),
            maintain: Duration::from_secs(1),
            lead: Duration::from_secs(5),
            longest_wait: Duration::from_secs(20),
            look_again: Duration::from_secs(1),
            watch: Duration::from_millis(500),
            call: Duration::from_secs(30),
            query: Duration::from_secs(60),
            upload_silence: Duration::from_secs(30),
            drain: Duration::from_secs(5),
            collect: Duration::from_secs(600),
            collect_older_than: Duration::from_secs(3600),
        }
    }
}

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest message, in bytes.
    pub message_bytes: usize,
    /// Largest artifact, in bytes.
    pub artifact_bytes: u64,
    /// Trials in one grant: with their settings far below the largest message.
    pub trials_per_claim: u32,
    /// Parked `Lease` calls.
    pub parked: usize,
    /// Open `Watch` streams.
    pub watchers: usize,
    /// Calls under way on one connection.
    pub calls_per_connection: usize,
    /// Sweeps in one page of `List`.
    pub page: u32,
    /// Rows of one `Query`.
    pub query_rows: u32,
    /// Raw points in one slice of the expansion: about 10 ms of work and one transaction, so that nobody waits long.
    pub slice: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: descent_proto::MAX_MESSAGE_BYTES,
            artifact_bytes: 8 << 30,
            trials_per_claim: 1_024,
            parked: 20_000,
            watchers: 1_000,
            calls_per_connection: 1_024,
            page: 1_000,
            query_rows: 100_000,
            slice: 2_000,
        }
    }
}
