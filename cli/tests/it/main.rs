//! System tests of the `descent` binary and of the workspace itself.

mod deploy;
mod tidy;
