//! Lottery tickets end to end: the largest weights survive, exactly as many as asked for, set back to the bit; the same bits in any
//! company and however often interrupted; looks between the epochs.

use std::collections::BTreeMap;

use descent_spec::architecture::Architecture;
use descent_spec::details::Details;
use descent_spec::trial::{
    Control, EvaluateSpec, Init, Loss, MaskSpec, ModelSpec, PruneMethod, PruneScope, Pruning,
    Spread, TrialSpec,
};
use descent_training::pack::Member;

use crate::trial::{ADAM, Story, finish, key, member, spec, start, tensors};

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

const DENSE: Pruning = Pruning {
    level: 0,
    rate: 0.2,
    conv_rate: 0.1,
    output_rate: 0.1,
    scope: PruneScope::Layer,
    method: PruneMethod::Iterative,
    rewind: 0,
    control: Control::Ticket,
    draw: 0,
};

fn at(level: u32) -> Pruning {
    Pruning { level, ..DENSE }
}

fn network(pruning: Pruning) -> TrialSpec {
    let mut spec = spec(1);
    spec.model = ModelSpec::Mlp {
        hidden: vec![21, 10],
        init: Init::GlorotNormal,
    };
    spec.train.optimizer = ADAM;
    spec.train.loss = Loss::CrossEntropy;
    spec.evaluate = EvaluateSpec {
        spread: Spread::Steps,
        points: 2,
        every: 3,
    };
    spec.mask = MaskSpec::Magnitude(pruning);
    spec
}

fn child(key: u64, spec: &TrialSpec, parent: &Story) -> Member {
    let mut member = member(key, spec);
    member.parent_weights.clone_from(&parent.weights);
    member
}

fn trained(spec: &TrialSpec, parent: Option<&Story>) -> Story {
    let one = match parent {
        Some(parent) => child(0, spec, parent),
        None => member(0, spec),
    };
    let story = finish(vec![one], u32::MAX).remove(0);
    assert_eq!(story.failure, None);
    story
}

fn file(story: &Story) -> Tensors {
    tensors(story.weights.as_ref().unwrap())
}

/// What a member begins with: its checkpoint before the first step.
fn beginning(one: Member) -> Tensors {
    let key = one.key;
    let (pack, failed) = start(vec![one]);
    assert!(failed.is_empty(), "{failed:?}");
    tensors(&pack.checkpoint(key).unwrap())
}

/// Places of a layer's weights that a file's mask keeps.
fn mask(tensors: &Tensors, layer: &str) -> Vec<f32> {
    tensors[&format!("mask.{layer}.weight")].1.clone()
}

#[test]
fn the_largest_survive_and_are_set_back() {
    let dense = trained(&network(DENSE), None);
    let ticket = trained(&network(at(1)), Some(&dense));
    let second = trained(&network(at(2)), Some(&ticket));
    let origin = beginning(member(0, &network(DENSE)));
    for (parent, this, level) in [(&dense, &ticket, 1), (&ticket, &second, 2)] {
        let (parent_file, this_file) = (file(parent), file(this));
        let began = beginning(child(0, &network(at(level)), parent));
        for (layer, rate) in [("layers.0", 0.2), ("layers.1", 0.2), ("layers.2", 0.1)] {
            let weight = format!("{layer}.weight");
            let trained = &parent_file[&weight].1;
            let before = match level {
                1 => vec![1.0; trained.len()],
                _ => mask(&parent_file, layer),
            };
            let now = mask(&this_file, layer);
            let count = |mask: &[f32]| mask.iter().filter(|&&kept| kept == 1.0).count();
            let left = count(&before) - (count(&before) as f64 * rate).round() as usize;
            assert_eq!(count(&now), left, "{layer} of level {level}");
            let kept = trained.iter().zip(&now).filter(|(_, kept)| **kept == 1.0);
            let least = kept
                .map(|(weight, _)| weight.abs())
                .fold(f32::INFINITY, f32::min);
            for ((weight, was), is) in trained.iter().zip(&before).zip(&now) {
                assert!(is <= was, "what is pruned stays pruned");
                assert!(*is == 1.0 || *was == 0.0 || weight.abs() <= least);
            }
            for (place, kept) in now.iter().enumerate() {
                let set_back = origin[&weight].1[place] * kept;
                assert_eq!(began[&weight].1[place], set_back);
                let end = this_file[&weight].1[place];
                assert!(*kept == 1.0 || end.to_bits() == 0, "masked weights stay 0");
            }
        }
    }
}

