//! Masks: exactly as many weights as asked for, zeros that stay zeros, biases that learn.

use std::collections::BTreeSet;

use descent_spec::trial::{Init, Loss, MaskSpec, ModelSpec, Optimizer, TrialSpec};

use crate::trial::{ADAM, SGD, alone, member, spec, start, tensors};

fn masked(density: f64, optimizer: Optimizer) -> TrialSpec {
    let mut spec = spec(1);
    spec.model = ModelSpec::Mlp {
        hidden: vec![21, 10],
        init: Init::GlorotUniform,
    };
    spec.mask = MaskSpec::Random { density };
    spec.train.optimizer = optimizer;
    spec.train.loss = Loss::CrossEntropy;
    spec.train.weight_decay = 0.01;
    spec
}

/// The places of a tensor that are zero to the bit.
fn zeros(numbers: &[f32]) -> BTreeSet<usize> {
    let zero = |(index, value): (usize, &f32)| (value.to_bits() == 0).then_some(index);
    numbers.iter().enumerate().filter_map(zero).collect()
}

#[test]
fn as_many_weights_as_asked_for() {
    for density in [1e-9, 0.013, 0.2, 0.5, 0.77, 1.0] {
        for (seed, optimizer) in [(0, SGD), (1, ADAM)] {
            let mut spec = masked(density, optimizer);
            spec.seed = seed;
            let (mut pack, failed) = start(vec![member(0, &spec)]);
            assert!(failed.is_empty());
            let before = tensors(&pack.checkpoint(0).unwrap());
            // Not to the end: what the optimizer remembers is looked at, too.
            pack.advance(7);
            let after = tensors(&pack.checkpoint(0).unwrap());
            for (name, (shape, numbers)) in &before {
                let biases = name.ends_with("bias");
                if !name.starts_with("layers.") || biases {
                    continue;
                }
                let weights: usize = shape.iter().product();
                let kept = (density * weights as f64).round() as usize;
                let dropped = zeros(numbers);
                assert_eq!(dropped.len(), weights - kept, "{name} at {density}");
                for (moved, (_, numbers)) in &after {
                    if moved.ends_with(name.as_str()) {
                        assert!(dropped.is_subset(&zeros(numbers)), "{moved} at {density}");
                    }
                }
            }
            let (_, bias) = &after["layers.2.bias"];
            assert!(bias.iter().all(|&bias| bias != 0.0), "biases learn");
        }
    }
}

#[test]
fn seeds_and_layers_keep_different_weights() {
    let dropped = |seed: u64, layer: usize| {
        let mut spec = masked(0.5, SGD);
        spec.model = ModelSpec::uniform(10, 3, Init::GlorotUniform);
        spec.seed = seed;
        let (pack, _) = start(vec![member(0, &spec)]);
        let tensors = tensors(&pack.checkpoint(0).unwrap());
        zeros(&tensors[&format!("layers.{layer}.weight")].1)
    };
    assert_eq!(dropped(0, 1), dropped(0, 1));
    assert_ne!(dropped(0, 1), dropped(1, 1));
    assert_ne!(dropped(0, 1), dropped(0, 2));
}

#[test]
fn a_mask_of_everything_is_none() {
    let mut spec = masked(1.0, ADAM);
    let all = alone(&spec);
    spec.mask = MaskSpec::None;
    assert_eq!(all, alone(&spec));
}
