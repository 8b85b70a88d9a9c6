//! System tests of the `descent` binary and of the workspace itself.

mod bad_input;
mod cluster;
mod deploy;
mod harness;
mod kill;
#[path = "../../../coordinator/tests/it/postgres.rs"]
mod postgres;
mod results;
mod tidy;