#[test]
fn controls_hang_on_the_same_parent() {
    let dense = trained(&network(DENSE), None);
    let of = |control, draw| {
        let pruning = Pruning {
            control,
            draw,
            ..at(1)
        };
        let story = trained(&network(pruning), Some(&dense));
        let began = beginning(child(0, &network(pruning), &dense));
        (file(&story), began)
    };
    let ticket = of(Control::Ticket, 0);
    let reinit = of(Control::Reinit, 0);
    let (again, other) = (of(Control::Reinit, 0), of(Control::Reinit, 1));
    let (random, sign) = (of(Control::Random, 0), of(Control::Sign, 0));
    assert_eq!(reinit, again);
    for layer in ["layers.0", "layers.1", "layers.2"] {
        let weight = format!("{layer}.weight");
        let began = |of: &(Tensors, Tensors)| of.1[&weight].1.clone();
        assert_eq!(mask(&reinit.0, layer), mask(&ticket.0, layer));
        assert_eq!(mask(&sign.0, layer), mask(&ticket.0, layer));
        assert_ne!(mask(&random.0, layer), mask(&ticket.0, layer));
        let size = |mask: Vec<f32>| mask.iter().sum::<f32>();
        assert_eq!(size(mask(&random.0, layer)), size(mask(&ticket.0, layer)));
        assert_ne!(began(&reinit), began(&ticket));
        assert_ne!(began(&reinit), began(&other));
        let magnitudes = |of: Vec<f32>| of.iter().map(|w| w.abs()).collect::<Vec<_>>();
        assert_eq!(magnitudes(began(&sign)), magnitudes(began(&reinit)));
        for (sign, ticket) in began(&sign).iter().zip(began(&ticket)) {
            assert!(sign * ticket >= 0.0);
        }
    }
}

#[test]
fn survivors_can_be_set_back_to_a_step_on_the_way() {
    let rewound = |level| Pruning {
        rewind: 5,
        ..at(level)
    };
    // Twelve steps: 4 an epoch, 3 epochs.
    let plain = trained(&network(DENSE), None);
    let dense = trained(&network(rewound(0)), None);
    assert_eq!(
        plain.result.unwrap().last,
        dense.result.clone().unwrap().last
    );
    let (mut pack, _) = start(vec![member(0, &network(DENSE))]);
    pack.advance(5);
    let on_the_way = tensors(&pack.checkpoint(0).unwrap());
    let ticket = trained(&network(rewound(1)), Some(&dense));
    let began = beginning(child(0, &network(rewound(1)), &dense));
    let kept = mask(&file(&ticket), "layers.0");
    for part in ["", "first_moment.", "second_moment."] {
        let name = format!("{part}layers.0.weight");
        for ((began, then), kept) in began[&name].1.iter().zip(&on_the_way[&name].1).zip(&kept) {
            assert_eq!(*began, then * kept, "{name}");
        }
        assert_eq!(began["layers.0.bias"], on_the_way["layers.0.bias"]);
    }
    // Interrupted before and after that step, the dense network carries the same on; the next level goes on from it.
    for steps in [2, 5, 7] {
        let (mut pack, _) = start(vec![member(0, &network(rewound(0)))]);
        pack.advance(steps);
        let mut resumed = member(0, &network(rewound(0)));
        resumed.checkpoint = pack.checkpoint(0);
        let resumed = finish(vec![resumed], 1).remove(0);
        assert_eq!(resumed.weights, dense.weights, "after {steps} steps");
    }
    let second = trained(&network(rewound(2)), Some(&ticket));
    assert_eq!(
        file(&second)["rewind.layers.1.weight"],
        on_the_way["layers.1.weight"]
    );
}

