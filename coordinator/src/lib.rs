//! The control plane: a durable queue of trials behind gRPC.

pub mod artifacts;
pub mod backup;
pub mod clock;
pub mod config;
pub mod core;
mod expand;
mod fail_point;
mod maintain;
pub mod outside;
mod points;
pub mod reader;
mod rpc;
mod serve;
mod service;
pub mod store;
pub mod verify;

pub use config::Config;
pub use outside::Outside;
pub use rpc::auth::{Refusal, may_listen};
pub use rpc::sweep_message;
pub use serve::{ServeError, serve, serve_in, serve_on};
pub use store::{Store, open_store};
