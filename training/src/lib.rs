//! The science: networks, optimizers, data, exact resume. Synchronous; knows no network and no clock.

mod augment;
mod autograd;
mod best;
pub mod checkpoint;
mod code;
mod conv;
mod course;
#[cfg(any(test, feature = "cuda"))]
mod cuda;
pub mod data;
pub mod device;
mod dropout;
mod ending;
pub mod expressivity;
pub mod features;
mod freedom;
mod kernel;
mod mlp;
mod notes;
mod open;
mod optimizer;
pub mod pack;
mod robustness;
mod samples;
mod search;
pub mod stream;
mod subspace;
mod ticket;
mod weights;
pub mod yardstick;

pub use open::{open, open_reference, open_with};
