//! What a sweep is: axes, trials, identity, shape arithmetic. Pure: no async, no I/O, no tensors.

pub mod id;
pub mod lease;
pub mod outcome;
pub mod state;
pub mod trial;

/// Raised when a change of the code changes results, so that old and new numbers are never mixed. Part of every identity.
pub const NUMERICS_VERSION: u32 = 1;
