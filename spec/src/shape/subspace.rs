//! Arithmetic of random subspaces: what their projections cost and take.

use crate::trial::{ProjectionKind, SubspaceSpec};

/// Operations of P·z and Pᵀ·g together. Fastfood's blocks are as long as the power of two above d, and each is transformed
/// twice for either.
pub(super) fn projection_flops(subspace: SubspaceSpec, parameters: u64) -> f64 {
    let (dim, parameters) = (f64::from(subspace.dim), parameters as f64);
    match subspace.projection {
        ProjectionKind::Dense => 4.0 * dim * parameters,
        ProjectionKind::Sparse => 2.0 * dim * parameters.sqrt(),
        ProjectionKind::Fastfood => {
            let stages = f64::from(u64::from(subspace.dim).next_power_of_two().trailing_zeros());
            4.0 * parameters * (stages + 1.0)
        }
    }
}

/// Parameters that a network in a subspace has fewer of: projections name each by 31 bits.
pub const SUBSPACE_PARAMETERS: u64 = 1 << 31;

/// Bytes of a projection P and of what is computed through it: initial and present parameters, their gradient, and d numbers
/// with their gradient and moments.
pub(super) fn subspace_bytes(subspace: SubspaceSpec, parameters: u64) -> u64 {
    const WORD: u64 = 4;
    let dim = u64::from(subspace.dim);
    let projection = match subspace.projection {
        // Rows are padded to whole tiles of 16.
        ProjectionKind::Dense => parameters.next_multiple_of(16).saturating_mul(dim),
        // A word for each number that is not 0, and two for where each row begins; twice the first while it is drawn.
        ProjectionKind::Sparse => dim
            .saturating_mul(parameters.isqrt() + 1)
            .saturating_add(parameters)
            .saturating_mul(2),
        // A diagonal, and a permutation with signs; the last block may be almost empty.
        ProjectionKind::Fastfood => parameters
            .saturating_add(2 * dim.next_power_of_two())
            .saturating_mul(2),
    };
    projection
        .saturating_add(parameters.saturating_mul(3))
        .saturating_add(dim.saturating_mul(4))
        .saturating_mul(WORD)
}
