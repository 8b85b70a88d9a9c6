//! How what went wrong in training becomes what the coordinator is told: one match, here.

use std::any::Any;
use std::time::Duration;

use descent_spec::id::ContentHash;
use descent_spec::outcome::{Failure, FailureKind};
use descent_training::pack::TrainError;

/// What can end an attempt without a result.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The trainer said so.
    Train(TrainError),
    /// The trainer panicked; its message.
    Panic(String),
    /// The trainer no longer knows the trial, but never said how it ended.
    Lost,
    /// The trial's settings cannot be read.
    Settings(String),
    /// The weights that it starts from cannot be had.
    ParentWeights(String),
    /// Its final weights have this hash, and its result says this one. What waited on disk was compared before.
    Weights(ContentHash, ContentHash),
    /// It needs more memory than the whole worker has: needed, there, the way out.
    TooLarge(u64, u64, &'static str),
    /// The device had no memory left though nothing else trained there: what it said, predicted, there.
    OutOfMemory(String, u64, u64),
    /// The device was lost once more: what it said, and the number of the attempt.
    DeviceLost(String, i64),
    /// It ran longer than this.
    TimeLimit(Duration),
    /// The coordinator calls what this worker says about the trial invalid.
    Invalid(String),
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        let (kind, message) = match cause {
            Cause::Train(error) => (error.kind(), error.to_string()),
            Cause::Panic(message) => (
                FailureKind::Panic,
                format!("the trainer panicked: {message}"),
            ),
            Cause::Lost => (
                FailureKind::Panic,
                "the trainer lost the trial without a word: a bug".to_owned(),
            ),
            Cause::Settings(reason) => (
                FailureKind::BadSpec,
                format!("the trial's settings cannot be read: {reason}"),
            ),
            Cause::ParentWeights(reason) => (
                FailureKind::Artifact,
                format!("the weights that it starts from cannot be read: {reason}"),
            ),
            Cause::Weights(found, told) => (
                FailureKind::Artifact,
                format!(
                    "its final weights have the hash {found}, its result says {told}: broken memory, or a bug"
                ),
            ),
            Cause::TooLarge(needed, there, way_out) => (
                FailureKind::OutOfMemory,
                format!(
                    "training takes about {} MiB, this worker may use {} MiB: {way_out}",
                    needed >> 20,
                    there >> 20
                ),
            ),
            Cause::OutOfMemory(reason, needed, there) => (
                FailureKind::OutOfMemory,
                format!(
                    "out of memory, with nothing else in training: {reason}; about {} MiB were expected, this worker \
                     may use {} MiB: train it where there is more, or take a smaller train.batch",
                    needed >> 20,
                    there >> 20
                ),
            ),
            Cause::DeviceLost(reason, attempt) => (
                FailureKind::Device,
                format!(
                    "the device was lost in attempt {attempt}: {reason}; if this is the trial of a pack that breaks it, `descent \
                     cancel` its sweep or train it with --device cpu"
                ),
            ),
            Cause::TimeLimit(limit) => (
                FailureKind::TimeLimit,
                format!(
                    "not finished after {} s, its time limit: raise run.time_limit_s",
                    limit.as_secs_f64()
                ),
            ),
            Cause::Invalid(reason) => (
                FailureKind::BadSpec,
                format!("the coordinator refuses the worker's report: {reason}"),
            ),
        };
        Self { kind, message }
    }
}

/// The message of a caught panic.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
