//! Codes of labels: nothing that the receiver cannot know, and no trace of company or interruptions.

use descent_spec::details::{Code, DescriptionLength, Details};
use descent_spec::params::Params;
use descent_spec::trial::TrialSpec;
use descent_training::data::{DataStore, prepare};
use descent_training::device::Device;
use descent_training::open;
use descent_training::pack::{Event, Member};

use crate::trial::{Story, finish, key, member, start};

fn spec(settings: &str) -> TrialSpec {
    let settings = format!(
        r#"{{"experiment":"description-length","train.loss":"cross-entropy","train.optimizer.kind":"adam","train.optimizer.lr":0.003,{settings}}}"#
    );
    Params::from_json(&settings).unwrap().resolve().unwrap()
}

fn description(story: &Story) -> &DescriptionLength {
    let details = story
        .result
        .as_ref()
        .unwrap_or_else(|| panic!("{:?}", story.failure))
        .details
        .as_ref();
    let Some(Details::DescriptionLength(description)) = details else {
        panic!("{details:?}")
    };
    description
}

fn code<'a>(description: &'a DescriptionLength, name: &str) -> &'a Code {
    let found = description.codes.iter().find(|code| code.code == name);
    found.unwrap_or_else(|| panic!("no {name} among {:?}", description.codes))
}

fn bits(description: &DescriptionLength, name: &str) -> f64 {
    let code = code(description, name);
    code.model_bits + code.label_bits
}

const DIGITS: &str = r#""model.shape":"40","data.dataset":"mnist-4k","data.samples":600,"data.test_samples":200,"train.batch":32,
    "train.epochs":8,"code.steps":80,"code.holdout":0.2,"evaluate.points":8"#;

