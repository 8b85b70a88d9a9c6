//! The control plane: a durable queue of trials behind gRPC.

pub mod store;
