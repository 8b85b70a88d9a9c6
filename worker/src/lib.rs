//! Leases trials, trains them in packs on threads of their own, and reports; an outage of the coordinator costs no training.
//!
//! # Layout
//! * [`run`]: one worker process's life, from the first session to the report.
//! * [`config`], [`world`], [`shutdown`], [`report`], [`activity`]: what a caller hands in and gets back.
//! * [`link`]: the coordinator as the worker sees it, in domain types; [`link::rpc`] speaks gRPC.
//! * [`trainer`]: what trains; [`trainer::LocalTrainer`] is `descent-training`. [`stage`]: on which threads.
//! * `place` is a device: its trainer, its memory (`budget`) and who is in training there; slots are spread over places.
//! * `session` opens sessions and `heartbeat` keeps them; `slot` leases and trains; `account` and `courier` bring what came of
//!   it to the coordinator, in order and exactly once; `spool` keeps on disk what a long outage holds up.

mod account;
pub mod activity;
mod budget;
pub mod clock;
mod completer;
pub mod config;
mod context;
mod courier;
mod failure;
mod heartbeat;
mod lease;
pub mod ledger;
pub mod link;
mod place;
pub mod random;
mod registry;
pub mod report;
mod run;
mod session;
pub mod shutdown;
mod slot;
mod spool;
pub mod stage;
pub mod trainer;
pub mod world;

pub use config::Config;
pub use report::{Report, RunError};
pub use run::run;
pub use shutdown::Shutdown;
pub use world::World;
