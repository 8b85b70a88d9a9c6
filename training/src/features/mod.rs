//! Least squares on random features: the closed form in which double descent is a theorem (Belkin et al. 2019).
//!
//! Everything is in 64-bit floats. Trials that draw the same features share the costly part, the features of the test
//! samples, without any trial's bits depending on who else is in the pack.

mod kernel;
mod limit;
mod map;
mod pack;
mod score;
mod solve;

pub(crate) use limit::open as open_limits;
pub(crate) use map::{RandomMap, scale};
pub use pack::open;
pub(crate) use pack::to_safetensors;
pub(crate) use score::Score;
pub use solve::least_squares;
