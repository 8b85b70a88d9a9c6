//! Convolution networks: gradients against finite differences of a loss computed here, in double precision; the same bits
//! alone, in company and resumed; masks.

use std::collections::BTreeMap;
use std::fs;

use descent_spec::architecture::{After, Architecture, Layer};
use descent_spec::robustness::{NormPart, Redraw, RobustnessSpec};
use descent_spec::trial::{
    AugmentSpec, EarlyStop, Init, Loss, MaskSpec, ModelSpec, Optimizer, ProjectionKind,
    SubspaceSpec, TrialSpec,
};
use descent_training::data::{DataStore, Prepared, prepare};
use descent_training::device::Device;
use descent_training::pack::{Member, Pack};
use descent_training::{open, open_with};
use tempfile::TempDir;

use crate::trial::{ADAM, Story, dropped, key, listen, spec, tensors};

const ROWS: u32 = 18;
const COLUMNS: u32 = 17;

/// A folder of images that are not square, 40 + 10 in three classes, and a store that knows it.
fn images() -> (TempDir, DataStore) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, header: &[u32], body: Vec<u8>| {
        let header = header.iter().flat_map(|number| number.to_be_bytes());
        let bytes: Vec<u8> = header.chain(body).collect();
        fs::write(folder.path().join(name), bytes).unwrap();
    };
    // Squares of a linear congruence: pixels without a pattern.
    let pixels = |count: u32, from: u32| {
        let pixel = |i: u32| {
            let x = (i.wrapping_add(from)).wrapping_mul(2_654_435_761);
            (x.wrapping_mul(x | 1) >> 24) as u8
        };
        (0..count * ROWS * COLUMNS).map(pixel).collect::<Vec<u8>>()
    };
    let labels = |count: u32| (0..count).map(|i| (i % 3) as u8).collect::<Vec<u8>>();
    file(
        "train-images-idx3-ubyte",
        &[2051, 40, ROWS, COLUMNS],
        pixels(40, 0),
    );
    file("train-labels-idx1-ubyte", &[2049, 40], labels(40));
    file(
        "t10k-images-idx3-ubyte",
        &[2051, 10, ROWS, COLUMNS],
        pixels(10, 99_999),
    );
    file("t10k-labels-idx1-ubyte", &[2049, 10], labels(10));
    (folder, DataStore::new(Vec::new()))
}

const fn plain(architecture: Architecture, width: u32) -> ModelSpec {
    ModelSpec::Conv {
        architecture,
        width,
        batch_norm: architecture.is_normalised(),
        init: Init::HeNormal,
    }
}

/// Every architecture, one with maxima of squares with batch normalisation too, and dense layers with it.
fn models(width: u32) -> Vec<ModelSpec> {
    let mut models: Vec<ModelSpec> = Architecture::ALL
        .iter()
        .map(|&architecture| plain(architecture, width))
        .collect();
    models.push(ModelSpec::Conv {
        architecture: Architecture::LeNet5,
        width,
        batch_norm: true,
        init: Init::HeNormal,
    });
    models.push(ModelSpec::NormalisedMlp {
        hidden: vec![width + 2, 5],
        init: Init::HeNormal,
    });
    models
}

/// A network on some of those images: 3 epochs of 2 batches, measured after each.
fn network(folder: &TempDir, architecture: Architecture, width: u32) -> TrialSpec {
    let mut spec = spec(1);
    spec.data.dataset = format!("{}/", folder.path().display());
    spec.data.samples = Some(30);
    spec.data.validation = 3;
    spec.data.test_samples = Some(10);
    spec.model = plain(architecture, width);
    spec.train.batch = 18;
    spec.train.optimizer = Optimizer::Sgd {
        lr: 0.01,
        momentum: 0.9,
    };
    spec
}

fn member(store: &DataStore, key: u64, spec: &TrialSpec) -> Member {
    Member {
        key,
        spec: spec.clone(),
        data: store.describe(&spec.data.dataset).unwrap().hash,
        checkpoint: None,
        parent_weights: None,
    }
}

fn pack(store: &DataStore, members: Vec<Member>) -> Box<dyn Pack> {
    let (pack, failed) = open(members, store, &Device::Cpu);
    assert!(failed.is_empty(), "{failed:?}");
    pack
}

