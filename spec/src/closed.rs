//! Models in closed form other than random features: what they are, how large, what they cost.

use crate::shape::DataShape;
use crate::state::words;
use crate::trial::FeatureKind;

words!(
    /// The numbers that a closed form is computed in.
    Precision {
        /// IEEE single precision: 24 bits.
        F32 = "f32",
        /// IEEE double precision: 53 bits.
        F64 = "f64",
        /// The unevaluated sum of two doubles: 106 bits (Dekker 1971).
        DoubleDouble = "double-double",
    }
);

/// A model that is solved for, not trained by steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Closed {
    /// The network of 2n + d weights that takes any n values on n samples: Σ w_j max(⟨a, x⟩ − b_j, 0) (Zhang et al. 2017, Theorem 1).
    Interpolator {
        /// Directions a that are drawn; the one whose projections lie farthest apart is taken.
        directions: u32,
        /// What it is computed in.
        precision: Precision,
    },
    /// Linear regression on the inputs themselves, without an intercept.
    Linear {
        /// Ridge λ of ‖Xw − y‖² + λ‖w‖²; 0 is least squares, of minimum norm where it interpolates.
        ridge: f64,
    },
    /// The limit of infinitely many random features: the function of least norm in their kernel's space.
    Kernel {
        /// The features.
        kind: FeatureKind,
        /// Kernel bandwidth (Fourier only).
        bandwidth: f64,
        /// Ridge λ of ‖f − y‖² + λ‖f‖²; 0 interpolates.
        ridge: f64,
    },
}

/// The word of `model.kind` for a kernel.
const fn kernel_word(kind: FeatureKind) -> &'static str {
    match kind {
        FeatureKind::Fourier => "fourier-kernel",
        FeatureKind::Relu => "relu-kernel",
    }
}

impl Closed {
    /// The words of `model.kind`.
    pub(crate) const WORDS: &'static [&'static str] =
        &["interpolator", "linear", "fourier-kernel", "relu-kernel"];

    /// The features that a kernel is the limit of, by the word of `model.kind`.
    pub(crate) fn kernel(word: &str) -> Option<FeatureKind> {
        let kinds = [FeatureKind::Fourier, FeatureKind::Relu];
        kinds.into_iter().find(|&kind| kernel_word(kind) == word)
    }

    /// Its ridge λ; 0 where it has none.
    #[must_use]
    pub const fn ridge(&self) -> f64 {
        match self {
            Self::Interpolator { .. } => 0.0,
            Self::Linear { ridge } | Self::Kernel { ridge, .. } => *ridge,
        }
    }

    /// The word of `model.kind`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Interpolator { .. } => "interpolator",
            Self::Linear { .. } => "linear",
            Self::Kernel { kind, .. } => kernel_word(*kind),
        }
    }

    /// Count of weights with d inputs, n samples and K outputs: 2n + d, d·K, or n·K.
    #[must_use]
    pub fn parameters(&self, inputs: u32, samples: u32, outputs: u32) -> u64 {
        match self {
            Self::Interpolator { .. } => u64::from(inputs) + 2 * u64::from(samples),
            Self::Linear { .. } => u64::from(inputs) * u64::from(outputs),
            Self::Kernel { .. } => u64::from(samples) * u64::from(outputs),
        }
    }

    /// Floating-point operations, measurements included.
    pub(crate) fn cost(&self, shape: &DataShape) -> f64 {
        match *self {
            Self::Interpolator {
                directions,
                precision,
            } => {
                let (d, n) = (f64::from(shape.inputs), f64::from(shape.train_samples));
                let held_out = f64::from(shape.validation_samples) + f64::from(shape.test_samples);
                // Of a sample, about half of the n kinks lie below its projection.
                let terms = n * (n + held_out) / 2.0;
                let projections = d * (f64::from(directions) * n + held_out);
                precision.operations() * (terms * 4.0 + projections * 2.0)
            }
            Self::Linear { .. } => {
                let (d, n) = (f64::from(shape.inputs), f64::from(shape.train_samples));
                let held_out = f64::from(shape.validation_samples) + f64::from(shape.test_samples);
                let (small, large) = (d.min(n), d.max(n));
                let solve = 2.0 * large * small * small + 2.0 / 3.0 * small.powi(3);
                solve + 2.0 * d * f64::from(shape.outputs) * (n + held_out)
            }
            Self::Kernel { .. } => {
                let (d, n) = (f64::from(shape.inputs), f64::from(shape.train_samples));
                let held_out = f64::from(shape.validation_samples) + f64::from(shape.test_samples);
                2.0 * (d + f64::from(shape.outputs)) * n * (n + held_out) + n.powi(3) / 3.0
            }
        }
    }

    /// Bytes of its own buffers.
    pub(crate) fn memory(&self, shape: &DataShape) -> u64 {
        match self {
            Self::Interpolator { .. } => {
                let samples = u64::from(shape.train_samples)
                    + u64::from(shape.validation_samples)
                    + u64::from(shape.test_samples);
                // Projections, kinks, weights and outputs of 16 bytes, two of each while a better direction is looked for, and
                // the order of samples.
                samples
                    .saturating_mul(8 * 16)
                    .saturating_add(u64::from(shape.inputs) * 8)
            }
            Self::Linear { .. } => {
                // The inputs and their factorisation, in double precision.
                let (inputs, samples) = (u64::from(shape.inputs), u64::from(shape.train_samples));
                (2 * samples + inputs.min(samples))
                    .saturating_mul(inputs)
                    .saturating_mul(8)
            }
            Self::Kernel { .. } => {
                // The kernel's matrix, its factors, the samples twice, in double precision; then a block of tested samples.
                let (inputs, samples) = (u64::from(shape.inputs), u64::from(shape.train_samples));
                (3 * samples + 2 * inputs + 512)
                    .saturating_mul(samples)
                    .saturating_mul(8)
            }
        }
    }
}

impl Precision {
    /// Operations of the processor that one addition or multiplication takes.
    const fn operations(self) -> f64 {
        match self {
            Self::F32 | Self::F64 => 1.0,
            Self::DoubleDouble => 15.0,
        }
    }
}
