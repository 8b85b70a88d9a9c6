//! Finite-sample expressivity: the ReLU network of 2n + d weights that takes any values on n samples (Zhang et al. 2017,
//! Theorem 1), built and then verified on every sample by summing all of its units.

mod double;
mod fit;
mod network;
mod pack;
mod real;
mod repeats;

pub use pack::open;
