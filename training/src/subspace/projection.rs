//! P itself: a matrix of D rows and d columns of unit length, known only by its two products.

use descent_spec::trial::{ProjectionKind, SubspaceSpec};

use super::dense::Dense;
use super::fastfood::Fastfood;
use super::sparse::Sparse;
use crate::kernel::Isa;

/// A projection of any kind.
#[derive(Debug)]
pub(crate) enum Projection {
    Dense(Dense),
    Sparse(Sparse),
    Fastfood(Fastfood),
}

impl Projection {
    /// Draws P for a network of D `parameters` from a trial's seed. Columns, or Fastfood's blocks, have a stream each:
    /// `projection/<column or block>`.
    pub(crate) fn draw(spec: SubspaceSpec, parameters: usize, seed: u64) -> Self {
        let dim = spec.dim as usize;
        match spec.projection {
            ProjectionKind::Dense => Self::Dense(Dense::draw(dim, parameters, seed)),
            ProjectionKind::Sparse => Self::Sparse(Sparse::draw(dim, parameters, seed)),
            ProjectionKind::Fastfood => Self::Fastfood(Fastfood::draw(dim, parameters, seed)),
        }
    }

    /// Numbers that [`add`](Self::add) and [`pull`](Self::pull) need for themselves.
    pub(crate) fn scratch(&self) -> usize {
        match self {
            Self::Dense(dense) => dense.scratch(),
            Self::Sparse(sparse) => sparse.scratch(),
            Self::Fastfood(fastfood) => fastfood.scratch(),
        }
    }

    /// θ ← θ + P·z. `theta` has D numbers, `z` d, `scratch` at least [`scratch`](Self::scratch), of any value.
    pub(crate) fn add(&self, isa: Isa, z: &[f32], theta: &mut [f32], scratch: &mut [f32]) {
        match self {
            Self::Dense(dense) => dense.add(isa, z, theta),
            Self::Sparse(sparse) => sparse.add(z, theta, scratch),
            Self::Fastfood(fastfood) => fastfood.add(isa, z, theta, scratch),
        }
    }

    /// gz ← Pᵀ·g. `gradient` has D numbers, `pulled` d.
    pub(crate) fn pull(&self, isa: Isa, gradient: &[f32], pulled: &mut [f32], scratch: &mut [f32]) {
        match self {
            Self::Dense(dense) => dense.pull(isa, gradient, pulled, scratch),
            Self::Sparse(sparse) => sparse.pull(gradient, pulled, scratch),
            Self::Fastfood(fastfood) => fastfood.pull(isa, gradient, pulled, scratch),
        }
    }
}
