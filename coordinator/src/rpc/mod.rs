//! The services on the wire: requests are checked and converted here, decided in [`crate::core`] and carried out by the store.

pub(crate) mod auth;
mod beat;
mod explain;
mod lease;
mod query;
mod setback;
pub(crate) mod status;
mod submit;
mod sweeps;
mod upload;
mod watch;
mod work;
mod workers;

pub(crate) use submit::Replies;
pub(crate) use sweeps::SweepsService;
pub use sweeps::wire as sweep_message;
pub(crate) use work::WorkService;