#[test]
fn company_and_interruptions_change_nothing() {
    let dense = trained(&network(DENSE), None);
    let second = Pruning {
        control: Control::Reinit,
        ..at(2)
    };
    let ticket = trained(&network(at(1)), Some(&dense));
    let specs = [network(DENSE), network(at(1)), network(second)];
    let with = |index: usize, spec: &TrialSpec| match index {
        0 => member(0, spec),
        1 => child(1, spec, &dense),
        _ => child(2, spec, &ticket),
    };
    let together = || {
        specs
            .iter()
            .enumerate()
            .map(|(index, spec)| with(index, spec))
    };
    let expected: Vec<Story> = together()
        .map(|one| {
            let mut one = one;
            one.key = 0;
            finish(vec![one], u32::MAX).remove(0)
        })
        .collect();
    assert_eq!(expected[1], ticket);
    assert!(expected.iter().all(|story| matches!(
        story.result.as_ref().unwrap().details,
        Some(Details::EarlyStop(_))
    )));
    for steps in [1, 5] {
        assert_eq!(finish(together().collect(), steps), expected);
        // Taken out and put in again at every turn.
        let mut stories = vec![Story::default(); 3];
        let mut members: Vec<Member> = together().collect();
        while !members.is_empty() {
            let (mut pack, failed) = start(members);
            let mut events = failed;
            events.extend(pack.advance(steps));
            for event in events {
                let key = usize::try_from(key(&event)).unwrap();
                stories[key].hear(event);
            }
            members = pack
                .progress()
                .iter()
                .map(|progress| {
                    let index = usize::try_from(progress.key).unwrap();
                    let mut again = with(index, &specs[index]);
                    again.checkpoint = pack.checkpoint(progress.key);
                    again
                })
                .collect();
        }
        assert_eq!(stories, expected);
    }
}

#[test]
fn the_early_stop_is_the_least_of_all_looks() {
    let spec = network(DENSE);
    let story = trained(&spec, None);
    let Some(Details::EarlyStop(best)) = story.result.unwrap().details else {
        panic!("looked at every third step");
    };
    assert_eq!(best.steps, 12);
    // The same looks, taken one training after the other.
    let mut looks = Vec::new();
    for epochs in 1..=3 {
        let mut shorter = spec.clone();
        shorter.train.epochs = epochs;
        shorter.evaluate.spread = Spread::End;
        let last = trained(&shorter, None).result.unwrap().last;
        looks.push((4 * u64::from(epochs), last.validation_loss, last.test_error));
    }
    // Epochs end at steps 4, 8 and 12; of those, every third step and the end are 12 alone.
    assert!(best.step % 3 == 0 && best.step > 0);
    assert!(best.validation_loss <= looks[2].1);
    if best.step == 12 {
        assert_eq!(best.test_error, looks[2].2);
    }
    let mut every_fourth = spec;
    every_fourth.evaluate.every = 4;
    let Some(Details::EarlyStop(best)) = trained(&every_fourth, None).result.unwrap().details
    else {
        panic!("looked at every fourth step");
    };
    let least = looks
        .iter()
        .min_by(|a, b| a.1.unwrap().total_cmp(&b.1.unwrap()));
    let (step, loss, error) = least.unwrap();
    assert_eq!(best.step, *step);
    assert_eq!((best.validation_loss, best.test_error), (*loss, *error));
}

