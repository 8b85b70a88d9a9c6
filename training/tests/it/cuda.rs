//! Packs on a CUDA device against the processor. Without a device that answers, each test says why it checks nothing.

use descent_spec::trial::{Init, Loss, MaskSpec, ModelSpec, Optimizer, Schedule, TrialSpec};
use descent_training::data::DataStore;
use descent_training::device::Device;
use descent_training::open;
use descent_training::pack::{Event, Member, Pack};

use crate::trial::{ADAM, Story, alone, key, listen, member, spec};

const DEVICE: Device = Device::Cuda(0);

/// Whether there is a device; says what is wrong with it otherwise.
#[expect(clippy::print_stderr, reason = "a test says why it checks nothing")]
fn is_there() -> bool {
    let checked = DEVICE.check();
    if let Err(error) = &checked {
        eprintln!("skipped: {error}");
    }
    checked.is_ok()
}

fn start(members: Vec<Member>) -> (Box<dyn Pack>, Vec<Event>) {
    open(members, &DataStore::new(Vec::new()), &DEVICE)
}

fn members(specs: &[TrialSpec]) -> Vec<Member> {
    specs
        .iter()
        .zip(0..)
        .map(|(spec, key)| member(key, spec))
        .collect()
}

fn train(specs: &[TrialSpec], steps: u32) -> Vec<Story> {
    listen(specs.len(), start(members(specs)), steps)
}

/// Members of one and of several groups: shapes, losses, optimizers, masks and noise of all kinds. 60 samples in batches of 16.
fn many() -> Vec<TrialSpec> {
    let with = |width, change: &dyn Fn(&mut TrialSpec)| {
        let mut spec = spec(width);
        spec.seed = u64::from(width);
        spec.train.optimizer = Optimizer::Sgd {
            lr: 0.02,
            momentum: 0.9,
        };
        change(&mut spec);
        spec
    };
    let shaped = |spec: &mut TrialSpec, hidden: &[u32]| {
        spec.model = ModelSpec::Mlp {
            hidden: hidden.to_vec(),
            init: Init::HeNormal,
        };
    };
    vec![
        with(3, &|_| {}),
        with(12, &|spec| spec.data.label_noise = 0.2),
        with(300, &|spec| {
            spec.train.loss = Loss::CrossEntropy;
            spec.mask = MaskSpec::Random { density: 0.3 };
            spec.train.weight_decay = 0.01;
        }),
        with(40, &|spec| {
            spec.train.optimizer = ADAM;
            spec.train.schedule = Schedule::Cosine;
        }),
        with(20, &|spec| shaped(spec, &[30, 100])),
        with(21, &|spec| {
            shaped(spec, &[65, 17, 64]);
            spec.train.optimizer = ADAM;
            spec.train.loss = Loss::CrossEntropy;
        }),
    ]
}

/// Losses to 1e-3 of themselves, errors to one sample of the smallest split.
fn assert_close(name: &str, device: &Story, processor: &Story) {
    assert_eq!(device.failure, None, "{name}");
    assert_eq!(device.measured.len(), processor.measured.len(), "{name}");
    for (a, b) in device.measured.iter().zip(&processor.measured) {
        for (a, b) in [
            (a.train_loss, b.train_loss),
            (a.validation_loss, b.validation_loss),
            (a.test_loss, b.test_loss),
        ] {
            let (a, b) = (a.unwrap(), b.unwrap());
            assert!((a - b).abs() <= 1e-3 * b, "{name}: {a} and {b}");
        }
        let (a, b) = (a.train_error.unwrap(), b.train_error.unwrap());
        assert!((a - b).abs() <= 1.01 / 60.0, "{name}: {a} and {b}");
    }
    let stop = |story: &Story| story.result.as_ref().unwrap().stop;
    assert_eq!(stop(device), stop(processor), "{name}");
}

#[test]
fn numbers_are_the_processors_within_tolerance() {
    if !is_there() {
        return;
    }
    let specs = many();
    for (index, (spec, story)) in specs.iter().zip(train(&specs, 7)).enumerate() {
        assert_close(&format!("member {index}"), &story, &alone(spec));
        let result = story.result.unwrap();
        assert_eq!(result.device, "cuda:0");
        assert!(result.instruction_set.starts_with("cuda-sm"));
    }
}

#[test]
fn a_pack_repeats_its_bits() {
    if !is_there() {
        return;
    }
    // Slices of any length, too: a step is the same recorded and not.
    assert_eq!(train(&many(), 7), train(&many(), 1));
    let narrow: Vec<_> = (0..200).map(|_| spec(8)).collect();
    let stories = train(&narrow, u32::MAX);
    assert!(stories.iter().all(|story| story.result.is_some()));
    assert_eq!(stories, train(&narrow, 3));
}

#[test]
fn a_checkpoint_goes_on_in_the_same_pack_and_in_another() {
    if !is_there() {
        return;
    }
    let specs = many();
    let whole = train(&specs, u32::MAX);
    let (mut pack, _) = start(members(&specs));
    let mut stories = vec![Story::default(); specs.len()];
    for event in pack.advance(6) {
        stories[usize::try_from(key(&event)).unwrap()].hear(event);
    }
    let resumed = |index: usize, name: u64| {
        let mut member = member(name, &specs[index]);
        member.checkpoint = pack.checkpoint(index as u64);
        assert!(member.checkpoint.is_some());
        member
    };
    // All of them again: the same bits.
    let all = (0..specs.len()).map(|index| resumed(index, index as u64));
    let rest = listen(specs.len(), start(all.collect()), 5);
    for ((mut story, rest), whole) in stories.clone().into_iter().zip(rest).zip(&whole) {
        story.measured.extend(rest.measured);
        (story.result, story.weights) = (rest.result, rest.weights);
        assert_eq!(&story, whole);
    }
    // Each alone: the same numbers within tolerance.
    for (index, whole) in whole.iter().enumerate() {
        let mut story = stories[index].clone();
        let rest = listen(1, start(vec![resumed(index, 0)]), 5).remove(0);
        story.measured.extend(rest.measured);
        (story.result, story.weights) = (rest.result, rest.weights);
        assert_close(&format!("member {index}"), &story, whole);
    }
}

#[test]
fn members_that_diverge_leave_the_others_alone() {
    if !is_there() {
        return;
    }
    let mut specs = many();
    specs[1].train.optimizer = Optimizer::Sgd {
        lr: 1e6,
        momentum: 0.5,
    };
    let stories = train(&specs, 7);
    assert!(stories[1].result.as_ref().unwrap().diverged);
    assert_close("beside one that diverges", &stories[0], &alone(&specs[0]));
}
