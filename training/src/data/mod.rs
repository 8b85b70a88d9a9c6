//! Data sets: finding them, reading them, drawing samples from them.

mod cifar;
mod dataset;
mod embedded;
mod error;
mod idx;
mod inputs;
pub mod known;
mod noise;
mod prepare;
mod source;
mod store;
mod synthetic;
mod window;

pub use dataset::{Dataset, Samples};
pub use descent_spec::data::KnownData;
pub use error::DataError;
pub use noise::Noise;
pub use prepare::{Prepared, prepare};
pub use source::{files_of, read_folder};
pub use store::{DataStore, Listed, default_folder};
pub use window::Window;
