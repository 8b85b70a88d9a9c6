//! The control plane: a durable queue of trials behind gRPC.

pub mod core;
pub mod store;

pub use store::{Store, open_store};