fn alone(store: &DataStore, spec: &TrialSpec) -> Story {
    let pack = pack(store, vec![member(store, 0, spec)]);
    listen(1, (pack, Vec::new()), u32::MAX).remove(0)
}

/// Activations of all samples: `[samples][channels][rows][columns]`.
struct Maps {
    extent: (usize, usize, usize),
    values: Vec<Vec<f64>>,
}

/// Sums of a layer, as its definition says.
fn convolve(layer: &Layer, x: &Maps, weight: &[f64], bias: Option<&Vec<f64>>) -> Maps {
    let (channels, height, width) = x.extent;
    let (rows, columns) = (layer.places.0 as usize, layer.places.1 as usize);
    let (kernel, outputs) = (layer.kernel as usize, layer.outputs as usize);
    let at = |values: &[f64], channel: usize, row: usize, column: usize| {
        let (row, column) = (
            row.checked_sub(layer.padding as usize),
            column.checked_sub(layer.padding as usize),
        );
        match (row, column) {
            (Some(row), Some(column)) if row < height && column < width => {
                values[(channel * height + row) * width + column]
            }
            _ => 0.0,
        }
    };
    let sums = |values: &Vec<f64>| {
        let mut sums = Vec::new();
        for output in 0..outputs {
            for row in 0..rows {
                for column in 0..columns {
                    let mut sum = bias.map_or(0.0, |bias| bias[output]);
                    for channel in 0..channels {
                        for i in 0..kernel {
                            for j in 0..kernel {
                                let stride = layer.stride as usize;
                                let x = at(values, channel, row * stride + i, column * stride + j);
                                let w = ((output * channels + channel) * kernel + i) * kernel + j;
                                sum += weight[w] * x;
                            }
                        }
                    }
                    sums.push(sum);
                }
            }
        }
        sums
    };
    Maps {
        extent: (outputs, rows, columns),
        values: x.values.iter().map(sums).collect(),
    }
}

/// Normalises every channel by the batch's own mean and variance.
fn normalise(maps: &mut Maps, scale: &[f64], shift: &[f64]) {
    let plane = maps.extent.1 * maps.extent.2;
    for channel in 0..maps.extent.0 {
        let range = channel * plane..(channel + 1) * plane;
        let all: Vec<f64> = maps
            .values
            .iter()
            .flat_map(|values| values[range.clone()].to_vec())
            .collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / all.len() as f64;
        for values in &mut maps.values {
            for x in &mut values[range.clone()] {
                *x = (*x - mean) / (variance + 1e-5).sqrt() * scale[channel] + shift[channel];
            }
        }
    }
}

fn relu(maps: &mut Maps) {
    for x in maps.values.iter_mut().flatten() {
        *x = x.max(0.0);
    }
}

fn pool(maps: &Maps) -> Maps {
    let (channels, height, width) = maps.extent;
    let top = |values: &Vec<f64>| {
        let mut tops = Vec::new();
        for channel in 0..channels {
            for row in 0..height / 2 {
                for column in 0..width / 2 {
                    let at = |i: usize, j: usize| {
                        values[(channel * height + 2 * row + i) * width + 2 * column + j]
                    };
                    tops.push(at(0, 0).max(at(0, 1)).max(at(1, 0)).max(at(1, 1)));
                }
            }
        }
        tops
    };
    Maps {
        extent: (channels, height / 2, width / 2),
        values: maps.values.iter().map(top).collect(),
    }
}

/// Adds a block's input: every other row and column of it where the block halves them, in the middle channels.
fn add_shortcut(maps: &mut Maps, from: &Maps) {
    let (channels, rows, columns) = maps.extent;
    let (inputs, height, width) = from.extent;
    let stride = if height == rows { 1 } else { 2 };
    let before = (channels - inputs) / 2;
    for (to, from) in maps.values.iter_mut().zip(&from.values) {
        for channel in 0..inputs {
            for row in 0..rows {
                for column in 0..columns {
                    to[((channel + before) * rows + row) * columns + column] +=
                        from[(channel * height + row * stride) * width + column * stride];
                }
            }
        }
    }
}

type Weights = BTreeMap<String, Vec<f64>>;

