//! How well outputs go with one-hot labels, summed over samples.

use faer::Mat;

/// Running sums of squared error and misclassified samples.
#[derive(Clone, Copy, Default)]
pub(crate) struct Score {
    squared: f64,
    wrong: u64,
    samples: u64,
}

impl Score {
    /// Adds the outputs of some samples: `[samples, outputs]` against one-hot labels.
    pub(crate) fn add(&mut self, outputs: &Mat<f64>, labels: &[u8]) {
        for (row, &label) in labels.iter().enumerate() {
            let label = usize::from(label);
            let mut largest = 0;
            for output in 0..outputs.ncols() {
                let value = outputs[(row, output)];
                let difference = value - if output == label { 1.0 } else { 0.0 };
                self.squared += difference * difference;
                if value > outputs[(row, largest)] {
                    largest = output;
                }
            }
            self.wrong += u64::from(largest != label);
            self.samples += 1;
        }
    }

    /// Mean over samples and outputs; `None` without samples or where it is not finite.
    pub(crate) fn loss(&self, outputs: usize) -> Option<f64> {
        let loss = self.squared / (self.samples as f64 * outputs as f64);
        loss.is_finite().then_some(loss)
    }

    /// Share of misclassified samples; `None` without samples.
    pub(crate) fn error(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.wrong as f64 / self.samples as f64)
    }
}
