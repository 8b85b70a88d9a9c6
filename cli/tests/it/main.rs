//! System tests of the `descent` binary and of the workspace itself.

mod bad_input;
mod bench;
mod cluster;
mod deploy;
mod experiments;
mod harness;
mod kill;
mod operations;
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#[path = "../../../coordinator/tests/it/postgres.rs"]
mod postgres;
mod results;
mod several;
mod tidy;
mod upkeep;
