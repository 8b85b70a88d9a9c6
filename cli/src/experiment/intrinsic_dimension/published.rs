//! Published curves of accuracy against the dimension of a random subspace.

/// A curve, and the network and data that it is of.
pub(super) struct Published {
    /// Its name in the legend.
    pub(super) name: &'static str,
    /// Trained numbers D of the network.
    pub(super) parameters: u64,
    /// `true` or `shuffled`: the order of pixels.
    pub(super) inputs: &'static str,
    /// Dimension and accuracy; means over runs.
    pub(super) points: &'static [(u32, f64)],
}

/// All of them: MNIST, true labels.
pub(super) const CURVES: [Published; 6] = [
    Published {
        name: "Li et al. 2018",
        parameters: 199_210,
        inputs: "true",
        points: LI_DENSE,
    },
    Published {
        name: "Li et al. 2018",
        parameters: 44_426,
        inputs: "true",
        points: LI_LENET,
    },
    Published {
        name: "Li et al. 2018, shuffled",
        parameters: 199_210,
        inputs: SHUFFLED,
        points: LI_DENSE_SHUFFLED,
    },
    Published {
        name: "Li et al. 2018, shuffled",
        parameters: 44_426,
        inputs: SHUFFLED,
        points: LI_LENET_SHUFFLED,
    },
    Published {
        name: "Weng 2019",
        parameters: 55_050,
        inputs: "true",
        points: WENG_64_64,
    },
    Published {
        name: "Weng 2019",
        parameters: 101_770,
        inputs: "true",
        points: WENG_128,
    },
];

/// What `data.inputs` is where all images have their pixels in one other order.
pub(super) const SHUFFLED: &str = "shuffled";

/// Li et al. 2018, 784-200-200-10, mean of three runs.
const LI_DENSE: &[(u32, f64)] = &[
    (10, 0.1752),
    (50, 0.451),
    (100, 0.5926),
    (200, 0.7584),
    (300, 0.8184),
    (400, 0.8392),
    (500, 0.8646),
    (600, 0.8802),
    (700, 0.8899),
    (750, 0.8942),
    (800, 0.8996),
    (900, 0.9061),
    (1000, 0.9067),
    (1250, 0.919),
    (1500, 0.9252),
];

/// Li et al. 2018, LeNet-5, mean of three runs.
const LI_LENET: &[(u32, f64)] = &[
    (10, 0.1293),
    (50, 0.5697),
    (100, 0.7626),
    (150, 0.8358),
    (200, 0.8642),
    (250, 0.8867),
    (275, 0.8979),
    (290, 0.9012),
    (300, 0.903),
    (350, 0.9165),
    (400, 0.921),
    (500, 0.9392),
    (600, 0.9405),
    (1000, 0.9628),
    (1500, 0.9688),
    (2000, 0.9754),
    (3000, 0.9805),
    (5000, 0.9834),
    (10000, 0.9851),
];

/// Li et al. 2018, 784-200-200-10 on shuffled pixels, one run.
const LI_DENSE_SHUFFLED: &[(u32, f64)] = &[
    (10, 0.1658),
    (50, 0.4475),
    (100, 0.6453),
    (200, 0.7852),
    (300, 0.8387),
    (400, 0.8636),
    (500, 0.8859),
    (600, 0.8967),
    (650, 0.9013),
    (700, 0.906),
    (750, 0.9069),
    (800, 0.9111),
    (900, 0.9178),
    (1000, 0.919),
    (1250, 0.928),
    (1500, 0.9358),
];

/// Li et al. 2018, LeNet-5 on shuffled pixels, one run.
const LI_LENET_SHUFFLED: &[(u32, f64)] = &[
    (200, 0.6794),
    (250, 0.7325),
    (300, 0.7651),
    (400, 0.7923),
    (500, 0.836),
    (600, 0.8454),
    (800, 0.8688),
    (1000, 0.8847),
    (1200, 0.8931),
    (1300, 0.8962),
    (1400, 0.9024),
    (1500, 0.9052),
    (2000, 0.917),
    (3000, 0.9265),
    (4000, 0.9356),
];

/// The article that asks these questions (Weng 2019), 784-64-64-10 on a tenth of MNIST, one run; dropout was on when it was tested.
const WENG_64_64: &[(u32, f64)] = &[
    (1, 0.113),
    (101, 0.256),
    (201, 0.459),
    (301, 0.555),
    (401, 0.628),
    (501, 0.662),
    (601, 0.719),
    (701, 0.71),
    (801, 0.728),
    (901, 0.727),
    (1001, 0.786),
    (1101, 0.789),
    (1201, 0.828),
    (1301, 0.81),
    (1401, 0.83),
    (1501, 0.813),
];

/// The same, 784-128-10.
const WENG_128: &[(u32, f64)] = &[
    (1, 0.156),
    (101, 0.408),
    (201, 0.518),
    (301, 0.661),
    (401, 0.686),
    (501, 0.669),
    (601, 0.772),
    (701, 0.799),
    (801, 0.802),
    (901, 0.826),
    (1001, 0.809),
    (1101, 0.826),
    (1201, 0.84),
    (1301, 0.842),
    (1401, 0.85),
    (1501, 0.856),
];
