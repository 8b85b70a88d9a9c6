//! Stores to test with, and what is put into them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use descent_coordinator::open_store;
use descent_coordinator::reader::Reader;
use descent_coordinator::store::{
    Ask, Axis, AxisKind, Claim, Claimed, Fence, Held, IfExists, NewSession, NewSweep, NewTrial,
    Slice, Store, SweepRow, TrialColumns,
};
use descent_spec::id::{ContentHash, Identity, PackKey, RequestId, SessionId, SweepId, Timestamp};
use descent_spec::outcome::{Measurement, StopReason, TrialResult};
use descent_spec::state::TrialState;

use crate::postgres;

/// A store, and what must outlive it.
pub(super) struct Fixture {
    pub(super) store: Arc<dyn Store>,
    pub(super) url: String,
    requests: AtomicU64,
    _folder: Option<tempfile::TempDir>,
    _database: Option<postgres::Database>,
}

pub(super) fn memory() -> Fixture {
    let store: Arc<dyn Store> =
        Arc::new(descent_coordinator::store::memory::MemoryStore::default());
    Fixture {
        store,
        url: "memory:".to_owned(),
        requests: AtomicU64::new(0),
        _folder: None,
        _database: None,
    }
}

pub(super) async fn sqlite() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("queue.db").display());
    Fixture {
        store: open_store(&url).await.unwrap(),
        url,
        requests: AtomicU64::new(0),
        _folder: Some(folder),
        _database: None,
    }
}

pub(super) async fn postgres() -> Option<Fixture> {
    let database = postgres::database()?;
    Some(Fixture {
        store: open_store(&database.url).await.unwrap(),
        url: database.url.clone(),
        requests: AtomicU64::new(0),
        _folder: None,
        _database: Some(database),
    })
}

pub(super) const T0: Timestamp = Timestamp(1_700_000_000_000);
pub(super) const LEASE_MS: i64 = 30_000;

/// `seconds` after the beginning.
pub(super) fn at(seconds: i64) -> Timestamp {
    T0.plus_ms(seconds * 1000)
}

pub(super) fn session(n: u8) -> SessionId {
    SessionId([n; 16])
}

pub(super) fn data(n: u8) -> ContentHash {
    ContentHash([n; 32])
}

pub(super) fn identity(n: u64) -> Identity {
    // Digits spread, so that beginnings are unique.
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    Identity(bytes)
}

pub(super) fn request(n: u64) -> RequestId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    RequestId(bytes)
}

pub(super) fn new_sweep(name: &str, points: u64) -> NewSweep {
    NewSweep {
        name: name.to_owned(),
        experiment: "risk-curve".to_owned(),
        source: format!("name = \"{name}\""),
        data: "{}".to_owned(),
        points,
        cost_total: points as f64 * 1000.0,
        priority: 0,
        max_alike_failures: 0,
        axes: vec![
            Axis {
                name: "width".to_owned(),
                kind: AxisKind::Integer,
            },
            Axis {
                name: "data.label_noise".to_owned(),
                kind: AxisKind::Real,
            },
            Axis {
                name: "train.loss".to_owned(),
                kind: AxisKind::Text,
            },
            Axis {
                name: "seed".to_owned(),
                kind: AxisKind::Integer,
            },
        ],
    }
}

/// The `n`-th trial: width n/2 + 1, seed n mod 2, identity by n alone.
pub(super) fn new_trial(n: u64) -> NewTrial {
    let width = i64::try_from(n / 2 + 1).unwrap();
    let seed = i64::try_from(n % 2).unwrap();
    NewTrial {
        point: n,
        identity: identity(n),
        pack_key: PackKey([1; 16]),
        data: data(1),
        data_memory: 0,
        device: String::new(),
        instruction_set: String::new(),
        parent: None,
        params: format!("{{\"model.width\":{width},\"seed\":{seed}}}"),
        columns: TrialColumns {
            width,
            depth: 1,
            parameters: width * 10,
            samples: 100,
            outputs: 10,
            label_noise: 0.2,
            ridge: 0.0,
            weight_decay: 0.0,
            epochs: 5,
            model: "mlp",
            subspace_dim: if width == 3 { 7 } else { 0 },
            projection: (width == 3).then_some("fastfood"),
            density: 0.5,
            seed,
            cost: 1000.0,
            memory: 1 << 20,
        },
        axes: format!(
            "{{\"data.label_noise\":0.2,\"seed\":{seed},\"train.loss\":\"squared\",\"width\":{width}}}"
        ),
        ord: i64::try_from(n).unwrap(),
        time_limit_ms: 0,
        stall_ms: 600_000,
        max_failures: 3,
        checkpoint_ms: 30_000,
        checkpoint_epochs: 0,
        keep_weights: true,
    }
}

