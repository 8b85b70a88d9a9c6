//! The edge: messages become domain types once, on arrival, and an error names the field by its path.
//!
//! Inwards `TryFrom<v1::X>`, outwards `From<X>`. What proto3 cannot say is checked here: presence, lengths of digests,
//! enums that are not `UNSPECIFIED`, numbers that are finite.

mod field;
mod lease;
mod outcome;
mod state;
mod sweep;

pub use field::{InvalidField, Scoped, digest, digests, known, positive, required, row};