#[test]
fn one_threshold_for_all_hidden_layers() {
    let dense = trained(&network(DENSE), None);
    let pruning = Pruning {
        scope: PruneScope::Global,
        ..at(1)
    };
    let story = trained(&network(pruning), Some(&dense));
    let (trained, file) = (file(&dense), file(&story));
    let mut kept = Vec::new();
    let mut pruned = Vec::new();
    for layer in ["layers.0", "layers.1"] {
        let weights = &trained[&format!("{layer}.weight")].1;
        for (weight, is) in weights.iter().zip(mask(&file, layer)) {
            let list = if is == 1.0 { &mut kept } else { &mut pruned };
            list.push(weight.abs());
        }
    }
    // 80 % of 20 · 21 and of 21 · 10 weights.
    assert_eq!(kept.len(), (kept.len() + pruned.len()) * 4 / 5);
    let largest = pruned.iter().copied().fold(0.0, f32::max);
    assert!(kept.iter().all(|&weight| weight >= largest));
}

#[test]
fn convolutions_are_pruned_at_their_own_rate() {
    let of = |pruning| {
        let mut spec = network(pruning);
        spec.data.dataset = "mnist-4k".to_owned();
        spec.data.samples = Some(40);
        spec.model = ModelSpec::Conv {
            architecture: Architecture::LeNet5,
            width: 2,
            batch_norm: false,
            init: Init::GlorotNormal,
        };
        spec.train.batch = 10;
        spec
    };
    for rewind in [0, 3] {
        let pruning = |level| Pruning {
            rewind,
            ..at(level)
        };
        let dense = trained(&of(pruning(0)), None);
        let first = trained(&of(pruning(1)), Some(&dense));
        let second = trained(&of(pruning(2)), Some(&first));
        let dense_file = file(&dense);
        let second_file = file(&second);
        let names: Vec<&String> = dense_file
            .keys()
            .filter(|name| name.ends_with("weight") && !name.starts_with("rewind."))
            .collect();
        assert_eq!(names.len(), 5);
        for (index, name) in names.iter().enumerate() {
            let weights = dense_file[*name].1.len();
            let rate = match (dense_file[*name].0.len(), dense_file[*name].0[0]) {
                (4, _) | (_, 10) => 0.1,
                _ => 0.2,
            };
            let step = |left: usize| left - (left as f64 * rate).round() as usize;
            let mask = &second_file[&format!("mask.{name}")].1;
            let kept: f32 = mask.iter().sum();
            assert_eq!(kept as usize, step(step(weights)), "{name} {index}");
            for (weight, kept) in second_file[*name].1.iter().zip(mask) {
                assert!(*kept == 1.0 || weight.to_bits() == 0);
            }
        }
        // Interrupted, the same bits.
        let (mut pack, _) = start(vec![child(0, &of(pruning(2)), &first)]);
        pack.advance(4);
        let mut resumed = child(0, &of(pruning(2)), &first);
        resumed.checkpoint = pack.checkpoint(0);
        let resumed = finish(vec![resumed], 1).remove(0);
        assert_eq!(resumed.weights, second.weights);
        assert_eq!(resumed.result, second.result);
    }
}

#[test]
fn without_its_parent_nothing_starts() {
    let dense = trained(&network(DENSE), None);
    let failure = |one: Member| finish(vec![one], 1).remove(0).failure.unwrap();
    let missing = failure(member(0, &network(at(1))));
    assert!(missing.starts_with("Artifact"), "{missing}");
    let mut wider = network(at(1));
    wider.model = ModelSpec::uniform(30, 2, Init::GlorotNormal);
    let other = failure(child(0, &wider, &dense));
    assert!(other.contains("another network"), "{other}");
    let rewound = Pruning { rewind: 5, ..at(1) };
    let unkept = failure(child(0, &network(rewound), &dense));
    assert!(
        unkept.contains("`rewind.layers.0.weight` is missing"),
        "{unkept}"
    );
    let mut broken = child(0, &network(at(1)), &dense);
    broken.parent_weights = Some(b"nothing".to_vec());
    assert!(failure(broken).contains("safetensors"));
}
