//! The fast path against candle's automatic differentiation: the same numbers, to rounding.

use descent_spec::trial::{Init, Loss, MaskSpec, ModelSpec, Optimizer, Schedule, Scope, TrialSpec};
use descent_training::data::DataStore;
use descent_training::open_reference;

use crate::trial::{ADAM, alone, listen, member, spec};

/// 100 steps in all: full batches, or 20 epochs of 5 with a remainder. Compares every measured number.
fn check(name: &str, change: impl Fn(&mut TrialSpec)) {
    let mut spec = spec(12);
    spec.train.batch = 60;
    spec.train.epochs = 100;
    spec.train.optimizer = Optimizer::Sgd {
        lr: 0.02,
        momentum: 0.9,
    };
    change(&mut spec);
    let fast = alone(&spec);
    let opened = open_reference(vec![member(0, &spec)], &DataStore::new(Vec::new()));
    let reference = listen(1, opened, 7).remove(0);
    assert_eq!(fast.measured.len(), reference.measured.len(), "{name}");
    for (fast, reference) in fast.measured.iter().zip(&reference.measured) {
        let losses = [
            (fast.train_loss, reference.train_loss),
            (fast.validation_loss, reference.validation_loss),
            (fast.test_loss, reference.test_loss),
        ];
        for (a, b) in losses {
            let (a, b) = (a.unwrap(), b.unwrap());
            assert!(
                (a - b).abs() <= 1e-5 * b,
                "{name}, epoch {}: {a} and {b}",
                fast.epoch
            );
        }
        assert_eq!(
            fast.train_error, reference.train_error,
            "{name}, epoch {}",
            fast.epoch
        );
        assert_eq!(
            fast.dead_units, reference.dead_units,
            "{name}, epoch {}",
            fast.epoch
        );
    }
    let (first, last) = (&fast.measured[0], &fast.measured[fast.measured.len() - 1]);
    assert!(
        last.train_loss < first.train_loss,
        "{name}: nothing was learned"
    );
}

#[test]
fn squared_loss_with_momentum() {
    check("full batch", |_| {});
    check("minibatches and weight decay", |spec| {
        spec.train.batch = 13;
        spec.train.epochs = 20;
        spec.train.weight_decay = 0.01;
    });
    check("step schedule", |spec| {
        spec.train.schedule = Schedule::Step {
            factor: 0.9,
            every: 10,
        };
    });
}

#[test]
fn cross_entropy_with_adam() {
    check("adam", |spec| {
        spec.train.loss = Loss::CrossEntropy;
        spec.train.optimizer = ADAM;
    });
    check("adam, cosine schedule, label noise, weight decay", |spec| {
        spec.train.loss = Loss::CrossEntropy;
        spec.train.optimizer = ADAM;
        spec.train.schedule = Schedule::Cosine;
        spec.train.weight_decay = 0.003;
        spec.data.label_noise = 0.2;
    });
}

#[test]
fn deeper_networks() {
    for depth in 2..=3 {
        check("deep", |spec| {
            spec.model = ModelSpec::uniform(11, depth, Init::HeNormal);
            spec.train.stop_at_zero_error = Scope::Never;
        });
    }
    check("of different widths", |spec| {
        spec.model = ModelSpec::Mlp {
            hidden: vec![19, 7, 11],
            init: Init::HeNormal,
        };
    });
}

#[test]
fn masked_networks() {
    check("one hidden layer", |spec| {
        spec.mask = MaskSpec::Random { density: 0.3 };
        spec.train.weight_decay = 0.01;
    });
    check("two hidden layers, adam", |spec| {
        spec.model = ModelSpec::Mlp {
            hidden: vec![30, 10],
            init: Init::GlorotNormal,
        };
        spec.mask = MaskSpec::Random { density: 0.6 };
        spec.train.loss = Loss::CrossEntropy;
        spec.train.optimizer = ADAM;
    });
}
