//! A member in its subspace: z, its optimizer, and the step from a gradient of θ to the next θ.

use std::sync::Arc;

use descent_spec::trial::Optimizer;

use super::projection::Projection;
use crate::kernel::Isa;

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

    /// One step of z down Pᵀ·g, and θ at its new place. `factor` is the schedule's, `step` counts those before this one.
    pub(crate) fn step(&mut self, isa: Isa, optimizer: Optimizer, factor: f64, step: u64) {
        self.projection
            .pull(isa, &self.gradient, &mut self.pulled, &mut self.scratch);
        descend(&mut self.coordinates, &self.pulled, optimizer, factor, step);
        self.place(isa);
    }

    fn place(&mut self, isa: Isa) {
        self.theta.copy_from_slice(&self.origin);
        let z = &self.coordinates.z;
        self.projection
            .add(isa, z, &mut self.theta, &mut self.scratch);
        for (theta, &kept) in self.theta.iter_mut().zip(self.kept.iter().flatten()) {
            if kept == 0.0 {
                *theta = 0.0;
            }
        }
    }
}

/// The rules of [`Rule`](crate::kernel::Rule), on z. Products and sums are rounded one by one: the same bits everywhere.
fn descend(at: &mut Coordinates, gradient: &[f32], optimizer: Optimizer, factor: f64, step: u64) {
    match (optimizer, at.moments.as_mut_slice()) {
        (Optimizer::Sgd { lr, momentum }, [velocity]) => {
            let (rate, momentum) = ((lr * factor) as f32, momentum as f32);
            for ((z, v), g) in at.z.iter_mut().zip(velocity).zip(gradient) {
                *v = momentum * *v + g;
                *z -= rate * *v;
            }
        }
        (
            Optimizer::Adam {
                lr,
                beta1,
                beta2,
                epsilon,
            },
            [first, second],
        ) => {
            let steps = (step + 1) as f64;
            let rate = (lr * factor / (1.0 - libm::pow(beta1, steps))) as f32;
            let root = (1.0 / libm::sqrt(1.0 - libm::pow(beta2, steps))) as f32;
            // Not 0: a coordinate that never had a gradient stays where it is.
            let epsilon = epsilon.max(f64::from(f32::MIN_POSITIVE)) as f32;
            let (rest1, rest2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
            let (beta1, beta2) = (beta1 as f32, beta2 as f32);
            let moments = first.iter_mut().zip(second);
            for ((z, (m, s)), g) in at.z.iter_mut().zip(moments).zip(gradient) {
                *m = beta1 * *m + rest1 * g;
                *s = beta2 * *s + rest2 * (g * g);
                *z -= rate * *m / (root * s.sqrt() + epsilon);
            }
        }
        _ => unreachable!("coordinates have the moments of their optimizer"),
    }
}
