//! Least squares, minimum-norm interpolation and ridge regression, without squaring the condition number.
//!
//! At N = n the feature matrix is nearly singular: that is the peak of the curve. So nothing here forms ΦᵀΦ. A QR
//! factorisation solves what is safely of full rank; the rest goes to the singular values, of which those below
//! `ε · max(n, N) · σ₁` count as zero, as in numpy's `lstsq`. Which of the two it is changes no digit that has a meaning.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch as apply_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj as apply,
};
use faer::linalg::solvers::{Qr, SolveLstsqCore};
use faer::linalg::triangular_inverse::invert_upper_triangular;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Conj, Mat, MatRef, Par};

/// The `a` that minimises ‖Φa − y‖² + ridge·‖a‖², and of several the one of minimum norm: `[features, outputs]`.
///
/// `phi` is `[samples, features]`, `y` is `[samples, outputs]`. `None` where numbers are not finite.
#[must_use]
pub fn least_squares(phi: MatRef<'_, f64>, y: MatRef<'_, f64>, ridge: f64) -> Option<Mat<f64>> {
    let (samples, features) = (phi.nrows(), phi.ncols());
    let cutoff = f64::EPSILON * samples.max(features) as f64;
    let solution = if features <= samples {
        tall(phi, y, ridge, cutoff)?
    } else {
        // Φᵀ = QR, and a = Qb: what of `a` is outside the rows of Φ would only add to its norm.
        let qr = phi.transpose().qr();
        let r = qr.thin_R();
        let b = if ridge == 0.0 && condition(r) * cutoff < 1.0 {
            let mut b = y.to_owned();
            solve_lower_triangular_in_place(r.transpose(), b.as_mut(), Par::Seq);
            b
        } else {
            tall(r.transpose(), y, ridge, cutoff)?
        };
        let mut a = Mat::zeros(features, y.ncols());
        a.subrows_mut(0, samples).copy_from(&b);
        multiply_by_q(&qr, &mut a);
        a
    };
    solution.is_all_finite().then_some(solution)
}

/// The same for at least as many rows as columns.
fn tall(phi: MatRef<'_, f64>, y: MatRef<'_, f64>, ridge: f64, cutoff: f64) -> Option<Mat<f64>> {
    let (rows, columns) = (phi.nrows(), phi.ncols());
    if ridge > 0.0 {
        // ‖Φa − y‖² + λ‖a‖² = ‖[Φ; √λ·I]a − [y; 0]‖², of full rank whatever Φ is.
        let mut stacked = Mat::zeros(rows + columns, columns);
        stacked.subrows_mut(0, rows).copy_from(phi);
        for column in 0..columns {
            stacked[(rows + column, column)] = ridge.sqrt();
        }
        let mut target = Mat::zeros(rows + columns, y.ncols());
        target.subrows_mut(0, rows).copy_from(y);
        return Some(solve_full_rank(&stacked.qr(), target));
    }
    let qr = phi.qr();
    if condition(qr.thin_R()) * cutoff < 1.0 {
        Some(solve_full_rank(&qr, y.to_owned()))
    } else {
        by_singular_values(phi, y, cutoff)
    }
}

/// Solves with a factorisation of full rank.
fn solve_full_rank(qr: &Qr<f64>, mut target: Mat<f64>) -> Mat<f64> {
    let columns = qr.thin_R().ncols();
    qr.solve_lstsq_in_place_with_conj(Conj::No, target.as_mut());
    target.subrows(0, columns).to_owned()
}

/// ‖R‖·‖R⁻¹‖ in the Frobenius norm: no smaller than the ratio of the largest to the smallest singular value, so that where it
/// is below 1/cutoff, none of them would have been cut.
fn condition(r: MatRef<'_, f64>) -> f64 {
    let size = r.ncols();
    if (0..size).any(|i| r[(i, i)] == 0.0) {
        return f64::INFINITY;
    }
    let mut inverse = Mat::zeros(size, size);
    invert_upper_triangular(inverse.as_mut(), r, Par::Seq);
    let condition = inverse.norm_l2() * r.norm_l2();
    if condition.is_nan() {
        f64::INFINITY
    } else {
        condition
    }
}

