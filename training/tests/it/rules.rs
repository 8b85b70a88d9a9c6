//! When a training ends, what it is measured on, and what it starts from.

use descent_spec::id::ContentHash;
use descent_spec::outcome::StopReason;
use descent_spec::trial::{EvaluateSpec, Init, ModelSpec, Optimizer, Scope, Spread};

use crate::trial::{alone, finish, member, spec, start, tensors};

#[test]
fn the_last_epoch_is_measured_and_weights_are_named_by_their_hash() {
    let mut spec = spec(4);
    spec.train.epochs = 7;
    spec.evaluate = EvaluateSpec {
        spread: Spread::Every,
        points: 0,
        every: 3,
    };
    let story = alone(&spec);
    let epochs: Vec<u32> = story
        .measured
        .iter()
        .map(|measured| measured.epoch)
        .collect();
    assert_eq!(epochs, [3, 6, 7]);
    let result = story.result.unwrap();
    assert_eq!((result.stop, result.diverged), (StopReason::Epochs, false));
    assert_eq!(result.last, story.measured[2]);
    assert_eq!(result.parameters, 21 * 4 + 5 * 10);
    let weights = story.weights.unwrap();
    assert_eq!(result.weights, Some(ContentHash::of(&weights)));
    assert_eq!(tensors(&weights)["layers.1.weight"].0, [10, 4]);
}

#[test]
fn training_stops_at_zero_error_only_where_the_rule_holds() {
    let mut spec = spec(60);
    spec.train.epochs = 400;
    spec.train.stop_at_zero_error = Scope::Always;
    let story = alone(&spec);
    let result = story.result.unwrap();
    assert_eq!(result.stop, StopReason::ZeroError);
    assert_eq!(result.last.train_error, Some(0.0));
    assert!(result.last.epoch < 400);
    let before = &story.measured[..story.measured.len() - 1];
    assert!(
        before
            .iter()
            .all(|measured| measured.train_error > Some(0.0))
    );
    // 1870 parameters are more than the 600 of the threshold.
    spec.train.stop_at_zero_error = Scope::BelowThreshold;
    spec.train.epochs = result.last.epoch + 2;
    assert_eq!(alone(&spec).result.unwrap().stop, StopReason::Epochs);
}

#[test]
fn a_diverged_network_is_a_result_without_numbers() {
    let mut spec = spec(6);
    spec.train.epochs = 50;
    spec.train.optimizer = Optimizer::Sgd {
        lr: 1e4,
        momentum: 0.9,
    };
    let story = alone(&spec);
    let result = story.result.unwrap();
    assert!(result.diverged);
    assert_eq!(result.stop, StopReason::Diverged);
    assert_eq!(
        (result.last.train_loss, result.weights, story.weights),
        (None, None, None)
    );
    assert_eq!(story.failure, None);
}

#[test]
fn dead_units_are_counted() {
    // A step that large kills units without blowing up the outputs' weights beyond recovery.
    let mut spec = spec(40);
    spec.data.centre = false;
    spec.train.optimizer = Optimizer::Sgd {
        lr: 0.4,
        momentum: 0.9,
    };
    spec.train.epochs = 20;
    let result = alone(&spec).result.unwrap();
    assert!(!result.diverged);
    let dead = result.last.dead_units.unwrap();
    assert!(dead > 0 && dead <= 40, "{dead}");
    let mut healthy = spec;
    healthy.data.centre = true;
    healthy.train.optimizer = Optimizer::Sgd {
        lr: 1e-4,
        momentum: 0.0,
    };
    assert_eq!(alone(&healthy).result.unwrap().last.dead_units, Some(0));
}

#[test]
fn a_wider_network_starts_from_its_parents_weights() {
    for depth in 1..=2 {
        let with = |width| {
            let mut spec = spec(width);
            spec.model = ModelSpec::uniform(width, depth, Init::GlorotUniform);
            spec
        };
        let parent = alone(&with(3)).weights.unwrap();
        let mut child = member(0, &with(5));
        child.parent_weights = Some(parent.clone());
        let (pack, failed) = start(vec![child]);
        assert!(failed.is_empty(), "{failed:?}");
        let (old, new) = (tensors(&parent), tensors(&pack.checkpoint(0).unwrap()));
        for (name, (shape, numbers)) in &old {
            let (new_shape, grown) = &new[name];
            let (columns, new_columns) = match shape.as_slice() {
                [_, columns] => (*columns, new_shape[1]),
                _ => (1, 1),
            };
            for (index, number) in numbers.iter().enumerate() {
                let (row, column) = (index / columns, index % columns);
                assert_eq!(
                    grown[row * new_columns + column].to_bits(),
                    number.to_bits(),
                    "{name}"
                );
            }
        }
        let fresh: Vec<f32> = new["layers.0.weight"].1[3 * 20..].to_vec();
        let square = fresh.iter().map(|w| w * w).sum::<f32>() / fresh.len() as f32;
        assert!(
            (0.06..0.14).contains(&square.sqrt()),
            "sd {}",
            square.sqrt()
        );
        assert_eq!(new["layers.0.bias"].1[3..], [0.0, 0.0]);
    }
}

#[test]
fn a_wider_or_deeper_parent_is_refused() {
    let parent = alone(&spec(9)).weights.unwrap();
    let mut narrow = member(0, &spec(8));
    narrow.parent_weights = Some(parent.clone());
    let mut deep = member(1, &spec(12));
    deep.spec.model = ModelSpec::uniform(deep.spec.model.width(), 2, Init::GlorotUniform);
    deep.parent_weights = Some(parent);
    for story in finish(vec![narrow, deep], 1) {
        assert!(story.failure.unwrap().starts_with("Artifact"));
    }
}

#[test]
fn missing_data_is_told_apart() {
    let mut unknown = member(0, &spec(3));
    unknown.data = ContentHash([9; 32]);
    let mut greedy = member(1, &spec(3));
    greedy.spec.data.samples = Some(1_000_000);
    for story in finish(vec![unknown, greedy], 1) {
        assert!(story.failure.unwrap().starts_with("Data"));
    }
}
