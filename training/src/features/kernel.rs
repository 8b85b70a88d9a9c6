//! The limit of infinitely many random features: the kernel ⟨φ(x), φ(x′)⟩ that they tend to, and its interpolant of least norm.

use descent_spec::trial::FeatureKind;
use faer::linalg::matmul::matmul;
use faer::linalg::solvers::Solve as _;
use faer::{Accum, Mat, MatRef, Par, Side};

/// A kernel over the training samples.
pub(super) struct Kernel {
    kind: FeatureKind,
    bandwidth: f64,
    /// The training samples, `[inputs, samples]`.
    samples: Mat<f64>,
    /// ‖x‖² of each.
    squares: Vec<f64>,
}

impl Kernel {
    /// Of the features of one kind over samples (row-major `[samples, inputs]`).
    pub(super) fn new(kind: FeatureKind, bandwidth: f64, rows: &[f32], inputs: usize) -> Self {
        let samples = Mat::from_fn(inputs, rows.len() / inputs, |input, sample| {
            f64::from(rows[sample * inputs + input])
        });
        let squares = samples
            .col_iter()
            .map(|sample| sample.iter().map(|value| value * value).sum())
            .collect();
        Self {
            kind,
            bandwidth,
            samples,
            squares,
        }
    }

    /// k(x, xᵢ) for the samples x in `rows` and every training sample xᵢ: `[rows, samples]`.
    ///
    /// Fourier features: exp(−‖x − x′‖² / 2b²) (Rahimi & Recht 2007). ReLU features, v uniform on the sphere:
    /// ‖x‖‖x′‖ (sin θ + (π − θ) cos θ) / 2πd, θ the angle between them (Cho & Saul 2009, order 1, over d: there v is normal).
    pub(super) fn values(&self, rows: &[f32]) -> Mat<f64> {
        let inputs = self.samples.nrows();
        let count = rows.len() / inputs;
        let x = Mat::from_fn(count, inputs, |row, input| {
            f64::from(rows[row * inputs + input])
        });
        let mut values = Mat::zeros(count, self.samples.ncols());
        matmul(
            &mut values,
            Accum::Replace,
            &x,
            &self.samples,
            1.0,
            Par::Seq,
        );
        for row in 0..count {
            let square: f64 = x.row(row).iter().map(|value| value * value).sum();
            for (sample, &other) in self.squares.iter().enumerate() {
                let product = values[(row, sample)];
                values[(row, sample)] = match self.kind {
                    FeatureKind::Fourier => {
                        let distance = (square + other - 2.0 * product).max(0.0);
                        libm::exp(-distance / (2.0 * self.bandwidth * self.bandwidth))
                    }
                    FeatureKind::Relu => arc_cosine(square * other, product) / inputs as f64,
                };
            }
        }
        values
    }
}

/// ‖x‖‖x′‖ (sin θ + (π − θ) cos θ) / 2π from ‖x‖²‖x′‖² and ⟨x, x′⟩.
fn arc_cosine(squares: f64, product: f64) -> f64 {
    let lengths = squares.sqrt();
    if lengths == 0.0 {
        return 0.0;
    }
    let cosine = (product / lengths).clamp(-1.0, 1.0);
    let angle = libm::acos(cosine);
    let sine = (1.0 - cosine * cosine).sqrt();
    lengths * (sine + (std::f64::consts::PI - angle) * cosine) / (2.0 * std::f64::consts::PI)
}

/// The α of f(x) = Σ αᵢ k(x, xᵢ) that fits `y` (`[samples, outputs]`) with the least norm in the kernel's space, or that minimises
/// ‖f − y‖² + ridge·‖f‖²: (K + ridge·I) α = y, `k` the symmetric K of the training samples. `None` where numbers are not finite.
pub(super) fn solve(k: MatRef<'_, f64>, y: MatRef<'_, f64>, ridge: f64) -> Option<Mat<f64>> {
    let mut shifted = k.to_owned();
    for sample in 0..shifted.nrows() {
        shifted[(sample, sample)] += ridge;
    }
    let alpha = match shifted.llt(Side::Lower) {
        Ok(factors) => factors.solve(y),
        // Samples that coincide make K singular: what its eigenvalues do not reach is left at zero.
        Err(_) => {
            let eigen = shifted.self_adjoint_eigen(Side::Lower).ok()?;
            let values = eigen.S().column_vector();
            let largest = values.iter().copied().fold(0.0, f64::max);
            let cutoff = largest * f64::EPSILON * shifted.nrows() as f64;
            let mut coordinates = eigen.U().transpose() * y;
            for (row, &value) in values.iter().enumerate() {
                let factor = if value > cutoff { 1.0 / value } else { 0.0 };
                coordinates
                    .row_mut(row)
                    .iter_mut()
                    .for_each(|coordinate| *coordinate *= factor);
            }
            eigen.U() * coordinates
        }
    };
    alpha.is_all_finite().then_some(alpha)
}

