//! From a lease to a member: its settings read, its checkpoint and its parent's weights fetched.

use std::sync::Arc;

use descent_spec::id::ContentHash;
use descent_spec::lease::Artifact;
use descent_spec::params::Params;
use descent_spec::trial::TrialSpec;

use crate::context::{Context, Unanswered};
use crate::failure::Cause;
use crate::lease::Lease;
use crate::link::LinkError;
use crate::place::Place;

/// A trial that can start.
pub(super) struct Ready {
    pub(super) lease: Lease,
    pub(super) spec: TrialSpec,
    pub(super) checkpoint: Option<Vec<u8>>,
    pub(super) parent_weights: Option<Vec<u8>>,
    /// What its own buffers take.
    pub(super) memory_bytes: u64,
    /// What the samples take that it shares with others.
    pub(super) data_bytes: u64,
}

/// Why fetching led nowhere.
enum Stopped {
    /// The file cannot be had; why.
    Unreadable(String),
    /// Nobody answers any more, or nobody should be asked.
    Silenced,
}

/// Reads the settings; a trial whose settings make no sense here fails.
pub(super) fn resolve(lease: Lease) -> Option<(Lease, TrialSpec)> {
    let params = Params::from_json(&lease.claimed().params);
    match params.and_then(|params| params.resolve()) {
        Ok(spec) => Some((lease, spec)),
        Err(error) => {
            lease.fail(Cause::Settings(error.to_string()));
            None
        }
    }
}

/// Fetches what the trial starts from. `None`: it ended here.
pub(super) async fn fetch_all(
    context: &Context,
    place: &Place,
    lease: Lease,
    spec: TrialSpec,
) -> Option<Ready> {
    let dropped = lease.account().dropped.clone();
    let fetching = async {
        let checkpoint = checkpoint(context, place, &lease, &spec).await?;
        // A checkpoint holds everything, but for what a stage takes from its parent once more; else the parent's weights matter
        // only at the very start.
        let starts = checkpoint.is_none() || spec.returns_to_parent();
        let parent_weights = match lease.claimed().parent_weights {
            Some(weights) if starts => Some(fetch(context, weights).await?),
            _ => None,
        };
        Ok((
            checkpoint,
            parent_weights,
            bytes(context, place, &lease, &spec).await?,
        ))
    };
    let fetched = tokio::select! {
        biased;
        () = dropped.cancelled() => return None,
        () = context.shutdown.draining() => return None,
        fetched = fetching => fetched,
    };
    match fetched {
        Ok((checkpoint, parent_weights, (memory_bytes, data_bytes))) => Some(Ready {
            lease,
            spec,
            checkpoint,
            parent_weights,
            memory_bytes,
            data_bytes,
        }),
        Err(Stopped::Unreadable(reason)) => {
            lease.fail(Cause::ParentWeights(reason));
            None
        }
        Err(Stopped::Silenced) => None,
    }
}

/// Asks the trainer, off the runtime's threads: it may have to read the data set for it.
async fn bytes(
    context: &Context,
    place: &Place,
    lease: &Lease,
    spec: &TrialSpec,
) -> Result<(u64, u64), Stopped> {
    let trainer = Arc::clone(&place.trainer);
    let (spec, data) = (spec.clone(), lease.claimed().data);
    let bytes = move || {
        (
            trainer.memory_bytes(&spec, data),
            trainer.data_bytes(&spec, data),
        )
    };
    context.compute(bytes).await.ok_or(Stopped::Silenced)
}

/// The checkpoint to go on from. One that cannot be read, or that comes from another instruction set, costs time and
/// nothing else: the trial starts over and ends with the bits that it would have had anyway.
async fn checkpoint(
    context: &Context,
    place: &Place,
    lease: &Lease,
    spec: &TrialSpec,
) -> Result<Option<Vec<u8>>, Stopped> {
    let account = lease.account();
    let Some(artifact) = account.newest_checkpoint() else {
        return Ok(None);
    };
    let found = match fetch(context, artifact).await {
        Ok(content) => usable(place, spec, content),
        Err(Stopped::Unreadable(reason)) => Err(reason),
        Err(Stopped::Silenced) => return Err(Stopped::Silenced),
    };
    match found {
        Ok(content) => Ok(Some(content)),
        Err(reason) => {
            account.forget_checkpoint();
            account.span.in_scope(
                || tracing::warn!(reason, checkpoint = %artifact.hash, "the trial starts over"),
            );
            Ok(None)
        }
    }
}

fn usable(place: &Place, spec: &TrialSpec, content: Vec<u8>) -> Result<Vec<u8>, String> {
    let trainer = &place.trainer;
    let ours = trainer.instruction_set_for(spec);
    let theirs = trainer
        .checkpoint_instruction_set(&content)
        .map_err(|error| error.to_string())?;
    if theirs == ours {
        return Ok(content);
    }
    Err(format!(
        "the checkpoint was made with {theirs}, here the trial is computed with {ours}: mixing them would give other bits"
    ))
}

/// Reads a file; a copy that was damaged on its way is asked for once more.
async fn fetch(context: &Context, artifact: Artifact) -> Result<Vec<u8>, Stopped> {
    let _transfer = context
        .transfers
        .acquire()
        .await
        .map_err(|_| Stopped::Silenced)?;
    let read = || context.world.link.read_artifact(artifact.hash);
    let mut reason = String::new();
    for _ in 0..2 {
        match context.until_answered("read artifact", read).await {
            Ok(content) if ContentHash::of(&content) == artifact.hash => return Ok(content),
            Ok(_) => reason = format!("{} arrived with other content", artifact.hash),
            Err(Unanswered::No(LinkError::Artifact(why) | LinkError::Invalid(why))) => reason = why,
            Err(Unanswered::No(_) | Unanswered::Silenced | Unanswered::Lost(_)) => {
                return Err(Stopped::Silenced);
            }
        }
    }
    Err(Stopped::Unreadable(reason))
}
