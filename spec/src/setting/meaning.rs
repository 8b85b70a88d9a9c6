//! Where several settings mean something.

use super::{Applies, Condition, Key, Test};

/// Models that are solved for, not trained by steps.
const CLOSED_FORMS: &[&str] = &[
    "fourier-features",
    "relu-features",
    "interpolator",
    "linear",
    "fourier-kernel",
    "relu-kernel",
];
/// Means something for networks, trained by gradient descent.
pub(super) const NETWORK: Applies = Applies::All(&[Condition {
    key: Key::ModelKind,
    test: Test::NoneOf(CLOSED_FORMS),
}]);
/// Means something for networks of dense layers alone.
pub(super) const MLP: Applies = Applies::All(&[Condition {
    key: Key::ModelKind,
    test: Test::OneOf(&["mlp"]),
}]);
/// Means something for networks of dense layers without normalisation.
pub(super) const PLAIN_MLP: Applies = Applies::All(&[
    Condition {
        key: Key::ModelKind,
        test: Test::OneOf(&["mlp"]),
    },
    Condition {
        key: Key::ModelBatchNorm,
        test: Test::Is(false),
    },
]);
/// Means something for networks whose hidden layers are equally wide.
pub(super) const UNIFORM: Applies = Applies::All(&[
    Condition {
        key: Key::ModelKind,
        test: Test::OneOf(&["mlp"]),
    },
    Condition {
        key: Key::ModelShape,
        test: Test::Absent,
    },
]);
/// Means something for linear regression, on random features or on the inputs.
pub(super) const RIDGED: Applies = Applies::All(&[Condition {
    key: Key::ModelKind,
    test: Test::OneOf(&[
        "fourier-features",
        "relu-features",
        "linear",
        "fourier-kernel",
        "relu-kernel",
    ]),
}]);
/// Means something where the labels are sent.
pub(super) const CODE: Applies = Applies::All(&[Condition {
    key: Key::Experiment,
    test: Test::OneOf(&["description-length"]),
}]);
/// Means something where degrees of freedom are measured.
pub(super) const FREEDOM: Applies = Applies::All(&[Condition {
    key: Key::Experiment,
    test: Test::OneOf(&["degrees-of-freedom"]),
}]);
/// Means something for the network that takes any labels.
pub(super) const INTERPOLATOR: Applies = Applies::All(&[Condition {
    key: Key::ModelKind,
    test: Test::OneOf(&["interpolator"]),
}]);
/// Means something for models of a chosen width.
pub(super) const SIZED: Applies = Applies::All(&[
    Condition {
        key: Key::ModelKind,
        test: Test::NoneOf(&["interpolator", "linear", "fourier-kernel", "relu-kernel"]),
    },
    Condition {
        key: Key::ModelShape,
        test: Test::Absent,
    },
]);

/// Where states of layers are kept.
pub(super) const LAYERS_ARE_KEPT: Condition = Condition {
    key: Key::RobustnessCheckpoints,
    test: Test::Given,
};
/// Where states of layers must be kept.
pub(super) const LAYERS_ARE_TESTED: Condition = Condition {
    key: Key::Experiment,
    test: Test::OneOf(&["layer-robustness"]),
};

/// Models whose width must be given.
pub(super) const WITHOUT_OWN_WIDTH: Condition = Condition {
    key: Key::ModelKind,
    test: Test::OneOf(&["mlp", "fourier-features", "relu-features"]),
};

/// Means something for masks that come from trained weights.
pub(super) const MAGNITUDE: Applies = Applies::All(&[Condition {
    key: Key::MaskKind,
    test: Test::OneOf(&["magnitude"]),
}]);
/// Means something for a search among dimensions.
pub(super) const SEARCH: Applies = Applies::All(&[
    Condition {
        key: Key::ModelKind,
        test: Test::NoneOf(CLOSED_FORMS),
    },
    Condition {
        key: Key::SubspaceSearch,
        test: Test::NonZero,
    },
]);