#[test]
fn true_labels_compress_and_random_ones_do_not() {
    let specs = [
        spec(DIGITS),
        spec(&format!(r#"{DIGITS},"data.labels":"random""#)),
    ];
    let members = (0..).zip(&specs).map(|(key, spec)| member(key, spec));
    let stories = finish(members.collect(), 64);
    let [learned, random] = [&stories[0], &stories[1]].map(description);
    let uniform = 600.0 * 10_f64.log2();
    for description in [learned, random] {
        assert!((bits(description, "uniform") - uniform).abs() < 1e-9);
        let blocks: Vec<(u32, u32)> = description
            .blocks
            .iter()
            .map(|block| (block.sent, block.samples))
            .collect();
        let doubling = [(0, 8), (8, 8), (16, 16), (32, 32), (64, 64), (128, 128)];
        assert_eq!(blocks[..6], doubling);
        assert_eq!(blocks[6..], [(256, 256), (512, 88)]);
        assert_eq!(
            description.blocks[0].bits,
            description.blocks[0].uniform_bits
        );
        let sum: f64 = description.blocks.iter().map(|block| block.bits).sum();
        assert!((sum - bits(description, "prequential")).abs() < 1e-9);
        // 32 bits a weight, and the labels beside them.
        let exact = code(description, "two-part");
        assert_eq!(exact.model_bits, 32.0 * f64::from(785 * 40 + 41 * 10));
        let rounded = code(description, "two-part-quantised");
        assert!(rounded.weight_bits.unwrap() < 32);
        assert!(bits(description, "two-part-quantised") < 0.5 * bits(description, "two-part"));
    }
    assert!(bits(learned, "prequential") < 0.6 * uniform, "{learned:?}");
    assert!(bits(learned, "prequential-switch") < 0.6 * uniform);
    assert!(bits(random, "prequential") > uniform - 10.0, "{random:?}");
    assert!(bits(random, "prequential-switch") > uniform - 10.0);
    let error = stories[0].result.as_ref().unwrap().last.test_error;
    assert_eq!(code(learned, "prequential").test_error, error);
}

#[test]
fn a_block_knows_nothing_of_the_labels_after_it() {
    // Fewer samples are the first ones of more; their mean image is not.
    let of = |samples: u32, more: &str| {
        let data = r#""data.dataset":"mnist-4k","data.centre":false,"data.test_samples":10"#;
        let train = r#""model.width":12,"train.batch":8,"train.epochs":6,"evaluate.points":5"#;
        spec(&format!(r#"{data},{train},"data.samples":{samples}{more}"#))
    };
    for more in ["", r#","code.holdout":0.3,"code.patience":2"#] {
        let [few, many] = [of(64, more), of(100, more)].map(|spec| {
            let story = finish(vec![member(0, &spec)], u32::MAX).remove(0);
            description(&story).blocks.clone()
        });
        assert_eq!(few[..4], many[..4]);
        assert_eq!((few.len(), many.len()), (4, 5));
    }
}

#[test]
fn in_a_subspace_its_coordinates_are_what_is_sent() {
    let spec = spec(&format!(r#"{DIGITS},"data.samples":100,"subspace.dim":50"#));
    let story = finish(vec![member(0, &spec)], u32::MAX).remove(0);
    let description = description(&story);
    let exact = code(description, "intrinsic-dimension");
    assert_eq!(exact.model_bits, 50.0 * 32.0);
    // Sixteen bits of each number code nearly as well as all of them.
    let rounded = code(description, "intrinsic-dimension-quantised");
    assert!(rounded.model_bits < 0.6 * exact.model_bits);
    assert!(
        rounded.label_bits < exact.label_bits + 50.0,
        "{rounded:?} {exact:?}"
    );
}

#[test]
fn rounding_to_sixteen_bits_loses_next_to_nothing() {
    let spec = spec(&format!(
        r#"{DIGITS},"data.samples":40,"data.labels":"random","train.epochs":1"#
    ));
    let story = finish(vec![member(0, &spec)], u32::MAX).remove(0);
    let description = description(&story);
    let [exact, rounded] = ["two-part", "two-part-quantised"].map(|name| code(description, name));
    assert!((rounded.label_bits / exact.label_bits - 1.0).abs() < 0.3);
}

/// Everything that a pack tells from where its members are, a few steps at a time.
fn stories(members: Vec<Member>, steps: u32) -> Vec<Story> {
    let keys: Vec<u64> = members.iter().map(|member| member.key).collect();
    let mut stories = vec![Story::default(); keys.len()];
    let (mut pack, mut events) = start(members);
    loop {
        for event in events {
            let place = keys.iter().position(|&known| known == key(&event));
            stories[place.unwrap()].hear(event);
        }
        if pack.progress().is_empty() {
            return stories;
        }
        events = pack.advance(steps);
    }
}

#[test]
fn company_and_interruptions_leave_no_trace() {
    let common = r#""data.dataset":"gaussians","data.samples":70,"data.test_samples":30,"train.batch":10,"code.steps":12,"evaluate.points":6"#;
    let specs = [
        spec(&format!(r#"{common},"model.width":6,"train.epochs":5"#)),
        spec(&format!(
            r#"{common},"model.shape":"7-5","train.epochs":7,"code.holdout":0.25,"code.patience":2,"seed":1"#
        )),
        spec(&format!(
            r#"{common},"model.width":6,"train.epochs":5,"data.labels":"random","subspace.dim":20"#
        )),
    ];
    let members = || -> Vec<Member> {
        let members = (0..).zip(&specs);
        members.map(|(key, spec)| member(key, spec)).collect()
    };
    let alone: Vec<Story> = members()
        .into_iter()
        .flat_map(|member| stories(vec![member], u32::MAX))
        .collect();
    assert!(alone.iter().all(|story| story.result.is_some()));
    assert_eq!(stories(members(), 3), alone);
    // Every few slices everybody is saved and starts again elsewhere; one that has ended stays away.
    let mut members = members();
    let mut ended: Vec<Option<Story>> = vec![None; 3];
    let (mut saved, mut last) = (0, vec![0; 3]);
    while !members.is_empty() {
        let (mut pack, mut events) = start(std::mem::take(&mut members));
        for _ in 0..4 {
            events.extend(pack.advance(5));
        }
        for progress in pack.progress() {
            let place = usize::try_from(progress.key).unwrap();
            assert!(progress.step >= last[place] && progress.epoch <= 7);
            last[place] = progress.step;
            let mut next = member(progress.key, &specs[place]);
            next.checkpoint = Some(pack.checkpoint(progress.key).unwrap());
            members.push(next);
            saved += 1;
        }
        for event in events {
            if matches!(event, Event::Finished { .. } | Event::Failed { .. }) {
                let place = usize::try_from(key(&event)).unwrap();
                ended[place].get_or_insert_default().hear(event);
            }
        }
    }
    assert!(saved > 20, "{saved}");
    for (ended, alone) in ended.into_iter().zip(&alone) {
        let ended = ended.unwrap();
        assert_eq!((&ended.result, &ended.failure), (&alone.result, &None));
        assert_eq!(ended.weights, alone.weights);
    }
}

#[test]
fn a_checkpoint_of_another_trial_is_refused() {
    let of = |more: &str| {
        spec(&format!(
            r#""data.dataset":"gaussians","data.samples":40,"train.batch":10,"train.epochs":5,"model.width":6{more}"#
        ))
    };
    let (mut pack, _) = start(vec![member(0, &of(""))]);
    pack.advance(3);
    let checkpoint = pack.checkpoint(0);
    assert!(checkpoint.is_some());
    for other in [
        of(r#","model.depth":2"#),
        of(r#","train.optimizer.kind":"sgd""#),
    ] {
        let mut other = member(0, &other);
        other.checkpoint = checkpoint.clone();
        let failure = stories(vec![other], 9).remove(0).failure.unwrap();
        assert!(failure.contains("Artifact"), "{failure}");
    }
}

#[test]
fn convolution_networks_send_labels_too() {
    let spec = spec(
        r#""model.kind":"lenet-5","model.width":2,"data.dataset":"mnist-4k","data.samples":40,"data.test_samples":20,"train.batch":16,
        "train.epochs":3,"code.holdout":0.2,"evaluate.points":3"#,
    );
    let whole = stories(vec![member(0, &spec)], u32::MAX).remove(0);
    assert_eq!(description(&whole).blocks.len(), 4);
    let (mut pack, _) = start(vec![member(0, &spec)]);
    pack.advance(2);
    let mut resumed = member(0, &spec);
    resumed.checkpoint = pack.checkpoint(0);
    let resumed = stories(vec![resumed], 2).remove(0);
    assert_eq!(resumed.result, whole.result);
}

/// IDX files of `labels.len()` training images of 2 × 2 pixels, no two alike, and two test images.
fn write_idx(folder: &std::path::Path, labels: &[u8]) {
    let write = |part: &str, labels: &[u8]| {
        let count = u32::try_from(labels.len()).unwrap().to_be_bytes();
        let two = 2_u32.to_be_bytes();
        let image = |index: usize| [index as u8, (index * 7) as u8, (index * 31) as u8, 9];
        let pixels: Vec<u8> = (0..labels.len()).flat_map(image).collect();
        let pixels = [&[0, 0, 8, 3], &count[..], &two, &two, &pixels].concat();
        let classes = [&[0, 0, 8, 1], &count[..], labels].concat();
        std::fs::write(folder.join(format!("{part}-images-idx3-ubyte")), pixels).unwrap();
        std::fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), classes).unwrap();
    };
    std::fs::create_dir(folder).unwrap();
    write("train", labels);
    write("t10k", &[0, 1]);
}

#[test]
fn a_block_chooses_nothing_by_its_own_labels() {
    let folder = tempfile::tempdir().unwrap();
    let store = DataStore::new(vec![folder.path().to_owned()]);
    let settings = |name: &str| {
        let more = r#""model.width":6,"train.batch":8,"train.epochs":30,"evaluate.points":12,"code.holdout":0.3"#;
        spec(&format!(r#""data.dataset":"{name}",{more}"#))
    };
    let mut labels: Vec<u8> = (0..32).map(|index| u8::from(index > 15)).collect();
    write_idx(&folder.path().join("plain"), &labels);
    // The other half of the message, in the order in which it is sent, says the opposite.
    let plain = settings("plain");
    let dataset = store.load(store.describe("plain").unwrap().hash).unwrap();
    let order = prepare(&dataset, &plain.data).unwrap().train_index;
    for &sample in &order[16..] {
        labels[sample] = 1 - labels[sample];
    }
    write_idx(&folder.path().join("flipped"), &labels);
    let blocks = [plain, settings("flipped")].map(|spec| {
        let member = Member {
            key: 0,
            data: store.describe(&spec.data.dataset).unwrap().hash,
            spec,
            checkpoint: None,
            parent_weights: None,
        };
        let (mut pack, mut events) = open(vec![member], &store, &Device::Cpu);
        while !pack.progress().is_empty() {
            events.extend(pack.advance(50));
        }
        let mut story = Story::default();
        events.into_iter().for_each(|event| story.hear(event));
        description(&story).blocks.clone()
    });
    let [plain, flipped] = &blocks;
    assert_eq!((plain.len(), &plain[..2]), (3, &flipped[..2]));
    assert_eq!(plain[2].epoch, flipped[2].epoch);
    assert_ne!(plain[2].bits, flipped[2].bits);
    assert!(plain[2].epoch.is_some_and(|epoch| epoch > 1), "{plain:?}");
}