/// The loss that training minimises, on all training samples.
fn loss(
    kind: Loss,
    data: &Prepared,
    layers: &[Layer],
    names: &[(String, String)],
    weights: &Weights,
    factors: &[Vec<Vec<f64>>],
) -> f64 {
    let image = data.image.unwrap();
    let mut maps = Maps {
        extent: if layers[0].is_convolution {
            (
                image.channels as usize,
                image.height as usize,
                image.width as usize,
            )
        } else {
            (data.inputs, 1, 1)
        },
        values: data
            .train_x
            .chunks_exact(data.inputs)
            .map(|x| x.iter().map(|&x| f64::from(x)).collect())
            .collect(),
    };
    let mut before: Option<Maps> = None;
    for (index, (layer, (name, norm))) in layers.iter().zip(names).enumerate() {
        if !layer.is_convolution {
            let (channels, height, width) = maps.extent;
            if channels * height * width != layer.inputs as usize {
                let plane = (height * width) as f64;
                for values in &mut maps.values {
                    let planes = values.chunks_exact(height * width);
                    *values = planes.map(|x| x.iter().sum::<f64>() / plane).collect();
                }
            }
            maps.extent = (layer.inputs as usize, 1, 1);
            // Sample by sample; empty where nothing is left out.
            for (values, factors) in maps.values.iter_mut().zip(&factors[index]) {
                values.iter_mut().zip(factors).for_each(|(a, f)| *a *= f);
            }
        }
        let bias = weights.get(&format!("{name}.bias"));
        let mut sums = convolve(layer, &maps, &weights[&format!("{name}.weight")], bias);
        if layer.is_normalised() {
            let scale = &weights[&format!("{norm}.weight")];
            normalise(&mut sums, scale, &weights[&format!("{norm}.bias")]);
        }
        if layer.after == After::NormAddRelu {
            add_shortcut(&mut sums, before.as_ref().unwrap());
        }
        if layer.after != After::Nothing {
            relu(&mut sums);
        }
        if layer.after.pools() {
            sums = pool(&sums);
        }
        before = Some(std::mem::replace(&mut maps, sums));
    }
    let samples = maps.values.iter().zip(&data.train_y);
    let total: f64 = samples
        .map(|(f, &label)| {
            let label = usize::from(label);
            match kind {
                Loss::Squared => {
                    let one = |class: usize| f64::from(u8::from(class == label));
                    let errors = f.iter().enumerate().map(|(class, f)| f - one(class));
                    errors.map(|error| error * error).sum()
                }
                Loss::CrossEntropy => f.iter().map(|f| f.exp()).sum::<f64>().ln() - f[label],
            }
        })
        .sum();
    total / data.train_y.len() as f64
}

fn names(model: &ModelSpec, layers: usize) -> Vec<(String, String)> {
    if model.word() != "resnet-20" {
        return (0..layers)
            .map(|index| (format!("layers.{index}"), format!("norms.{index}")))
            .collect();
    }
    let mut names = vec![("conv1".to_owned(), "bn1".to_owned())];
    for stage in 1..=3 {
        for block in 0..3 {
            for half in 1..=2 {
                let within = format!("layer{stage}.{block}");
                names.push((format!("{within}.conv{half}"), format!("{within}.bn{half}")));
            }
        }
    }
    names.push(("fc".to_owned(), String::new()));
    names
}

