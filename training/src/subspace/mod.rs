//! Networks in random subspaces: θ = θ₀ + P·z, where P is drawn once and only z is trained.
//!
//! θ is a network's flat parameter vector in PyTorch's order: layers in order, the weight row-major, then the bias. Every θ is
//! computed from θ₀ and z anew, never moved, so that a resumed member has the bits of one that was never interrupted; P and θ₀
//! come back from the seed.

mod coordinates;
mod dense;
mod fastfood;
mod gauss;
mod projection;
mod sparse;
#[cfg(test)]
mod tests;

pub(crate) use coordinates::{Coordinates, Subspace};
pub(crate) use projection::Projection;
