//! Tests of the training crate, in one binary.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps wrongly fails, as it should"
)]

mod bits;
mod data;
mod features;
mod stream;
mod trial;
