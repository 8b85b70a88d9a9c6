//! Tests of the training crate, in one binary.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps wrongly fails, as it should"
)]

mod bits;
mod checkpoint;
mod code;
mod convolution;
#[cfg(feature = "cuda")]
mod cuda;
mod data;
mod expressivity;
mod features;
mod freedom;
mod gradient;
mod mask;
mod reference;
mod robustness;
mod rules;
mod search;
mod stream;
mod subspace;
mod ticket;
mod trial;