#[test]
fn one_step_goes_down_the_gradient() {
    let (folder, store) = images();
    for model in models(2) {
        // A whole forward pass in double precision for each compared number: both losses for the smallest networks only.
        let kinds: &[Loss] = match model.word() {
            "lenet-5" | "mlp" => &[Loss::Squared, Loss::CrossEntropy],
            "resnet-20" => &[Loss::CrossEntropy],
            _ => &[Loss::Squared],
        };
        for &kind in kinds {
            let mut spec = network(&folder, Architecture::LeNet5, 2);
            spec.model = model.clone();
            spec.data.samples = Some(18);
            spec.train.loss = kind;
            // Dropout goes with one of the two losses, so that both ways are looked at.
            if kind == Loss::CrossEntropy {
                spec.train.dropout = 0.3;
            }
            spec.train.optimizer = Optimizer::Sgd {
                lr: 1.0,
                momentum: 0.0,
            };
            let mut pack = pack(&store, vec![member(&store, 0, &spec)]);
            let before = tensors(&pack.checkpoint(0).unwrap());
            pack.advance(1);
            let after = tensors(&pack.checkpoint(0).unwrap());
            let hash = store.describe(&spec.data.dataset).unwrap().hash;
            let data = prepare(&store.load(hash).unwrap(), &spec.data).unwrap();
            let inputs = data.inputs.try_into().unwrap();
            let layers = model.layers(inputs, data.image, 3).unwrap().unwrap();
            let names = names(&model, layers.len());
            let left_out = |(index, layer): (usize, &Layer)| {
                // What comes from outside is not left out.
                if index == 0 || layer.is_convolution || spec.train.dropout == 0.0 {
                    Vec::new()
                } else {
                    dropped(&spec, index, 18, layer.inputs as usize)
                }
            };
            let factors: Vec<_> = layers.iter().enumerate().map(left_out).collect();
            let mut weights: Weights = before
                .iter()
                .map(|(name, (_, numbers))| {
                    (
                        name.clone(),
                        numbers.iter().map(|&w| f64::from(w)).collect(),
                    )
                })
                .collect();
            let mut compared = 0;
            for (name, (_, numbers)) in &before {
                if name.starts_with("velocity") || name.contains("running") {
                    continue;
                }
                for index in [numbers.len() / 3, numbers.len() - 1] {
                    let h = 1e-6;
                    let w = f64::from(numbers[index]);
                    let mut at = |value: f64| {
                        weights.get_mut(name).unwrap()[index] = value;
                        loss(kind, &data, &layers, &names, &weights, &factors)
                    };
                    let slope = (at(w + h) - at(w - h)) / (2.0 * h);
                    at(w);
                    let gradient = w - f64::from(after[name].1[index]);
                    assert!(
                        (gradient - slope).abs() < 1e-4 + 1e-3 * slope.abs(),
                        "{model:?}, {kind}, {name}[{index}]: {gradient} and {slope}"
                    );
                    compared += 1;
                }
            }
            assert!(compared >= 12);
        }
    }
}

#[test]
fn neither_company_nor_interruption_changes_a_bit() {
    let (folder, store) = images();
    let mut specs: Vec<TrialSpec> = Architecture::ALL
        .iter()
        .map(|&architecture| network(&folder, architecture, 3))
        .collect();
    specs[0].train.optimizer = ADAM;
    specs[1].train.weight_decay = 0.01;
    specs[4].train.batch = 7;
    specs[0].train.dropout = 0.2;
    specs[1].train.augment = AugmentSpec {
        shift: 2,
        flip: true,
    };
    for spec in [0, 4] {
        specs[spec].robustness = Some(RobustnessSpec {
            checkpoints: vec![0, 1, 3],
            tested: vec![2],
            redraw: Redraw::Initial,
            norm: NormPart::All,
            dropout: spec == 0,
        });
    }
    specs[2].train.early_stop = EarlyStop::ValidationError;
    specs[2].train.patience = 1;
    specs[4].train.dropout = 0.1;
    for (spec, projection) in [(1, ProjectionKind::Dense), (4, ProjectionKind::Fastfood)] {
        let mut within = specs[spec].clone();
        within.subspace = Some(SubspaceSpec {
            dim: 20,
            projection,
            search: None,
        });
        specs.push(within);
    }
    for model in models(3).split_off(Architecture::ALL.len()) {
        let mut normalised = network(&folder, Architecture::LeNet5, 3);
        normalised.model = model;
        normalised.train.weight_decay = 0.01;
        normalised.train.dropout = 0.1;
        specs.push(normalised);
    }
    // A dense network keeps them company.
    let mut dense = network(&folder, Architecture::LeNet5, 1);
    dense.model = ModelSpec::uniform(5, 1, Init::HeNormal);
    specs.push(dense);
    let members = |specs: &[TrialSpec]| {
        let members = specs.iter().zip(0..);
        members
            .map(|(spec, key)| member(&store, key, spec))
            .collect::<Vec<_>>()
    };
    let mut stories = vec![Story::default(); specs.len()];
    let mut first = pack(&store, members(&specs));
    for event in first.advance(3) {
        stories[usize::try_from(key(&event)).unwrap()].hear(event);
    }
    let mut again = members(&specs);
    again.reverse();
    for member in &mut again {
        member.checkpoint = first.checkpoint(member.key);
        assert!(member.checkpoint.is_some());
    }
    let mut second = pack(&store, again);
    while !second.progress().is_empty() {
        for event in second.advance(2) {
            stories[usize::try_from(key(&event)).unwrap()].hear(event);
        }
    }
    for (spec, story) in specs.iter().zip(stories) {
        assert_eq!(story, alone(&store, spec));
        let result = story.result.unwrap();
        assert!(result.weights.is_some());
        assert_eq!(result.details.is_some(), spec.robustness.is_some());
    }
}

