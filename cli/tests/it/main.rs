//! System tests of the `descent` binary and of the workspace itself.
