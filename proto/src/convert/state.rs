//! Enums: one table a pair, so that a variant added on one side only does not compile.

use descent_spec::lease::{Directive, Purpose, SessionDirective, Verdict};
use descent_spec::outcome::{FailureKind, StopReason};
use descent_spec::state::{SweepState, TrialState};

use super::InvalidField;
use crate::v1;

/// Both directions for an enum whose wire form has one more variant, `Unspecified`.
macro_rules! enums {
    ($($name:ident as $wire:ident { $($variant:ident),+ $(,)? })+) => {$(
        impl TryFrom<v1::$wire> for $name {
            type Error = InvalidField;

            fn try_from(wire: v1::$wire) -> Result<Self, InvalidField> {
                match wire {
                    v1::$wire::Unspecified => Err(InvalidField::missing("")),
                    $(v1::$wire::$variant => Ok(Self::$variant)),+
                }
            }
        }

        impl From<$name> for v1::$wire {
            fn from(domain: $name) -> Self {
                match domain { $($name::$variant => Self::$variant),+ }
            }
        }
    )+};
}

enums! {
    StopReason as StopReason { Epochs, ZeroError, Patience, Diverged, ClosedForm }
    FailureKind as FailureKind { OutOfMemory, TimeLimit, BadSpec, Data, Artifact, Device, Panic, Stalled }
    TrialState as TrialState {
        Blocked, Ready, Leased, Delayed, Succeeded, Failed, Poisoned, Cancelled, Skipped,
    }
    SweepState as SweepState { Expanding, Running, Paused, Finished, Cancelled }
    Verdict as Verdict { Accepted, Fenced }
    Directive as Directive { Continue, Cancel, Fenced, CheckpointNow, Release }
    SessionDirective as SessionDirective { None, Drain, Reopen }
    Purpose as ArtifactPurpose { Checkpoint, Weights }
}
