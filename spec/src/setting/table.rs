//! The table itself, sorted by name.

use super::bounds::{BELOW_ONE, COUNT, SCOPE, SEED, SHARE, STRENGTH, U32_MAX};
use super::meaning::{
    CODE, FREEDOM, INTERPOLATOR, LAYERS_ARE_KEPT, LAYERS_ARE_TESTED, MAGNITUDE, MLP, NETWORK,
    PLAIN_MLP, RIDGED, SEARCH, SIZED, UNIFORM, WITHOUT_OWN_WIDTH,
};
use super::{Applies, Bound, Condition, Fallback, Kind, MAX_UNITS, Setting, Test};

/// Makes the keys and the table from one list, so that `SETTINGS[key as usize]` is the key's row.
macro_rules! settings {
    ($($key:ident = $name:literal, $alias:expr, $kind:expr, $fallback:expr, $unit:literal, $applies:expr, $marks:expr, $doc:literal;)+) => {
        /// Names a setting. Ordered as the settings' names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Key {
            $(#[doc = concat!("`", $name, "`: ", $doc)] $key),+
        }

        impl Key {
            /// Every key, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$key),+];
        }

        /// Every setting, sorted by name.
        pub static SETTINGS: [Setting; Key::ALL.len()] = [$(
            Setting {
                key: Key::$key,
                name: $name,
                alias: $alias,
                kind: $kind,
                fallback: $fallback,
                unit: $unit,
                applies: $applies,
                identifies: $marks.0,
                sweepable: $marks.1,
                doc: $doc,
            }
        ),+];
    };
}

/// A share that a level of pruning takes.
const RATE: Kind = BELOW_ONE;

/// (part of the identity, may be swept)
const DECIDES: (bool, bool) = (true, true);
const NAME_ONLY: (bool, bool) = (false, true);
const OF_THE_SWEEP: (bool, bool) = (true, false);

