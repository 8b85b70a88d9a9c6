//! What a sweep is: axes, trials, identity, shape arithmetic. Pure: no async, no I/O, no tensors.

pub mod architecture;
pub mod asked;
pub mod closed;
pub mod data;
pub mod details;
pub mod grid;
pub mod id;
pub mod identity;
pub mod ladder;
pub mod lease;
pub mod outcome;
pub mod params;
pub mod plan;
mod processor;
pub mod reference;
pub mod robustness;
pub mod schema;
pub mod setting;
pub mod shape;
pub mod state;
pub mod sweep;
pub mod trial;
pub mod value;
pub mod values;

/// Raised when a change of the code changes results, so that old and new numbers are never mixed. Part of every identity.
pub const NUMERICS_VERSION: u32 = 2;
