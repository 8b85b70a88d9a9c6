//! The fast path's gradients against finite differences of a loss computed here, in double precision.

use std::collections::BTreeMap;

use descent_spec::trial::{Init, Loss, ModelSpec, Optimizer, TrialSpec};
use descent_training::data::{DataStore, Prepared, prepare};

use crate::trial::{dropped, member, spec, start, tensors};

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The loss that training minimises, on all training samples: squared errors summed over outputs, or nats; mean over samples.
/// Hidden units are multiplied by `factors`, layer by layer and sample by sample, where there are some.
fn loss(
    kind: Loss,
    data: &Prepared,
    depth: u32,
    weights: &BTreeMap<String, Vec<f64>>,
    factors: &[Vec<Vec<f64>>],
) -> f64 {
    let mut total = 0.0;
    let samples = data.train_x.chunks_exact(data.inputs).zip(&data.train_y);
    for (sample, (x, &label)) in samples.enumerate() {
        let mut units: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        for layer in 0..=depth {
            let weight = &weights[&format!("layers.{layer}.weight")];
            let bias = &weights[&format!("layers.{layer}.bias")];
            let sums = weight
                .chunks_exact(units.len())
                .zip(bias)
                .map(|(row, bias)| {
                    let sum = bias + row.iter().zip(&units).map(|(w, x)| w * x).sum::<f64>();
                    if layer < depth { sum.max(0.0) } else { sum }
                });
            units = sums.collect();
            if let Some(factors) = factors.get(layer as usize) {
                let factors = &factors[sample];
                units.iter_mut().zip(factors).for_each(|(a, f)| *a *= f);
            }
        }
        let label = usize::from(label);
        total += match kind {
            Loss::Squared => units
                .iter()
                .enumerate()
                .map(|(class, f)| (f - f64::from(u8::from(class == label))).powi(2))
                .sum(),
            Loss::CrossEntropy => units.iter().map(|f| f.exp()).sum::<f64>().ln() - units[label],
        };
    }
    total / data.train_y.len() as f64
}

/// Weights before and after one step of plain gradient descent at rate 1.
fn one_step(spec: &TrialSpec) -> (Tensors, Tensors) {
    let (mut pack, failed) = start(vec![member(0, spec)]);
    assert!(failed.is_empty());
    let before = tensors(&pack.checkpoint(0).unwrap());
    pack.advance(1);
    (before, tensors(&pack.checkpoint(0).unwrap()))
}

#[test]
fn one_step_goes_down_the_gradient() {
    for (kind, depth, dropout) in [
        (Loss::Squared, 1, 0.0),
        (Loss::CrossEntropy, 2, 0.0),
        (Loss::Squared, 3, 0.0),
        (Loss::CrossEntropy, 1, 0.4),
        (Loss::Squared, 3, 0.25),
    ] {
        let mut spec = spec(9);
        spec.model = ModelSpec::uniform(9, depth, Init::HeNormal);
        spec.train.loss = kind;
        spec.train.dropout = dropout;
        spec.seed = 5;
        spec.train.batch = 60;
        spec.train.epochs = 2;
        spec.train.optimizer = Optimizer::Sgd {
            lr: 1.0,
            momentum: 0.0,
        };
        let store = DataStore::new(Vec::new());
        let dataset = store
            .load(store.describe("gaussians").unwrap().hash)
            .unwrap();
        let data = prepare(&dataset, &spec.data).unwrap();
        let (before, after) = one_step(&spec);
        let mut weights: BTreeMap<String, Vec<f64>> = before
            .iter()
            .map(|(name, (_, numbers))| {
                (
                    name.clone(),
                    numbers.iter().map(|&w| f64::from(w)).collect(),
                )
            })
            .collect();
        let layers = if dropout > 0.0 { depth as usize } else { 0 };
        let factors: Vec<_> = (0..layers)
            .map(|layer| dropped(&spec, layer, 60, 9))
            .collect();
        let mut compared = 0;
        for (name, (_, numbers)) in &before {
            if !name.starts_with("layers.") {
                continue;
            }
            for index in (0..numbers.len()).step_by(3) {
                let h = 1e-6;
                let mut at = |value: f64| {
                    weights.get_mut(name).unwrap()[index] = value;
                    loss(kind, &data, depth, &weights, &factors)
                };
                let w = f64::from(numbers[index]);
                let slope = (at(w + h) - at(w - h)) / (2.0 * h);
                at(w);
                let gradient = w - f64::from(after[name].1[index]);
                assert!(
                    (gradient - slope).abs() < 2e-5 + 1e-4 * slope.abs(),
                    "{kind}, depth {depth}, {name}[{index}]: {gradient} and {slope}"
                );
                compared += 1;
            }
        }
        assert!(compared > 90);
    }
}