settings! {
    CodeFirst = "code.first", Some("first_block"),
        COUNT, Fallback::Integer(8), "samples",
        CODE, DECIDES,
        "Samples of the first block, whose labels are sent with equal probabilities; every later block is as long as all before it.";
    CodeHoldout = "code.holdout", Some("holdout"),
        BELOW_ONE, Fallback::Float(0.0), "",
        CODE, DECIDES,
        "Share of what was sent that is held out to choose the measured epoch whose network codes the next block; 0: the last epoch's does.";
    CodePatience = "code.patience", None,
        Kind::Integer { min: 0, max: U32_MAX }, Fallback::Integer(0), "measurements",
        Applies::All(&[Condition { key: Key::CodeHoldout, test: Test::NonZero }]), DECIDES,
        "Measured epochs in a row without a lower loss on the held-out samples after which a block's training ends; 0: it goes on.";
    CodeSteps = "code.steps", None,
        Kind::Integer { min: 0, max: U32_MAX }, Fallback::Integer(0), "steps",
        CODE, DECIDES,
        "Steps that every block's training takes at least: small ones get more epochs than `train.epochs`.";
    DataCentre = "data.centre", None,
        Kind::Boolean, Fallback::Boolean(true), "",
        Applies::Always, DECIDES,
        "Whether the mean image of the training samples is subtracted from every input.";
    DataDataset = "data.dataset", Some("dataset"),
        Kind::Text { max: 4096 }, Fallback::Required, "",
        Applies::Always, NAME_ONLY,
        "Name of a known data set, or a path.";
    DataInputs = "data.inputs", Some("inputs"),
        Kind::Word(&["true", "shuffled", "random-pixels", "gaussian"]), Fallback::Word("true"), "",
        Applies::Always, DECIDES,
        "What the samples show: the data set's own images, one permutation of the pixels for all of them, a permutation for each, or normal numbers of the same mean and variance.";
    DataLabelNoise = "data.label_noise", Some("label_noise"),
        SHARE, Fallback::Float(0.0), "",
        Applies::All(&[Condition { key: Key::DataLabels, test: Test::OneOf(&["true"]) }]), DECIDES,
        "Share of training labels replaced: by another class, or as `data.noise_kind` says.";
    DataLabels = "data.labels", Some("labels"),
        Kind::Word(&["true", "random"]), Fallback::Word("true"), "",
        Applies::Always, DECIDES,
        "Training labels: the data set's own, or each drawn uniformly from all classes with `data.seed`, once.";
    DataNoiseKind = "data.noise_kind", Some("noise_kind"),
        Kind::Word(&["other", "uniform"]), Fallback::Word("other"), "",
        Applies::All(&[Condition { key: Key::DataLabelNoise, test: Test::NonZero }]), DECIDES,
        "What label noise does: exactly that share of the labels becomes another class, or each label by itself, with that probability, any class, its own among them.";
    DataSamples = "data.samples", Some("samples"),
        COUNT, Fallback::All, "",
        Applies::Always, DECIDES,
        "Training samples, drawn with `data.seed`.";
    DataSeed = "data.seed", None,
        SEED, Fallback::Integer(0), "",
        Applies::Any(&[
                Condition { key: Key::DataSamples, test: Test::Given },
                Condition { key: Key::DataLabelNoise, test: Test::NonZero },
                Condition { key: Key::DataLabels, test: Test::OneOf(&["random"]) },
                Condition { key: Key::DataValidation, test: Test::NonZero },
                Condition { key: Key::DataInputs, test: Test::NoneOf(&["true"]) },
            ]), DECIDES,
        "Which samples are drawn, which labels are noisy, what takes the images' place.";
    DataTestSamples = "data.test_samples", None,
        COUNT, Fallback::All, "",
        Applies::Always, DECIDES,
        "Test samples, the first ones.";
    DataValidation = "data.validation", None,
        Kind::Integer { min: 0, max: U32_MAX }, Fallback::Integer(0), "",
        Applies::Always, DECIDES,
        "Training samples held out, drawn besides `data.samples`.";
    EvaluateEvery = "evaluate.every", None,
        COUNT, Fallback::Integer(100), "epochs or steps",
        Applies::All(&[Condition { key: Key::EvaluateSpread, test: Test::OneOf(&["every", "steps"]) }]), DECIDES,
        "Distance between measured epochs, or between the steps after which the validation samples are looked at.";
    EvaluatePoints = "evaluate.points", None,
        Kind::Integer { min: 2, max: 10_000 }, Fallback::Integer(30), "",
        Applies::All(&[Condition { key: Key::EvaluateSpread, test: Test::OneOf(&["log"]) }]), DECIDES,
        "Number of measured epochs, before those that coincide are merged.";
    EvaluateSpread = "evaluate.spread", None,
        Kind::Word(&["log", "every", "end", "steps"]), Fallback::Word("log"), "",
        NETWORK, DECIDES,
        "How measured epochs are spread: evenly on a log scale, every so many, or only the end; `steps`: only the end, and every so many steps the validation loss alone, of whose minimum the result tells. The last epoch is always measured.";
    Experiment = "experiment", None,
        Kind::Word(&["risk-curve", "random-features", "expressivity", "lottery-ticket", "intrinsic-dimension", "description-length", "degrees-of-freedom", "layer-robustness", "memorization"]), Fallback::Word("risk-curve"), "",
        Applies::Always, OF_THE_SWEEP,
        "The kind of question. Networks that are trained once, by steps, are the same trials whatever is asked of them.";
    FreedomDraws = "freedom.draws", Some("draws"),
        Kind::Integer { min: 1, max: 1_000_000 }, Fallback::Integer(5), "",
        FREEDOM, DECIDES,
        "Draws of B: the fit is repeated on targets Y + ε·B for each.";
    FreedomEpsilon = "freedom.epsilon", Some("epsilon"),
        Kind::Float { min: Bound::Open(0.0), max: Bound::Closed(1.0) }, Fallback::Float(0.01), "",
        FREEDOM, DECIDES,
        "ε: how far targets are disturbed. Networks compute in single precision, where less than 0.001 drowns in rounding.";
    FreedomProbes = "freedom.probes", Some("probes"),
        Kind::Word(&["normal", "hadamard"]), Fallback::Word("normal"), "",
        FREEDOM, DECIDES,
        "What B is made of: normal numbers, or signs of a Hadamard matrix, orthogonal to one another.";
    MaskControl = "mask.control", Some("control"),
        Kind::Word(&["ticket", "reinit", "random", "sign"]), Fallback::Word("ticket"), "",
        MAGNITUDE, DECIDES,
        "What starts: the surviving weights set back (`ticket`); the same mask with weights drawn anew (`reinit`), or drawn anew with the signs of those set back (`sign`); or weights set back under a mask of random places, as many in each layer (`random`).";
    MaskConvRate = "mask.conv_rate", None,
        RATE, Fallback::Absent, "",
        Applies::All(&[
                Condition { key: Key::MaskKind, test: Test::OneOf(&["magnitude"]) },
                Condition { key: Key::ModelKind, test: Test::NoneOf(&["mlp"]) },
            ]), DECIDES,
        "Share of the remaining weights of convolutions that each level prunes; the same as `mask.rate` where it is not given.";
    MaskDensity = "mask.density", Some("density"),
        Kind::Float { min: Bound::Open(0.0), max: Bound::Closed(1.0) }, Fallback::Required, "",
        Applies::All(&[Condition { key: Key::MaskKind, test: Test::OneOf(&["random"]) }]), DECIDES,
        "Share of each layer's weights kept; the others are 0 from the start and stay 0. Biases are always kept.";
    MaskDraw = "mask.draw", None,
        SEED, Fallback::Integer(0), "",
        Applies::All(&[
                Condition { key: Key::MaskKind, test: Test::OneOf(&["magnitude"]) },
                Condition { key: Key::MaskControl, test: Test::NoneOf(&["ticket"]) },
            ]), DECIDES,
        "Which of several draws of a control, all of one network.";
    MaskKind = "mask.kind", None,
        Kind::Word(&["none", "random", "magnitude"]), Fallback::Word("none"), "",
        NETWORK, DECIDES,
        "Which weights are kept: all, a random share drawn with `seed`, or the largest of a trained network (a lottery ticket).";
    MaskLevel = "mask.level", Some("level"),
        Kind::Integer { min: 0, max: 200 }, Fallback::Integer(1), "",
        MAGNITUDE, DECIDES,
        "How often it was pruned; 0: the dense network. A level starts from the trained ticket of the level before, which must be in the sweep.";
    MaskMethod = "mask.method", None,
        Kind::Word(&["iterative", "one-shot"]), Fallback::Word("iterative"), "",
        MAGNITUDE, DECIDES,
        "Whose trained weights are judged: those of the level before, or for every level those of the dense network.";
    MaskOutputRate = "mask.output_rate", None,
        RATE, Fallback::Float(0.1), "",
        MAGNITUDE, DECIDES,
        "Share of the remaining weights of the output layer that each level prunes.";
    MaskRate = "mask.rate", None,
        RATE, Fallback::Float(0.2), "",
        MAGNITUDE, DECIDES,
        "Share of the remaining weights of each hidden layer that each level prunes.";
    MaskRewind = "mask.rewind", None,
        Kind::Integer { min: 0, max: U32_MAX }, Fallback::Integer(0), "steps",
        MAGNITUDE, DECIDES,
        "Step of the dense network's training to which survivors are set back, and from which they are trained on; 0: the initial weights.";
    MaskScope = "mask.scope", None,
        Kind::Word(&["layer", "global"]), Fallback::Word("layer"), "",
        MAGNITUDE, DECIDES,
        "Among which weights the smallest are pruned: those of each layer, or of all hidden layers together, `mask.rate` of them. The output layer has its own rate either way.";
    ModelBandwidth = "model.bandwidth", Some("bandwidth"),
        Kind::Float { min: Bound::Open(0.0), max: Bound::Closed(1e9) }, Fallback::Float(5.0), "",
        Applies::All(&[Condition { key: Key::ModelKind, test: Test::OneOf(&["fourier-features", "fourier-kernel"]) }]), DECIDES,
        "Bandwidth of the kernel: directions are normal with standard deviation 1 / bandwidth.";
    ModelBatchNorm = "model.batch_norm", Some("batch_norm"),
        Kind::Boolean, Fallback::Boolean(false), "",
        NETWORK, DECIDES,
        "Whether a batch normalisation stands before every ReLU, in place of biases. `resnet-20` has it always.";
    ModelDepth = "model.depth", Some("depth"),
        Kind::Integer { min: 1, max: 64 }, Fallback::Integer(1), "layers",
        UNIFORM, DECIDES,
        "Number of hidden layers.";
    ModelDirections = "model.directions", Some("directions"),
        Kind::Integer { min: 1, max: 10_000 }, Fallback::Integer(1), "",
        INTERPOLATOR, DECIDES,
        "Random directions that are tried; the one whose projections lie farthest apart is taken.";
    ModelInit = "model.init", None,
        Kind::Word(&["glorot-uniform", "glorot-normal", "he-normal", "normal"]), Fallback::Word("glorot-uniform"), "",
        NETWORK, DECIDES,
        "Distribution of the initial weights; biases start at 0.";
    ModelInitSd = "model.init_sd", None,
        Kind::Float { min: Bound::Open(0.0), max: Bound::Closed(1e3) }, Fallback::Float(0.1), "",
        Applies::All(&[Condition { key: Key::ModelInit, test: Test::OneOf(&["normal"]) }]), DECIDES,
        "Standard deviation of the initial weights.";
    ModelKind = "model.kind", None,
        Kind::Word(&["mlp", "lenet-5", "conv-2", "conv-4", "conv-6", "resnet-20", "fourier-features", "relu-features", "interpolator", "linear", "fourier-kernel", "relu-kernel"]), Fallback::Word("mlp"), "",
        Applies::Always, DECIDES,
        "What learns: a fully connected ReLU network, a convolution network, least squares on random features, the network of 2n + d weights that takes any labels, least squares on the inputs, or the kernel that random features tend to.";
    ModelPrecision = "model.precision", Some("precision"),
        Kind::Word(&["f32", "f64", "double-double"]), Fallback::Word("double-double"), "",
        INTERPOLATOR, DECIDES,
        "What it is computed in: 24, 53 or 106 bits.";
    ModelRidge = "model.ridge", Some("ridge"),
        Kind::Float { min: Bound::Closed(0.0), max: Bound::Closed(1e12) }, Fallback::Float(0.0), "",
        RIDGED, DECIDES,
        "Ridge λ of ‖Φa − y‖² + λ‖a‖²; 0: least squares, of minimum norm where it interpolates.";
    ModelShape = "model.shape", Some("shape"),
        Kind::Layers, Fallback::Absent, "",
        MLP, DECIDES,
        "Units of each hidden layer, from the inputs on; in place of `model.width` and `model.depth`.";
    ModelWidth = "model.width", Some("width"),
        Kind::Integer { min: 1, max: MAX_UNITS }, Fallback::RequiredWhere(&WITHOUT_OWN_WIDTH), "units",
        SIZED, DECIDES,
        "Units per hidden layer, channels of the first convolution (the other hidden layers scale with it; default: the architecture's own, 6, 64 or 16), or number of random features.";
    RobustnessCheckpoints = "robustness.checkpoints", Some("checkpoints"),
        Kind::Epochs, Fallback::RequiredWhere(&LAYERS_ARE_TESTED), "epochs",
        NETWORK, DECIDES,
        "Epochs whose layers are kept: at the end, each layer by itself is set back to its state after each of them (0: before training), or drawn anew, and the network tested.";
    RobustnessDropout = "robustness.dropout", None,
        Kind::Boolean, Fallback::Boolean(false), "",
        Applies::All(&[LAYERS_ARE_KEPT, Condition { key: Key::TrainDropout, test: Test::NonZero }]), DECIDES,
        "Whether dropout stays on where networks with a changed layer, and the trained one beside them, are tested.";
    RobustnessNorm = "robustness.norm", None,
        Kind::Word(&["all", "scales", "none"]), Fallback::Word("all"), "",
        Applies::All(&[LAYERS_ARE_KEPT, Condition { key: Key::ModelBatchNorm, test: Test::Is(true) }]), DECIDES,
        "What of a normalisation is changed with the layer before it: scales, shifts and running statistics, scales and shifts alone, or nothing.";
    RobustnessRedraw = "robustness.redraw", None,
        Kind::Word(&["initial", "unit-uniform"]), Fallback::Word("initial"), "",
        Applies::All(&[LAYERS_ARE_KEPT]), DECIDES,
        "Where layers that are drawn anew come from: the distribution of the initial weights, or [0, 1) for weights and biases.";
    RobustnessTested = "robustness.tested", None,
        Kind::Epochs, Fallback::Absent, "epochs",
        Applies::All(&[LAYERS_ARE_KEPT]), DECIDES,
        "Epochs after which the network counts as trained and its layers are changed, besides the end.";
    Seed = "seed", None,
        SEED, Fallback::Integer(0), "",
        Applies::All(&[Condition { key: Key::ModelKind, test: Test::NoneOf(&["fourier-kernel", "relu-kernel"]) }]), DECIDES,
        "Seed of initial weights, random features, projections and masks.";
    SubspaceDim = "subspace.dim", Some("subspace_dim"),
        Kind::Integer { min: 0, max: U32_MAX }, Fallback::Integer(0), "numbers",
        NETWORK, DECIDES,
        "Dimension d of the random subspace θ = θ₀ + P·z that is trained in; 0: every parameter is trained itself.";
    SubspaceGoal = "subspace.goal", None,
        Kind::Float { min: Bound::Open(0.0), max: Bound::Closed(1.0) }, Fallback::Float(0.9), "",
        SEARCH, DECIDES,
        "The accuracy that a search looks for: a share of the network's own (`subspace.threshold = \"local\"`), or that share itself.";
    SubspaceLow = "subspace.low", None,
        COUNT, Fallback::Integer(10), "numbers",
        SEARCH, DECIDES,
        "The smallest dimension that a search may come to; `subspace.dim` is the largest.";
    SubspaceProjection = "subspace.projection", Some("projection"),
        Kind::Word(&["dense", "sparse", "fastfood"]), Fallback::Word("dense"), "",
        Applies::Any(&[
                Condition { key: Key::SubspaceDim, test: Test::NonZero },
                Condition { key: Key::SubspaceSearch, test: Test::NonZero },
            ]), DECIDES,
        "How the columns of P are drawn: normal numbers, few numbers of random sign, or products of Walsh-Hadamard transforms.";
    SubspaceSearch = "subspace.search", Some("search"),
        Kind::Integer { min: 0, max: 32 }, Fallback::Absent, "",
        NETWORK, DECIDES,
        "Step of a search for the smallest dimension that reaches `subspace.goal`: each halves, on a log scale, what the step before left of the dimensions from `subspace.low` to `subspace.dim`; 0: the network itself, trained outside of subspaces, that accuracies are compared with.";
    SubspaceThreshold = "subspace.threshold", None,
        Kind::Word(&["local", "global"]), Fallback::Word("local"), "",
        SEARCH, DECIDES,
        "Whether `subspace.goal` is a share of the network's own accuracy, or an accuracy.";
    TrainAugmentFlip = "train.augment.flip", None,
        Kind::Boolean, Fallback::Boolean(false), "",
        NETWORK, DECIDES,
        "Whether training images are mirrored left to right, every other one, drawn anew in each step.";
    TrainAugmentShift = "train.augment.shift", Some("shift"),
        Kind::Integer { min: 0, max: 64 }, Fallback::Integer(0), "pixels",
        NETWORK, DECIDES,
        "How far training images are moved at most, down and across, drawn anew in each step; what comes in is black.";
    TrainBatch = "train.batch", Some("batch"),
        COUNT, Fallback::Integer(100), "samples",
        NETWORK, DECIDES,
        "Samples per step; the last batch of an epoch may be smaller.";
    TrainDropout = "train.dropout", Some("dropout"),
        BELOW_ONE, Fallback::Float(0.0), "",
        NETWORK, DECIDES,
        "Share of the units before a dense layer, inputs excepted, that each step leaves out; the others are divided by 1 − share.";
    TrainEarlyStop = "train.early_stop", Some("early_stop"),
        Kind::Word(&["never", "validation-loss", "validation-error"]), Fallback::Word("never"), "",
        NETWORK, DECIDES,
        "What ends training when it has not become less for `train.patience` measured epochs; the result is the network of the measured epoch where it was least.";
    TrainEpochs = "train.epochs", Some("epochs"),
        COUNT, Fallback::Required, "epochs",
        NETWORK, DECIDES,
        "Passes over the training samples.";
    TrainLoss = "train.loss", Some("loss"),
        Kind::Word(&["squared", "cross-entropy"]), Fallback::Word("squared"), "",
        NETWORK, DECIDES,
        "What is minimised: the squared error of linear outputs, or softmax cross-entropy.";
    TrainOptimizerBeta1 = "train.optimizer.beta1", None,
        BELOW_ONE, Fallback::Float(0.9), "",
        Applies::All(&[Condition { key: Key::TrainOptimizerKind, test: Test::OneOf(&["adam"]) }]), DECIDES,
        "Adam's decay of the first moment.";
    TrainOptimizerBeta2 = "train.optimizer.beta2", None,
        BELOW_ONE, Fallback::Float(0.999), "",
        Applies::All(&[Condition { key: Key::TrainOptimizerKind, test: Test::OneOf(&["adam"]) }]), DECIDES,
        "Adam's decay of the second moment.";
    TrainOptimizerEpsilon = "train.optimizer.epsilon", None,
        Kind::Float { min: Bound::Open(0.0), max: Bound::Closed(1.0) }, Fallback::Float(1e-8), "",
        Applies::All(&[Condition { key: Key::TrainOptimizerKind, test: Test::OneOf(&["adam"]) }]), DECIDES,
        "Added by Adam to the root of the second moment.";
    TrainOptimizerKind = "train.optimizer.kind", Some("optimizer"),
        Kind::Word(&["sgd", "adam"]), Fallback::Word("sgd"), "",
        NETWORK, DECIDES,
        "The rule that turns gradients into steps.";
    TrainOptimizerLr = "train.optimizer.lr", Some("lr"),
        Kind::Float { min: Bound::Open(0.0), max: Bound::Closed(1e3) }, Fallback::Required, "",
        NETWORK, DECIDES,
        "Learning rate.";
    TrainOptimizerMomentum = "train.optimizer.momentum", Some("momentum"),
        BELOW_ONE, Fallback::Float(0.0), "",
        Applies::All(&[Condition { key: Key::TrainOptimizerKind, test: Test::OneOf(&["sgd"]) }]), DECIDES,
        "Momentum μ of v ← μv + g, w ← w − lr·v.";
    TrainOrderSeed = "train.order_seed", Some("order_seed"),
        SEED, Fallback::Integer(0), "",
        NETWORK, DECIDES,
        "Seed of the order of samples; shared by all trials unless swept.";
    TrainPatience = "train.patience", Some("patience"),
        COUNT, Fallback::Integer(10), "measured epochs",
        Applies::All(&[Condition { key: Key::TrainEarlyStop, test: Test::NoneOf(&["never"]) }]), DECIDES,
        "Measured epochs without a smaller validation loss or error after which training ends.";
    TrainReuseSd = "train.reuse_sd", None,
        STRENGTH, Fallback::Float(0.1), "",
        Applies::All(&[Condition { key: Key::TrainWeightReuse, test: Test::NoneOf(&["never"]) }]), DECIDES,
        "Standard deviation of the weights that the narrower network does not have.";
    TrainScheduleEvery = "train.schedule.every", None,
        COUNT, Fallback::Integer(500), "epochs",
        Applies::All(&[Condition { key: Key::TrainScheduleKind, test: Test::OneOf(&["step"]) }]), DECIDES,
        "Epochs between two multiplications of the learning rate.";
    TrainScheduleFactor = "train.schedule.factor", None,
        Kind::Float { min: Bound::Open(0.0), max: Bound::Closed(10.0) }, Fallback::Float(0.9), "",
        Applies::All(&[Condition { key: Key::TrainScheduleKind, test: Test::OneOf(&["step"]) }]), DECIDES,
        "Multiplies the learning rate each time.";
    TrainScheduleKind = "train.schedule.kind", Some("schedule"),
        Kind::Word(&["constant", "step", "cosine"]), Fallback::Word("constant"), "",
        NETWORK, DECIDES,
        "The learning rate over time: the same, factor^⌊epoch / every⌋, or ½(1 + cos(π·step / steps)).";
    TrainScheduleScope = "train.schedule.scope", None,
        Kind::Word(&["below-threshold", "always"]), Fallback::Word("always"), "",
        Applies::All(&[Condition { key: Key::TrainScheduleKind, test: Test::NoneOf(&["constant"]) }]), DECIDES,
        "Which networks the schedule holds for; the others train at a constant rate.";
    TrainStopAtZeroError = "train.stop_at_zero_error", None,
        SCOPE, Fallback::Word("never"), "",
        NETWORK, DECIDES,
        "Which networks stop at the first measured epoch without a training error.";
    TrainWeightDecay = "train.weight_decay", Some("weight_decay"),
        STRENGTH, Fallback::Float(0.0), "",
        NETWORK, DECIDES,
        "λ of an added λ/2·‖w‖² on the weights, not on the biases.";
    TrainWeightReuse = "train.weight_reuse", Some("weight_reuse"),
        SCOPE, Fallback::Word("never"), "",
        PLAIN_MLP, DECIDES,
        "Which networks start from the trained weights of the next narrower one.";
}
