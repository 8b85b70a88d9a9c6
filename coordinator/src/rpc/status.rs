//! Errors become statuses here and nowhere else; those that only an operator can mend are logged here, once.

use descent_proto::convert::InvalidField;
use descent_proto::reason::Reason;
use tonic::Status;

use crate::artifacts::ArtifactError;
use crate::store::StoreError;

/// What a caller is told of the store's refusal.
pub(crate) fn of_store(error: &StoreError) -> Status {
    let message = error.to_string();
    match error {
        StoreError::NotFound { .. } => Status::not_found(message),
        StoreError::Query(_) => Status::invalid_argument(message),
        StoreError::Conflict(_) => Status::failed_precondition(message),
        StoreError::SessionClosed(_) => Reason::SessionClosed.status(message),
        StoreError::MetricGap { last, .. } => Reason::MetricGap { last: *last }.status(message),
        StoreError::NewerSchema { .. }
        | StoreError::InUse { .. }
        | StoreError::NetworkFileSystem { .. }
        | StoreError::NotADatabase(_)
        | StoreError::BadAddress(_)
        | StoreError::ReadOnly(_) => {
            tracing::error!(error = message, "cannot use the database");
            Status::failed_precondition(message)
        }
        StoreError::Superseded { .. } => {
            tracing::error!(error = message, "shut out");
            Status::unavailable(message)
        }
        StoreError::DiskFull => {
            tracing::error!(error = message, "cannot write");
            Status::resource_exhausted(message)
        }
        StoreError::Unavailable(_) | StoreError::Contention(_) => {
            tracing::warn!(error = message, "the database does not answer");
            Status::unavailable(message)
        }
        StoreError::Database(_) => {
            tracing::error!(error = message, "the database reported an error");
            Status::internal(message)
        }
    }
}

/// What a caller is told when a stored file cannot be written or read.
pub(crate) fn of_artifact(error: &ArtifactError) -> Status {
    let message = error.to_string();
    match error {
        ArtifactError::NotFound { .. } => Status::not_found(message),
        ArtifactError::TooLarge { .. } => Status::out_of_range(message),
        ArtifactError::WrongLength { .. } => {
            InvalidField::new("header.artifact.bytes", message).into()
        }
        ArtifactError::WrongHash { .. } => {
            InvalidField::new("header.artifact.hash", message).into()
        }
        ArtifactError::DiskFull { .. } => {
            tracing::error!(error = message, "cannot write an artifact");
            Status::resource_exhausted(message)
        }
        ArtifactError::Storage { .. } => {
            tracing::error!(error = message, "the artifact store reported an error");
            Status::unavailable(message)
        }
    }
}

/// The answer to a write by somebody who is no longer in charge.
pub(crate) fn fenced() -> Status {
    Reason::Fenced.status(
        "the attempt is no longer the trial's current one, or the trial is no longer wanted",
    )
}