/// The norm of f in the kernel's space, over all outputs: √Σ αᵀKα. What the norm of coefficients tends to.
pub(super) fn norm(k: MatRef<'_, f64>, alpha: &Mat<f64>) -> f64 {
    let fitted = k * alpha;
    let mut sum = 0.0;
    for (a, f) in alpha.col_iter().zip(fitted.col_iter()) {
        sum += a.iter().zip(f.iter()).map(|(a, f)| a * f).sum::<f64>();
    }
    sum.max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::map::{RandomMap, scale};
    use super::super::solve::least_squares;
    use super::*;
    use crate::stream::Stream;

    const INPUTS: usize = 6;

    fn rows(samples: usize) -> Vec<f32> {
        let mut stream = Stream::new("kernel", 3, 0);
        (0..samples * INPUTS)
            .map(|_| stream.normal() as f32)
            .collect()
    }

    #[test]
    fn many_random_features_have_nearly_this_kernel() {
        const WIDTH: usize = 60_000;
        let rows = rows(5);
        for kind in [FeatureKind::Fourier, FeatureKind::Relu] {
            let kernel = Kernel::new(kind, 2.0, &rows, INPUTS);
            let map = RandomMap::new(kind, 2.0, 1, INPUTS, WIDTH);
            let features = map.features(&rows, WIDTH) * faer::Scale(scale(kind, WIDTH));
            let near = &features * features.transpose();
            let exact = kernel.values(&rows);
            let distance = (&near - &exact).norm_max() / exact.norm_max();
            assert!(distance < 0.02, "{kind:?}: {distance}");
        }
    }

    #[test]
    fn the_interpolant_fits_and_has_the_norm_that_features_tend_to() {
        const WIDTH: usize = 4_000;
        let rows = rows(20);
        let y = Mat::from_fn(20, 2, |row, output| f64::from(u8::from(row % 2 == output)));
        let kernel = Kernel::new(FeatureKind::Fourier, 2.0, &rows, INPUTS);
        let k = kernel.values(&rows);
        let alpha = solve(k.as_ref(), y.as_ref(), 0.0).expect("finite");
        assert!((&k * &alpha - &y).norm_max() < 1e-9);
        let map = RandomMap::new(FeatureKind::Fourier, 2.0, 1, INPUTS, WIDTH);
        let scaled = map.features(&rows, WIDTH) * faer::Scale(scale(FeatureKind::Fourier, WIDTH));
        let a = least_squares(scaled.as_ref(), y.as_ref(), 0.0).expect("finite");
        let (of_kernel, of_features) = (norm(k.as_ref(), &alpha), a.norm_l2());
        assert!(
            (of_kernel / of_features - 1.0).abs() < 0.05,
            "{of_kernel} {of_features}"
        );
        let ridged = solve(k.as_ref(), y.as_ref(), 0.1).expect("finite");
        assert!(norm(k.as_ref(), &ridged) < of_kernel, "a ridge shortens it");
    }

    #[test]
    fn samples_that_coincide_are_fitted_once() {
        let mut rows = rows(6);
        rows.copy_within(0..INPUTS, INPUTS);
        let kernel = Kernel::new(FeatureKind::Relu, 1.0, &rows, INPUTS);
        let k = kernel.values(&rows);
        let y = Mat::from_fn(6, 1, |row, _| if row < 2 { 1.0 } else { 0.0 });
        let alpha = solve(k.as_ref(), y.as_ref(), 0.0).expect("finite");
        assert!((&k * &alpha - &y).norm_max() < 1e-6);
    }
}
