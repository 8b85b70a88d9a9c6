//! Layers set back and drawn anew, held to networks put together and evaluated here; early stopping; augmentation.

use std::collections::BTreeMap;

use descent_spec::details::Details;
use descent_spec::outcome::StopReason;
use descent_spec::robustness::{LayerRow, NormPart, Operation, Redraw, RobustnessSpec};
use descent_spec::trial::{
    AugmentSpec, EarlyStop, EvaluateSpec, Init, Loss, ModelSpec, Spread, TrialSpec,
};
use descent_training::data::{DataStore, Prepared, prepare};
use descent_training::stream::Stream;

use crate::trial::{SGD, Story, alone, member, spec, start, tensors};

/// Two hidden layers, three epochs; layers are set back to before training, to the first epoch and to the last.
fn changed() -> TrialSpec {
    let mut spec = spec(7);
    spec.model = ModelSpec::uniform(7, 2, Init::GlorotUniform);
    spec.train.loss = Loss::CrossEntropy;
    spec.train.optimizer = SGD;
    spec.robustness = Some(RobustnessSpec {
        checkpoints: vec![0, 1, 3],
        tested: vec![2],
        redraw: Redraw::Initial,
        norm: NormPart::All,
        dropout: false,
    });
    spec
}

fn rows(story: &Story) -> Vec<LayerRow> {
    match story
        .result
        .as_ref()
        .and_then(|result| result.details.clone())
    {
        Some(Details::LayerRobustness(rows)) => rows,
        other => panic!("{other:?}"),
    }
}

type Weights = BTreeMap<String, Vec<f32>>;

/// The network's weights after so many epochs, as its checkpoint has them.
fn after(spec: &TrialSpec, epochs: u32) -> Weights {
    let mut spec = spec.clone();
    // Trained a little longer, so that it is still there.
    spec.train.epochs += 1;
    let (mut pack, _) = start(vec![member(0, &spec)]);
    pack.advance(epochs * 4);
    tensors(&pack.checkpoint(0).unwrap())
        .into_iter()
        .filter(|(name, _)| name.starts_with("layers."))
        .map(|(name, (_, numbers))| (name, numbers))
        .collect()
}

fn data(spec: &TrialSpec) -> Prepared {
    let store = DataStore::new(Vec::new());
    let known = store.describe(&spec.data.dataset).unwrap();
    prepare(&store.load(known.hash).unwrap(), &spec.data).unwrap()
}

/// Mean test loss and error in double precision.
fn test(data: &Prepared, weights: &Weights) -> (f64, f64) {
    let (mut loss, mut wrong) = (0.0, 0);
    for (x, &label) in data.test_x.chunks_exact(data.inputs).zip(&data.test_y) {
        let mut units: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        for layer in 0..3 {
            let rows = weights[&format!("layers.{layer}.weight")].chunks_exact(units.len());
            let sums = rows.zip(&weights[&format!("layers.{layer}.bias")]);
            let sums = sums.map(|(row, bias)| {
                let products = row.iter().zip(&units).map(|(w, x)| f64::from(*w) * x);
                let sum = f64::from(*bias) + products.sum::<f64>();
                if layer < 2 { sum.max(0.0) } else { sum }
            });
            units = sums.collect();
        }
        let label = usize::from(label);
        loss += units.iter().map(|f| f.exp()).sum::<f64>().ln() - units[label];
        wrong += usize::from(units.iter().any(|&f| f > units[label]));
    }
    let samples = data.test_y.len() as f64;
    (loss / samples, wrong as f64 / samples)
}

