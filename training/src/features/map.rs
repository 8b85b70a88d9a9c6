//! The random map from inputs to features.

use descent_spec::trial::FeatureKind;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use crate::stream::Stream;

/// Directions are projected on in blocks of this many, the last block being filled up. So each product has the same shape, and
/// each feature the same bits, however many features are asked for.
const BLOCK: usize = 64;

/// Directions v₀, v₁, … and what is made of ⟨v, x⟩. Direction k is drawn from its own stream: the features of a narrow trial
/// are the first ones of a wide trial with the same seed.
pub(crate) struct RandomMap {
    kind: FeatureKind,
    /// `[inputs, directions]`, a multiple of [`BLOCK`] columns.
    directions: Mat<f64>,
}

impl RandomMap {
    /// Draws what `width` features take.
    pub(crate) fn new(
        kind: FeatureKind,
        bandwidth: f64,
        seed: u64,
        inputs: usize,
        width: usize,
    ) -> Self {
        let needed = match kind {
            FeatureKind::Fourier => width.div_ceil(2),
            FeatureKind::Relu => width,
        };
        let mut directions = Mat::zeros(inputs, needed.next_multiple_of(BLOCK));
        for (index, direction) in directions.col_iter_mut().enumerate() {
            let mut stream = Stream::new("features", seed, index as u64);
            let mut drawn: Vec<f64> = (0..inputs).map(|_| stream.normal()).collect();
            let length = match kind {
                FeatureKind::Fourier => bandwidth,
                // Normal in every coordinate, divided by its length: uniform on the sphere.
                FeatureKind::Relu => drawn.iter().map(|value| value * value).sum::<f64>().sqrt(),
            };
            drawn.iter_mut().for_each(|value| *value /= length);
            direction
                .iter_mut()
                .zip(&drawn)
                .for_each(|(to, from)| *to = *from);
        }
        Self { kind, directions }
    }

    /// The first `width` features of the samples in `rows` (row-major `[samples, inputs]`), **not yet scaled**: `[samples,
    /// width]`. Fourier: cosine and sine of each direction in turn; an odd width ends with a cosine.
    pub(crate) fn features(&self, rows: &[f32], width: usize) -> Mat<f64> {
        let inputs = self.directions.nrows();
        let samples = rows.len() / inputs;
        let x = Mat::from_fn(samples, inputs, |row, column| {
            f64::from(rows[row * inputs + column])
        });
        let mut features = Mat::zeros(samples, width.next_multiple_of(2));
        let mut products = Mat::zeros(samples, BLOCK);
        let needed = match self.kind {
            FeatureKind::Fourier => width.div_ceil(2),
            FeatureKind::Relu => width,
        };
        for start in (0..needed).step_by(BLOCK) {
            let block: MatRef<'_, f64> = self.directions.subcols(start, BLOCK);
            matmul(&mut products, Accum::Replace, &x, block, 1.0, Par::Seq);
            for direction in start..needed.min(start + BLOCK) {
                for (row, &product) in products.col(direction - start).iter().enumerate() {
                    match self.kind {
                        FeatureKind::Fourier => {
                            // One call for both: they share their costly part.
                            let (sine, cosine) = libm::sincos(product);
                            features[(row, 2 * direction)] = cosine;
                            features[(row, 2 * direction + 1)] = sine;
                        }
                        FeatureKind::Relu => features[(row, direction)] = product.max(0.0),
                    }
                }
            }
        }
        features.truncate(samples, width);
        features
    }
}

/// What features are multiplied by: 1/√(N/2) for N/2 pairs of cosine and sine, 1/√N for N ReLUs, so that the kernel ⟨φ(x), φ(x′)⟩
/// has a limit as N grows.
pub(crate) fn scale(kind: FeatureKind, width: usize) -> f64 {
    let width = width as f64;
    match kind {
        FeatureKind::Fourier => (2.0 / width).sqrt(),
        FeatureKind::Relu => (1.0 / width).sqrt(),
    }
}
