//! A member in its subspace: z, its optimizer, and the step from a gradient of θ to the next θ.

use std::sync::Arc;

use super::projection::Projection;
use crate::kernel::Isa;
use crate::optimizer::{Coefficients, Descend, Moments, keep};

/// What changes in a subspace: all that a checkpoint holds besides the step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Coordinates {
    /// d numbers, 0 at the start.
    pub(crate) z: Vec<f32>,
    /// Optimizer state in the same shape: velocity, or Adam's two moments.
    pub(crate) moments: Vec<Vec<f32>>,
}

impl Coordinates {
    /// At θ₀.
    pub(crate) fn origin(dim: usize, moments: usize) -> Self {
        Self {
            z: vec![0.0; dim],
            moments: vec![vec![0.0; dim]; moments],
        }
    }
}

/// A member's subspace with the buffers of its step, allocated once.
#[derive(Debug)]
pub(crate) struct Subspace {
    projection: Arc<Projection>,
    coordinates: Coordinates,
    origin: Vec<f32>,
    /// 1 for every parameter that is kept and 0 for the others; `None`: all.
    kept: Option<Vec<f32>>,
    theta: Vec<f32>,
    gradient: Vec<f32>,
    pulled: Vec<f32>,
    scratch: Vec<f32>,
}

impl Subspace {
    /// Around `origin`, θ₀ in PyTorch's order, at `coordinates`. Parameters that a mask does not keep are 0 wherever z is; their
    /// gradients must be 0 as well.
    pub(crate) fn new(
        projection: Arc<Projection>,
        origin: Vec<f32>,
        kept: Option<Vec<f32>>,
        coordinates: Coordinates,
        isa: Isa,
    ) -> Self {
        let zeros = |numbers: usize| vec![0.0; numbers];
        let mut subspace = Self {
            theta: zeros(origin.len()),
            gradient: zeros(origin.len()),
            pulled: zeros(coordinates.z.len()),
            scratch: zeros(projection.scratch()),
            projection,
            coordinates,
            origin,
            kept,
        };
        subspace.place(isa);
        subspace
    }

    /// θ = θ₀ + P·z, in PyTorch's order.
    pub(crate) fn theta(&self) -> &[f32] {
        &self.theta
    }

    /// θ, and where [`step`](Self::step) finds the loss's gradient there, both in PyTorch's order.
    pub(crate) fn sides(&mut self) -> (&[f32], &mut [f32]) {
        (&self.theta, &mut self.gradient)
    }

    /// z and its optimizer's state.
    pub(crate) fn coordinates(&self) -> &Coordinates {
        &self.coordinates
    }

    /// One step of z down Pᵀ·g, and θ at its new place. z itself does not decay.
    pub(crate) fn step(&mut self, isa: Isa, by: &Coefficients) {
        self.projection
            .pull(isa, &self.gradient, &mut self.pulled, &mut self.scratch);
        let Coordinates { z, moments } = &mut self.coordinates;
        let all = 0..z.len();
        isa.run(Descend {
            by,
            decay: None,
            weights: z,
            gradient: &self.pulled,
            moments: Moments::of(moments, all),
        });
        self.place(isa);
    }

    fn place(&mut self, isa: Isa) {
        self.theta.copy_from_slice(&self.origin);
        let z = &self.coordinates.z;
        self.projection
            .add(isa, z, &mut self.theta, &mut self.scratch);
        if let Some(kept) = &self.kept {
            keep(kept, &mut self.theta);
        }
    }
}
