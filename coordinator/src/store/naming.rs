//! What all stores decide and say alike: a sweep's name as a view's name, and which steering a state allows.

use descent_spec::id::{Identity, RequestId};
use descent_spec::state::SweepState;

use super::{IfExists, Steer, StoreError};
use crate::core::sweep::hands_out;

/// Longest identifier that PostgreSQL keeps whole.
const LONGEST_IDENTIFIER: usize = 63;

/// The name of a sweep's own view: `sweep_<name>`, everything but letters and digits as underscores.
pub(super) fn view_name(sweep: &str) -> Result<String, StoreError> {
    let word: String = sweep
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    let view = format!("sweep_{word}");
    if word.is_empty() || view.len() > LONGEST_IDENTIFIER {
        return Err(StoreError::Conflict(format!(
            "`{sweep}` cannot name a sweep: 1 to {} characters, because its view is called `sweep_<name>`",
            LONGEST_IDENTIFIER - "sweep_".len()
        )));
    }
    if view == "sweep_trial" || view == "sweep_tally" {
        return Err(StoreError::Conflict(format!(
            "`{sweep}` cannot name a sweep: the database has a table `{view}` of its own"
        )));
    }
    Ok(view)
}

/// Two sweeps cannot have one view.
pub(super) fn view_taken(sweep: &str, view: &str, other: &str) -> StoreError {
    StoreError::Conflict(format!(
        "`{sweep}` cannot name a sweep: its view `{view}` would be that of the sweep `{other}`"
    ))
}

/// Whether a submission may take the place of the sweep that has its name.
pub(super) fn may_replace(sweep: &str, edition: u64, exists: IfExists) -> Result<(), StoreError> {
    match exists {
        IfExists::Refuse => Err(StoreError::Conflict(format!(
            "there is a sweep `{sweep}` already"
        ))),
        IfExists::ReplaceEdition(seen) if seen != edition => Err(StoreError::Conflict(format!(
            "sweep `{sweep}` was edited by somebody else just now: submit it again"
        ))),
        IfExists::Replace | IfExists::ReplaceEdition(_) => Ok(()),
    }
}

/// The sweep is not there.
pub(super) fn no_sweep(name: &str) -> StoreError {
    StoreError::NotFound {
        what: "sweep",
        name: name.to_owned(),
    }
}

/// The trial is not there.
pub(super) fn no_trial(name: &str) -> StoreError {
    StoreError::NotFound {
        what: "trial",
        name: name.to_owned(),
    }
}

/// A trial of a slice starts from one that nobody made.
pub(super) fn no_parent(trial: Identity, parent: Identity) -> StoreError {
    StoreError::Conflict(format!(
        "trial {trial} starts from {parent}, which neither exists nor comes earlier in its slice"
    ))
}

/// Several trials have a name that begins like this.
pub(super) fn ambiguous(prefix: &str) -> StoreError {
    StoreError::Conflict(format!(
        "several trials' names begin with `{prefix}`: give more of it"
    ))
}

/// A call that may be repeated, so that its request id in another one is told from a repetition.
pub(super) fn call(kind: &str, what: &str) -> String {
    format!("{kind} {what}")
}

/// The request id belongs to another call.
pub(super) fn another_call(request: RequestId, call: &str) -> StoreError {
    StoreError::Conflict(format!(
        "request {request} was another call's (`{call}`): draw a new id for each call, and keep it only to repeat that call"
    ))
}

/// Says that a sweep was paused because its trials fail alike.
pub(super) fn paused(sweep: &str, reason: &str) {
    tracing::error!(
        sweep,
        reason,
        "the sweep is paused: mend the cause, then `descent resume` goes on"
    );
}

/// Where steering takes a sweep; `None`: it is there already.
pub(super) fn steered(
    name: &str,
    state: SweepState,
    expanded: bool,
    steer: Steer,
) -> Result<Option<SweepState>, StoreError> {
    let refuse = |why: &str| {
        Err(StoreError::Conflict(format!(
            "sweep `{name}` is {state}: {why}"
        )))
    };
    let on = if expanded {
        SweepState::Running
    } else {
        SweepState::Expanding
    };
    match (steer, state) {
        (Steer::Pause, SweepState::Expanding | SweepState::Running) => Ok(Some(SweepState::Paused)),
        (Steer::Resume, SweepState::Paused) => Ok(Some(on)),
        (Steer::Cancel, SweepState::Expanding | SweepState::Running | SweepState::Paused) => {
            Ok(Some(SweepState::Cancelled))
        }
        (Steer::Pause, SweepState::Paused) | (Steer::Cancel, SweepState::Cancelled) => Ok(None),
        (Steer::Resume, state) if hands_out(state) => Ok(None),
        (Steer::Pause, _) => refuse("there is nothing to pause"),
        (Steer::Resume, _) => refuse("`descent rerun --missing` takes it up again"),
        (Steer::Cancel, _) => refuse("there is nothing to cancel"),
    }
}

/// The text as the beginning of an identity: hexadecimal, at least 4 digits, so that a slip does not name a trial.
pub(super) fn identity_prefix(name: &str) -> Result<String, StoreError> {
    let prefix = name.to_ascii_lowercase();
    if prefix.len() < 4 || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(no_trial(name));
    }
    Ok(prefix)
}
