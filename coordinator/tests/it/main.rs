//! Tests of the coordinator through its public face.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod model;
mod postgres;
mod service;
mod store;
