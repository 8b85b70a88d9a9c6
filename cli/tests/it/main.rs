//! System tests of the `descent` binary and of the workspace itself.

mod bad_input;
mod cluster;
mod deploy;
mod harness;
mod kill;
mod tidy;