#[test]
fn instruction_sets_give_the_same_bits() {
    let (folder, store) = images();
    for model in models(5) {
        let mut spec = network(&folder, Architecture::LeNet5, 5);
        spec.model = model;
        spec.train.loss = Loss::CrossEntropy;
        let trained = |instruction_set: &str| {
            let members = vec![member(&store, 0, &spec)];
            let opened = open_with(members, &store, instruction_set)?;
            let mut story = listen(1, opened, 5).remove(0);
            if let Some(result) = &mut story.result {
                result.instruction_set.clear();
            }
            Some(story)
        };
        if let (Some(wide), Some(narrow)) = (trained("avx512"), trained("avx2")) {
            assert_eq!(wide, narrow, "{:?}", spec.model);
        }
    }
}

#[test]
fn every_network_learns() {
    let (folder, store) = images();
    for model in models(6) {
        let mut spec = network(&folder, Architecture::LeNet5, 6);
        spec.model = model;
        spec.train.epochs = 30;
        spec.train.loss = Loss::CrossEntropy;
        spec.train.optimizer = ADAM;
        let story = alone(&store, &spec);
        let last = story.measured.last().unwrap();
        assert!(
            last.train_loss < story.measured[0].train_loss,
            "{:?}: {:?}",
            spec.model,
            story.measured
        );
        assert_eq!(last.dead_units, None);
        let result = story.result.unwrap();
        let held = tensors(&story.weights.unwrap());
        let trained = held.iter().filter(|(name, _)| !name.contains("running"));
        let numbers: usize = trained.map(|(_, (_, numbers))| numbers.len()).sum();
        assert_eq!(result.parameters, numbers as u64, "{:?}", spec.model);
    }
}

#[test]
fn dropped_weights_stay_at_zero() {
    let (folder, store) = images();
    for (architecture, optimizer) in [
        (Architecture::LeNet5, ADAM),
        (Architecture::ResNet20, crate::trial::SGD),
    ] {
        let mut spec = network(&folder, architecture, 4);
        spec.mask = MaskSpec::Random { density: 0.3 };
        spec.train.optimizer = optimizer;
        spec.train.weight_decay = 0.1;
        let mut pack = pack(&store, vec![member(&store, 0, &spec)]);
        pack.advance(3);
        let held = tensors(&pack.checkpoint(0).unwrap());
        for (name, (shape, numbers)) in &held {
            let zeros = numbers.iter().filter(|&&w| w == 0.0).count();
            let weights = shape.len() > 1;
            let kept = (0.3 * numbers.len() as f64).round() as usize;
            if weights && !name.contains("moment") && !name.contains("velocity") {
                assert_eq!(numbers.len() - zeros, kept, "{name}");
            } else if weights {
                assert!(zeros >= numbers.len() - kept, "{name}");
            }
        }
    }
}

#[test]
fn checkpoints_of_other_networks_and_samples_that_are_no_images_are_refused() {
    let (folder, store) = images();
    let spec = network(&folder, Architecture::LeNet5, 2);
    let bytes = pack(&store, vec![member(&store, 0, &spec)]).checkpoint(0);
    let mut wider = member(&store, 1, &network(&folder, Architecture::LeNet5, 3));
    let mut other = member(&store, 2, &network(&folder, Architecture::ResNet20, 2));
    let mut same = member(&store, 3, &spec);
    for member in [&mut wider, &mut other, &mut same] {
        member.checkpoint.clone_from(&bytes);
    }
    let mut points = spec.clone();
    points.data.dataset = "gaussians".to_owned();
    let points = member(&store, 4, &points);
    let (pack, failed) = open(vec![wider, other, same, points], &store, &Device::Cpu);
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert_eq!(pack.progress()[0].key, 3);
}
