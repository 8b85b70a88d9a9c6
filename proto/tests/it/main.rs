//! The edge: what goes over the wire comes back the same, and what is missing is named.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod channel;
mod missing;
mod round_trip;
