//! Published and earlier measured values that reports set beside a sweep's own. Losses are means over samples and outputs.

/// What is known of one risk curve on MNIST: n = 4,000, one hidden layer, squared loss.
pub(crate) struct Known {
    /// Who measured it, and how.
    pub(crate) source: &'static str,
    /// Share of noisy labels.
    pub(crate) label_noise: f64,
    /// First minimum of the test loss: width (where it is known) and value.
    pub(crate) first_minimum: (Option<u64>, f64),
    /// Top of the hump: width and value.
    pub(crate) top: (u64, f64),
    /// The widest network: width and value.
    pub(crate) last: (u64, f64),
}

/// Risk curves of fully connected networks. The y-values of Belkin et al. (2019), Fig. 3 are not published as numbers: only their shape can be compared.
pub(crate) const RISK_CURVES: [Known; 6] = [
    Known {
        source: "josch14/double-descent, logs: Belkin's schedule, lr 0.1, weight reuse below n·K",
        label_noise: 0.0,
        first_minimum: (Some(10), 0.0676),
        top: (50, 0.2204),
        last: (150, 0.0284),
    },
    Known {
        source: "the same without weight reuse",
        label_noise: 0.05,
        first_minimum: (None, 0.0658),
        top: (58, 0.0810),
        last: (150, 0.0411),
    },
    Known {
        source: "the same without weight reuse",
        label_noise: 0.1,
        first_minimum: (None, 0.0734),
        top: (49, 0.0967),
        last: (150, 0.0545),
    },
    Known {
        source: "the same without weight reuse",
        label_noise: 0.2,
        first_minimum: (None, 0.0833),
        top: (55, 0.1318),
        last: (150, 0.0700),
    },
    Known {
        source: "JAX, this project: centred, Adam 2e-3, batch 100, 600 epochs, 1 seed",
        label_noise: 0.1,
        first_minimum: (Some(10), 0.0610),
        top: (15, 0.0840),
        last: (300, 0.0327),
    },
    Known {
        source: "JAX, this project: centred, SGD 0.01 momentum 0.95, batch 100, 600 epochs, 1 seed",
        label_noise: 0.1,
        first_minimum: (Some(10), 0.0461),
        top: (120, 0.0632),
        last: (500, 0.0467),
    },
];

/// One size of random features on MNIST, n = 1,000, no noise, no ridge.
pub(crate) struct Feature {
    /// Number of features N.
    pub(crate) features: u64,
    /// Test loss.
    pub(crate) test_loss: f64,
    /// Test error.
    pub(crate) test_error: f64,
    /// Norm of the coefficients.
    pub(crate) norm: Option<f64>,
}

const fn feature(features: u64, summed_loss: f64, test_error: f64, norm: Option<f64>) -> Feature {
    // The source sums squared loss over the 10 outputs; every loss here is the mean over them.
    Feature {
        features,
        test_loss: summed_loss / 10.0,
        test_error,
        norm,
    }
}

/// Random Fourier features of bandwidth 5, solved in f64 with NumPy (`lstsq`); three draws to N = 2,000, one above.
pub(crate) const FOURIER: [Feature; 11] = [
    feature(50, 0.680, 0.403, Some(3.7)),
    feature(200, 0.536, 0.228, Some(9.6)),
    feature(400, 0.560, 0.203, Some(17.0)),
    feature(800, 1.39, 0.366, Some(47.0)),
    feature(950, 5.24, 0.603, Some(106.0)),
    feature(1000, 2208.0, 0.876, Some(1884.0)),
    feature(1050, 4.83, 0.581, Some(108.0)),
    feature(1200, 1.35, 0.335, Some(57.0)),
    feature(2000, 0.411, 0.127, Some(32.0)),
    feature(4000, 0.263, 0.086, Some(26.0)),
    feature(16000, 0.205, 0.074, Some(23.0)),
];

/// Random ReLU features, by the same means.
pub(crate) const RELU: [Feature; 8] = [
    feature(50, 0.584, 0.310, None),
    feature(200, 0.469, 0.186, None),
    feature(400, 0.518, 0.177, None),
    feature(950, 4.49, 0.556, None),
    feature(1000, 1807.0, 0.883, None),
    feature(1050, 4.68, 0.566, None),
    feature(2000, 0.463, 0.135, None),
    feature(16000, 0.250, 0.086, None),
];