#[test]
fn rows_are_the_test_loss_of_the_network_with_that_layer() {
    let spec = changed();
    let data = data(&spec);
    let states: BTreeMap<u32, Weights> =
        (0..=3).map(|epoch| (epoch, after(&spec, epoch))).collect();
    let rows = rows(&alone(&spec));
    // After two epochs there are two checkpoints, at the end three; three layers, and each drawn anew.
    assert_eq!(rows.len(), 3 * (2 + 1) + 3 * (3 + 1));
    for row in &rows {
        let mut weights = states[&row.epoch].clone();
        let (loss, error) = test(&data, &weights);
        assert!((row.trained_loss.unwrap() - loss).abs() < 1e-5);
        assert_eq!(row.trained_error, Some(error));
        let names = ["weight", "bias"].map(|part| format!("layers.{}.{part}", row.layer));
        match row.checkpoint {
            Some(checkpoint) => {
                assert_eq!(row.operation, Operation::Reinitialise);
                for name in &names {
                    weights.insert(name.clone(), states[&checkpoint][name].clone());
                }
            }
            None => {
                assert_eq!(row.operation, Operation::Rerandomise);
                let mut stream = Stream::new(&format!("redraw/{}", row.layer), 0, row.epoch.into());
                let units = weights[&names[1]].len();
                let numbers = weights[&names[0]].len();
                let fans = (numbers / units + units) as f64;
                let weight = (0..numbers)
                    .map(|_| ((2.0 * stream.uniform() - 1.0) * (6.0 / fans).sqrt()) as f32);
                weights.insert(names[0].clone(), weight.collect());
                weights.insert(names[1].clone(), vec![0.0; units]);
            }
        }
        let (loss, error) = test(&data, &weights);
        assert!(
            (row.test_loss.unwrap() - loss).abs() < 1e-5 * (1.0 + loss),
            "{row:?}, {loss}"
        );
        assert_eq!(row.test_error, Some(error), "{row:?}");
        let difference = |name: &String| {
            let pair = weights[name].iter().zip(&states[&row.epoch][name]);
            pair.map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs())
                .collect::<Vec<f64>>()
        };
        let moved: Vec<f64> = names.iter().flat_map(difference).collect();
        let l2 = moved.iter().map(|d| d * d).sum::<f64>().sqrt();
        assert!((row.distance_l2.unwrap() - l2).abs() < 1e-9 * (1.0 + l2));
        let rms = l2 / (moved.len() as f64).sqrt();
        assert!((row.distance_rms.unwrap() - rms).abs() < 1e-9);
        assert_eq!(row.distance_max, moved.iter().copied().reduce(f64::max));
    }
    // Set back to the end, it is what it was.
    let same = rows.iter().filter(|row| row.checkpoint == Some(3));
    for row in same {
        assert_eq!(
            (row.test_loss, row.distance_l2),
            (row.trained_loss, Some(0.0))
        );
    }
}

#[test]
fn training_is_the_same_whether_layers_are_kept_or_not() {
    let with = alone(&changed());
    let mut spec = changed();
    spec.robustness = None;
    let without = alone(&spec);
    assert_eq!(with.measured, without.measured);
    assert_eq!(with.weights, without.weights);
}

#[test]
fn layers_may_be_drawn_from_the_unit_interval() {
    let mut spec = changed();
    spec.robustness.as_mut().unwrap().redraw = Redraw::UnitUniform;
    let unit = rows(&alone(&spec));
    let initial = rows(&alone(&changed()));
    for (unit, initial) in unit.iter().zip(&initial) {
        if unit.operation == Operation::Rerandomise {
            // Weights and biases of mean ½ are further away than those around 0.
            assert!(unit.distance_l2 > initial.distance_l2);
        } else {
            assert_eq!(unit, initial);
        }
    }
}

#[test]
fn the_result_of_early_stopping_is_the_best_measured_network() {
    let mut spec = spec(40);
    spec.train.epochs = 400;
    spec.train.early_stop = EarlyStop::ValidationLoss;
    spec.train.patience = 3;
    spec.data.label_noise = 0.4;
    let story = alone(&spec);
    let result = story.result.unwrap();
    assert_eq!(result.stop, StopReason::Patience);
    let losses: Vec<f64> = story
        .measured
        .iter()
        .map(|measured| measured.validation_loss.unwrap())
        .collect();
    let (best, _) = losses
        .iter()
        .enumerate()
        .min_by(|a, b| a.1.total_cmp(b.1))
        .unwrap();
    assert_eq!(best + 3 + 1, losses.len(), "it waits for three epochs");
    assert_eq!(result.last, story.measured[best]);
    // The weights are those of a training that ends there.
    spec.train.early_stop = EarlyStop::Never;
    spec.train.epochs = result.last.epoch;
    spec.evaluate = EvaluateSpec {
        spread: Spread::End,
        points: 2,
        every: 1,
    };
    assert_eq!(alone(&spec).weights, story.weights);
}

#[test]
fn what_is_augmented_is_drawn_with_the_order_and_shared_by_a_pack() {
    let digits = |shift, flip| {
        let mut spec = spec(12);
        spec.data.dataset = "mnist-4k".to_owned();
        spec.train.augment = AugmentSpec { shift, flip };
        spec
    };
    let plain = alone(&digits(0, false));
    let moved = alone(&digits(2, false));
    let mirrored = alone(&digits(0, true));
    assert_ne!(plain.weights, moved.weights);
    assert_ne!(plain.weights, mirrored.weights);
    let specs = [
        digits(2, false),
        digits(0, true),
        digits(2, false),
        digits(0, false),
    ];
    let members = specs.iter().zip(0..).map(|(spec, key)| member(key, spec));
    let (mut pack, _) = start(members.collect());
    pack.advance(5);
    let resumed = specs.iter().zip(0..).map(|(spec, key)| {
        let mut member = member(key, spec);
        member.checkpoint = pack.checkpoint(key);
        member
    });
    let stories = crate::trial::finish(resumed.collect(), 3);
    for (story, whole) in stories.iter().zip([&moved, &mirrored, &moved, &plain]) {
        assert_eq!(story.weights, whole.weights);
    }
}