pub(super) fn result() -> TrialResult {
    TrialResult {
        stop: StopReason::Epochs,
        last: measurement(5, 0.125),
        diverged: false,
        coefficient_norm: None,
        details: None,
        parameters: 10,
        weights: None,
        device: "cpu".to_owned(),
        instruction_set: "avx2".to_owned(),
        train_ms: 1234,
    }
}

pub(super) fn measurement(epoch: u32, loss: f64) -> Measurement {
    Measurement {
        epoch,
        train_loss: Some(loss),
        train_error: Some(0.5),
        validation_loss: None,
        validation_error: None,
        test_loss: Some(loss * 2.0),
        test_error: Some(0.75),
        dead_units: Some(1),
    }
}

pub(super) fn fence(session: SessionId, claimed: &Claimed) -> Fence {
    Fence {
        session,
        trial: claimed.trial,
        attempt: claimed.attempt,
    }
}

pub(super) fn held(claimed: &Claimed) -> Held {
    Held {
        trial: claimed.trial,
        attempt: claimed.attempt,
        epoch: 0,
        step: 0,
    }
}

impl Fixture {
    /// A request that nobody has made before.
    pub(super) fn request(&self) -> RequestId {
        request(self.requests.fetch_add(1, Ordering::Relaxed) + 1_000_000)
    }

    pub(super) async fn submit(&self, sweep: &NewSweep) -> SweepId {
        self.store
            .submit(self.request(), sweep, IfExists::Replace, T0)
            .await
            .unwrap()
    }

    /// Submits a sweep and makes all its trials.
    pub(super) async fn sweep_of(&self, name: &str, trials: Vec<NewTrial>) -> SweepId {
        let to = trials.len() as u64;
        let sweep = self.submit(&new_sweep(name, to)).await;
        let slice = Slice {
            sweep,
            edition: self.row(name).await.edition,
            from: 0,
            to,
            trials,
            last: true,
        };
        self.store.expand(&slice, T0).await.unwrap();
        sweep
    }

    /// A session that takes whatever it asks for.
    pub(super) async fn open(&self, n: u8) -> SessionId {
        self.open_as(n, 0, 1 << 30).await
    }

    async fn open_as(&self, n: u8, slots: u32, memory: u64) -> SessionId {
        let new = NewSession {
            id: session(n),
            worker: format!("worker-{n}"),
            version: "0.1.0".to_owned(),
            device: "cpu".to_owned(),
            instruction_set: "avx2".to_owned(),
            slots,
            memory,
            data: vec![data(1)],
            lease_until: T0.plus_ms(LEASE_MS),
        };
        self.store.open_session(&new, T0).await.unwrap();
        session(n)
    }

    /// A session that shares with others.
    pub(super) async fn open_sharing(&self, n: u8, slots: u32, memory: u64) -> SessionId {
        self.open_as(n, slots, memory).await
    }

    pub(super) async fn ask(&self, session: SessionId, max_trials: u32, now: Timestamp) -> Claim {
        let ask = Ask {
            session,
            request: self.request(),
            max_trials,
            memory: 1 << 30,
            data: vec![data(1)],
            samples: Vec::new(),
        };
        self.store.claim(&ask, now).await.unwrap()
    }

    pub(super) async fn claim(&self, session: SessionId, max: u32) -> Vec<Claimed> {
        self.ask(session, max, T0).await.claimed
    }

    pub(super) async fn row(&self, name: &str) -> SweepRow {
        self.store.sweep(name).await.unwrap().unwrap()
    }

    pub(super) async fn state(&self, n: u64) -> TrialState {
        self.store
            .explain(&identity(n).to_string())
            .await
            .unwrap()
            .state
    }

    pub(super) async fn states(&self, numbers: std::ops::Range<u64>) -> Vec<TrialState> {
        let mut states = Vec::new();
        for n in numbers {
            states.push(self.state(n).await);
        }
        states
    }

    pub(super) async fn reader(&self) -> Reader {
        Reader::open(&self.url).await.unwrap()
    }
}
