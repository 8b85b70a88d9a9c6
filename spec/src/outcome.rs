//! How an attempt ends: the measured numbers of a trial, or the kind of its failure.

use serde::{Deserialize, Serialize};

use crate::details::Details;
use crate::id::ContentHash;
use crate::state::words;

words!(
    /// Which samples a number was measured on.
    Split {
        /// The samples trained on, with their (possibly noisy) labels.
        Train = "train",
        /// Training samples held out.
        Validation = "validation",
        /// The data set's test samples, always with true labels.
        Test = "test",
    }
);

/// What was measured of a network at the end of one epoch.
///
/// Losses are means over samples **and** outputs; errors are `1 − accuracy`, in `[0, 1]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Epochs completed; 0 is the network before training.
    pub epoch: u32,
    /// Loss on the training samples.
    pub train_loss: Option<f64>,
    /// Zero-one error on the training samples.
    pub train_error: Option<f64>,
    /// Loss on the validation samples.
    pub validation_loss: Option<f64>,
    /// Zero-one error on the validation samples.
    pub validation_error: Option<f64>,
    /// Loss on the test samples.
    pub test_loss: Option<f64>,
    /// Zero-one error on the test samples.
    pub test_error: Option<f64>,
    /// Hidden units that are zero on every training sample.
    pub dead_units: Option<u32>,
}

impl Measurement {
    /// The measurement of an epoch with nothing measured yet.
    #[must_use]
    pub const fn of_epoch(epoch: u32) -> Self {
        Self {
            epoch,
            train_loss: None,
            train_error: None,
            validation_loss: None,
            validation_error: None,
            test_loss: None,
            test_error: None,
            dead_units: None,
        }
    }
}

words!(
    /// Why training ended.
    StopReason {
        /// All epochs were trained.
        Epochs = "epochs",
        /// The stopping rule held: no training sample was misclassified.
        ZeroError = "zero-error",
        /// Early stopping: the validation samples had nothing better to say for too long. The result is the best network's.
        Patience = "patience",
        /// A loss or a weight was no longer finite.
        Diverged = "diverged",
        /// Nothing was trained by steps: the solution is in closed form.
        ClosedForm = "closed-form",
    }
);

/// The one result of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// Why training ended.
    pub stop: StopReason,
    /// The last measurement. Numbers that are not finite are `None`, with `diverged` set.
    pub last: Measurement,
    /// Whether a number was no longer finite. A result, not a failure.
    pub diverged: bool,
    /// Euclidean norm of the coefficients (closed forms only).
    pub coefficient_norm: Option<f64>,
    /// Count of trained numbers.
    pub parameters: u64,
    /// What the experiment says beyond that.
    pub details: Option<Details>,
    /// BLAKE3 of the final weights as safetensors: equal bits have equal hashes.
    pub weights: Option<ContentHash>,
    /// Device that trained, such as `cpu` or `cuda:0`.
    pub device: String,
    /// Instruction set of the arithmetic, such as `avx512`, `avx2`, `portable`, `cuda-9.0`.
    pub instruction_set: String,
    /// Wall time of this attempt's training, in milliseconds.
    pub train_ms: u64,
}

words!(
    /// Why an attempt did not end in a result. Each kind has its own way on.
    FailureKind {
        /// Not enough memory on the device.
        OutOfMemory = "out-of-memory",
        /// The trial ran longer than its time limit.
        TimeLimit = "time-limit",
        /// The trial's description cannot be trained (a bug, or an older worker).
        BadSpec = "bad-spec",
        /// The data is missing on the worker, or its content differs.
        Data = "data",
        /// A checkpoint or another trial's artifact cannot be read.
        Artifact = "artifact",
        /// The device reported an error.
        Device = "device",
        /// The trainer panicked: a bug.
        Panic = "panic",
        /// No step was made for too long, though the worker's process lives.
        Stalled = "stalled",
    }
);

impl FailureKind {
    /// Whether another attempt can end differently.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::OutOfMemory | Self::Data | Self::Artifact | Self::Device | Self::Stalled => true,
            Self::TimeLimit | Self::BadSpec | Self::Panic => false,
        }
    }
}

/// A failed attempt: its kind and what a person needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// One or two sentences: what happened and the way out.
    pub message: String,
}
