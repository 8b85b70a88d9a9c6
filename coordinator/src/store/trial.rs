//! What trials are to a store: as a slice of a sweep brings them, and as it explains them.

use descent_spec::id::{
    AttemptNumber, ContentHash, Identity, PackKey, SweepId, Timestamp, TrialId,
};
use descent_spec::state::TrialState;

/// One trial of an expansion slice.
#[derive(Clone, Debug)]
pub struct NewTrial {
    /// Index of the point in the sweep.
    pub point: u64,
    /// Its name.
    pub identity: Identity,
    /// What it must share with others to be trained beside them.
    pub pack_key: PackKey,
    /// Content of its data set.
    pub data: ContentHash,
    /// Predicted bytes of the samples, which trials of one pack key share.
    pub data_memory: u64,
    /// Device that the sweep asks for, such as `cuda`, or empty.
    pub device: String,
    /// Instruction set that the sweep asks for, or empty.
    pub instruction_set: String,
    /// The trial whose final weights it starts from. Exists already, or comes earlier in the slice.
    pub parent: Option<Identity>,
    /// Canonical settings, JSON.
    pub params: String,
    /// Settings that have columns of their own in the views.
    pub columns: TrialColumns,
    /// Axis values of this point, JSON object by axis name.
    pub axes: String,
    /// Position in the order of work: lower goes first.
    pub ord: i64,
    /// Time limit of one attempt, 0: none.
    pub time_limit_ms: u64,
    /// Time without a step after which an attempt counts as hung.
    pub stall_ms: u64,
    /// Failures after which the trial is given up.
    pub max_failures: u32,
    /// Time between checkpoints.
    pub checkpoint_ms: u32,
    /// Epochs between checkpoints, 0: by time only.
    pub checkpoint_epochs: u32,
    /// Whether the final weights are kept.
    pub keep_weights: bool,
}

/// The settings of a trial that views show as typed columns.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialColumns {
    /// Units per hidden layer, or number of random features.
    pub width: i64,
    /// Number of hidden layers.
    pub depth: i64,
    /// Count of trained numbers.
    pub parameters: i64,
    /// Training samples.
    pub samples: i64,
    /// Classes.
    pub outputs: i64,
    /// Share of noisy labels.
    pub label_noise: f64,
    /// Ridge of closed forms.
    pub ridge: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Epochs asked for.
    pub epochs: i64,
    /// What learns, such as `mlp`.
    pub model: &'static str,
    /// Dimension of the random subspace trained in, 0: none.
    pub subspace_dim: i64,
    /// How the subspace is drawn, where there is one.
    pub projection: Option<&'static str>,
    /// Share of the weights that a mask keeps.
    pub density: f64,
    /// The trial's seed.
    pub seed: i64,
    /// Predicted floating-point operations.
    pub cost: f64,
    /// Predicted bytes of its own buffers.
    pub memory: u64,
}

/// A slice of a sweep's points, to be made trials of in one transaction.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The sweep.
    pub sweep: SweepId,
    /// Edition of the sweep that it was cut from; when the sweep was replaced since, nothing happens.
    pub edition: u64,
    /// Cursor that the slice starts from; when the stored one differs, the slice is stale and nothing happens.
    pub from: u64,
    /// Cursor after it.
    pub to: u64,
    /// Its trials, ancestors first.
    pub trials: Vec<NewTrial>,
    /// Whether nothing follows.
    pub last: bool,
}

/// What [`Store::explain`](super::Store::explain) tells.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The trial.
    pub trial: TrialId,
    /// Its name.
    pub identity: Identity,
    /// Where it is.
    pub state: TrialState,
    /// Whether only paused sweeps want it.
    pub held_back: bool,
    /// Whether its lease expired and nobody has taken it since.
    pub suspect: bool,
    /// When a delayed trial may run again.
    pub run_after: Option<Timestamp>,
    /// Identity and state of the trial that it waits for.
    pub parent: Option<(Identity, TrialState)>,
    /// Canonical settings.
    pub params: String,
    /// Ready trials that go before it.
    pub ahead: u64,
    /// Its attempts, in order.
    pub attempts: Vec<AttemptRow>,
    /// Names of the sweeps that want it.
    pub sweeps: Vec<String>,
    /// Why paused ones of them were paused, where nobody asked for it.
    pub pauses: Vec<String>,
    /// What a worker must be and have to train it.
    pub needs: Needs,
}

/// What a worker must be and have to train a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Its data set.
    pub data: ContentHash,
    /// The device that the sweep asks for, or empty.
    pub device: String,
    /// The instruction set that the sweep asks for, or empty.
    pub instruction_set: String,
    /// Predicted bytes, the samples among them.
    pub memory: u64,
}

/// One execution of a trial.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// Its number.
    pub attempt: AttemptNumber,
    /// The worker's name.
    pub worker: String,
    /// When it was claimed.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// `active`, `suspect`, `succeeded`, `failed`, `lost`, `released`, `cancelled`.
    pub outcome: String,
    /// The kind of its failure, as a word.
    pub failure: Option<String>,
    /// What went wrong.
    pub message: Option<String>,
}
