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
mod open;
mod optimizer;
pub mod pack;
mod robustness;
mod samples;
pub mod stream;
mod subspace;
mod weights;
pub mod yardstick;

pub use open::{open, open_reference, open_with};