/// Solves through the singular values; `None` where they do not converge, which takes numbers that are not finite.
fn by_singular_values(phi: MatRef<'_, f64>, y: MatRef<'_, f64>, cutoff: f64) -> Option<Mat<f64>> {
    let svd = phi.thin_svd().ok()?;
    let singular = svd.S().column_vector();
    let smallest = cutoff * singular[0];
    let mut coordinates = svd.U().transpose() * y;
    for (row, &value) in singular.iter().enumerate() {
        let factor = if value > smallest { 1.0 / value } else { 0.0 };
        coordinates
            .row_mut(row)
            .iter_mut()
            .for_each(|coordinate| *coordinate *= factor);
    }
    Some(svd.V() * coordinates)
}

/// a ← Qa.
fn multiply_by_q(qr: &Qr<f64>, a: &mut Mat<f64>) {
    let scratch = apply_scratch::<f64>(qr.Q_basis().nrows(), qr.Q_coeff().nrows(), a.ncols());
    let mut buffer = MemBuffer::new(scratch);
    apply(
        qr.Q_basis(),
        qr.Q_coeff(),
        Conj::No,
        a.as_mut(),
        Par::Seq,
        MemStack::new(&mut buffer),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;

    fn random(name: &str, rows: usize, columns: usize) -> Mat<f64> {
        let mut stream = Stream::new(name, 0, 0);
        Mat::from_fn(rows, columns, |_, _| stream.normal())
    }

    /// Largest difference relative to the largest entry.
    fn distance(left: &Mat<f64>, right: &Mat<f64>) -> f64 {
        (left - right).norm_max() / right.norm_max()
    }

    #[test]
    fn qr_and_singular_values_agree_on_every_shape() {
        for (rows, columns) in [
            (1, 1),
            (40, 1),
            (1, 40),
            (40, 10),
            (40, 39),
            (40, 40),
            (40, 41),
            (40, 130),
        ] {
            let (phi, y) = (random("phi", rows, columns), random("y", rows, 3));
            let cutoff = f64::EPSILON * rows.max(columns) as f64;
            let fast = least_squares(phi.as_ref(), y.as_ref(), 0.0).unwrap();
            let slow = by_singular_values(phi.as_ref(), y.as_ref(), cutoff).unwrap();
            let condition = condition(phi.as_ref().qr().thin_R().subcols(0, rows.min(columns)));
            assert!(
                distance(&fast, &slow) < 1e-14 * condition.max(10.0),
                "{rows} × {columns}"
            );
        }
    }

    #[test]
    fn the_gradient_vanishes_at_the_solution() {
        for ridge in [0.0, 1e-3, 10.0] {
            for (rows, columns) in [(30, 7), (30, 30), (7, 30)] {
                let (phi, y) = (random("phi", rows, columns), random("y", rows, 2));
                let a = least_squares(phi.as_ref(), y.as_ref(), ridge).unwrap();
                let gradient = phi.transpose() * (&phi * &a - &y) + faer::Scale(ridge) * &a;
                assert!(
                    gradient.norm_max() < 1e-10,
                    "{rows} × {columns}, ridge {ridge}: {}",
                    gradient.norm_max()
                );
            }
        }
    }

    #[test]
    fn a_matrix_of_low_rank_gives_the_solution_of_minimum_norm() {
        for (rows, columns) in [(30, 12), (12, 30), (20, 20)] {
            let phi = random("left", rows, 5) * random("right", 5, columns);
            let wanted = phi.transpose() * random("in the row space", rows, 2);
            let found = least_squares(phi.as_ref(), (&phi * &wanted).as_ref(), 0.0).unwrap();
            assert!(
                distance(&found, &wanted) < 1e-10,
                "{rows} × {columns}: {}",
                distance(&found, &wanted)
            );
        }
    }

    #[test]
    fn a_column_of_zeros_gets_a_coefficient_of_zero() {
        let mut phi = random("phi", 20, 6);
        phi.col_mut(3).fill(0.0);
        let a = least_squares(phi.as_ref(), random("y", 20, 2).as_ref(), 0.0).unwrap();
        assert!(a.row(3).norm_max() < 1e-12 && a.norm_max() > 0.01);
    }

    #[test]
    fn numbers_that_are_not_finite_have_no_solution() {
        let mut phi = random("phi", 8, 8);
        phi[(2, 2)] = f64::NAN;
        assert!(least_squares(phi.as_ref(), random("y", 8, 1).as_ref(), 0.0).is_none());
    }
}
