//! Fences, grants and what heartbeats carry.

use descent_spec::id::{AttemptNumber, ContentHash, Identity, PackKey, SessionId, TrialId};
use descent_spec::lease::{Artifact, Claimed, Directive, Fence, Held};
use descent_spec::outcome::TrialResult;

use super::{InvalidField, Scoped as _, digest, known, required, row};
use crate::v1;

impl TryFrom<v1::Fence> for Fence {
    type Error = InvalidField;

    fn try_from(wire: v1::Fence) -> Result<Self, InvalidField> {
        Ok(Self {
            session: digest(&wire.session, "session", SessionId)?,
            trial: row(wire.trial, "trial", TrialId)?,
            attempt: row(wire.attempt, "attempt", AttemptNumber)?,
        })
    }
}

impl From<Fence> for v1::Fence {
    fn from(domain: Fence) -> Self {
        Self {
            session: domain.session.0.to_vec(),
            trial: domain.trial.0,
            attempt: domain.attempt.0,
        }
    }
}

impl TryFrom<v1::ArtifactRef> for Artifact {
    type Error = InvalidField;

    fn try_from(wire: v1::ArtifactRef) -> Result<Self, InvalidField> {
        Ok(Self {
            hash: digest(&wire.hash, "hash", ContentHash)?,
            bytes: wire.bytes,
        })
    }
}

impl From<Artifact> for v1::ArtifactRef {
    fn from(domain: Artifact) -> Self {
        Self {
            hash: domain.hash.0.to_vec(),
            bytes: domain.bytes,
        }
    }
}

impl TryFrom<v1::Grant> for Claimed {
    type Error = InvalidField;

    fn try_from(wire: v1::Grant) -> Result<Self, InvalidField> {
        let artifact = |field: Option<v1::ArtifactRef>, path| {
            field.map(Artifact::try_from).transpose().scope(path)
        };
        if wire.params.is_empty() {
            return Err(InvalidField::missing("params"));
        }
        Ok(Self {
            trial: row(wire.trial, "trial", TrialId)?,
            attempt: row(wire.attempt, "attempt", AttemptNumber)?,
            identity: digest(&wire.identity, "identity", Identity)?,
            pack_key: digest(&wire.pack_key, "pack_key", PackKey)?,
            data: digest(&wire.data, "data", ContentHash)?,
            params: wire.params,
            checkpoint: artifact(wire.checkpoint, "checkpoint")?,
            parent_weights: artifact(wire.parent_weights, "parent_weights")?,
            time_limit_ms: wire.time_limit_ms,
            checkpoint_ms: wire.checkpoint_ms,
            checkpoint_epochs: wire.checkpoint_epochs,
            keep_weights: wire.keep_weights,
            sweep: wire.sweep,
        })
    }
}

impl From<Claimed> for v1::Grant {
    fn from(domain: Claimed) -> Self {
        Self {
            trial: domain.trial.0,
            attempt: domain.attempt.0,
            identity: domain.identity.0.to_vec(),
            pack_key: domain.pack_key.0.to_vec(),
            params: domain.params,
            data: domain.data.0.to_vec(),
            checkpoint: domain.checkpoint.map(Into::into),
            parent_weights: domain.parent_weights.map(Into::into),
            time_limit_ms: domain.time_limit_ms,
            checkpoint_ms: domain.checkpoint_ms,
            checkpoint_epochs: domain.checkpoint_epochs,
            keep_weights: domain.keep_weights,
            sweep: domain.sweep,
        }
    }
}

impl TryFrom<v1::Held> for Held {
    type Error = InvalidField;

    fn try_from(wire: v1::Held) -> Result<Self, InvalidField> {
        Ok(Self {
            trial: row(wire.trial, "trial", TrialId)?,
            attempt: row(wire.attempt, "attempt", AttemptNumber)?,
            epoch: wire.epoch,
            step: wire.step,
        })
    }
}

impl From<Held> for v1::Held {
    fn from(domain: Held) -> Self {
        Self {
            trial: domain.trial.0,
            attempt: domain.attempt.0,
            epoch: domain.epoch,
            step: domain.step,
        }
    }
}

impl TryFrom<v1::TrialDirective> for (TrialId, AttemptNumber, Directive) {
    type Error = InvalidField;

    fn try_from(wire: v1::TrialDirective) -> Result<Self, InvalidField> {
        Ok((
            row(wire.trial, "trial", TrialId)?,
            row(wire.attempt, "attempt", AttemptNumber)?,
            known::<v1::Directive, _>(wire.directive, "directive")?,
        ))
    }
}

impl From<(TrialId, AttemptNumber, Directive)> for v1::TrialDirective {
    fn from((trial, attempt, directive): (TrialId, AttemptNumber, Directive)) -> Self {
        Self {
            trial: trial.0,
            attempt: attempt.0,
            directive: v1::Directive::from(directive).into(),
        }
    }
}

impl TryFrom<v1::Completion> for (Fence, TrialResult) {
    type Error = InvalidField;

    fn try_from(wire: v1::Completion) -> Result<Self, InvalidField> {
        Ok((
            required(wire.fence, "fence")?,
            required(wire.result, "result")?,
        ))
    }
}

impl From<(Fence, &TrialResult)> for v1::Completion {
    fn from((fence, result): (Fence, &TrialResult)) -> Self {
        Self {
            fence: Some(fence.into()),
            result: Some(result.into()),
        }
    }
}
