//! A yardstick for the speed of a processor: the product of two square matrices in single precision, on one thread.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};

/// Two matrices and room for their product.
#[derive(Debug)]
pub struct Yardstick {
    left: Mat<f32>,
    right: Mat<f32>,
    product: Mat<f32>,
}

impl Yardstick {
    /// Rows and columns: large enough to be bound by arithmetic, small enough to stay in the cache.
    pub const SIZE: usize = 512;

    /// Makes the matrices.
    #[must_use]
    pub fn new() -> Self {
        let value = |row: usize, column: usize| ((row * 7 + column * 13) % 17) as f32 / 17.0 - 0.5;
        Self {
            left: Mat::from_fn(Self::SIZE, Self::SIZE, value),
            right: Mat::from_fn(Self::SIZE, Self::SIZE, |row, column| value(column, row)),
            product: Mat::zeros(Self::SIZE, Self::SIZE),
        }
    }

    /// Multiplies once, with the widest instructions that the processor has.
    pub fn multiply(&mut self) {
        let (left, right) = (self.left.as_ref(), self.right.as_ref());
        matmul(
            self.product.as_mut(),
            Accum::Replace,
            left,
            right,
            1.0,
            Par::Seq,
        );
    }

    /// One number of the product, so that nobody can leave the product out.
    #[must_use]
    pub fn corner(&self) -> f32 {
        self.product[(0, 0)]
    }

    /// Floating-point operations of one product: a multiplication and an addition count as two.
    #[must_use]
    pub fn flops() -> f64 {
        2.0 * (Self::SIZE as f64).powi(3)
    }
}

impl Default for Yardstick {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_multiplies() {
        let mut yardstick = Yardstick::new();
        yardstick.multiply();
        let exact: f64 = (0..Yardstick::SIZE)
            .map(|k| f64::from(yardstick.left[(0, k)]) * f64::from(yardstick.right[(k, 0)]))
            .sum();
        assert!((f64::from(yardstick.corner()) - exact).abs() < 1e-3 * exact.abs().max(1.0));
    }
}
