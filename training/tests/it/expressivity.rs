//! The network that takes any labels, through the pack, on real images.

use descent_spec::details::{Details, Expressivity};
use descent_spec::outcome::{FailureKind, TrialResult};
use descent_spec::params::Params;
use descent_training::data::DataStore;
use descent_training::device::Device;
use descent_training::open;
use descent_training::pack::{Event, Member, TrainError};

fn member(key: u64, settings: &str, store: &DataStore) -> Member {
    let settings =
        format!(r#"{{"experiment":"expressivity","model.kind":"interpolator",{settings}}}"#);
    let spec = Params::from_json(&settings).unwrap().resolve().unwrap();
    Member {
        key,
        data: store.describe(&spec.data.dataset).unwrap().hash,
        spec,
        checkpoint: None,
        parent_weights: None,
    }
}

/// Runs trials in one pack: results, or why a trial failed, in their order.
fn run(settings: &[&str], store: &DataStore) -> Vec<Result<TrialResult, TrainError>> {
    let members = (0..).zip(settings);
    let members = members.map(|(key, settings)| member(key, settings, store));
    let (mut pack, mut events) = open(members.collect(), store, &Device::Cpu);
    while !pack.progress().is_empty() {
        events.extend(pack.advance(3));
    }
    let mut ended: Vec<_> = events
        .into_iter()
        .filter_map(|event| match event {
            Event::Finished { key, result, .. } => Some((key, Ok(*result))),
            Event::Failed { key, error } => Some((key, Err(error))),
            Event::Measured { .. } => None,
        })
        .collect();
    ended.sort_by_key(|(key, _)| *key);
    ended.into_iter().map(|(_, end)| end).collect()
}

fn fit(result: &TrialResult) -> &Expressivity {
    let Some(Details::Expressivity(fit)) = &result.details else {
        panic!("{result:?}")
    };
    fit
}

#[test]
fn any_labels_of_any_digits_are_given_with_two_weights_a_sample_and_one_an_input() {
    let digits = r#""data.dataset":"mnist-4k","data.test_samples":100,"data.samples""#;
    let settings = [
        format!("{digits}:1"),
        format!("{digits}:300"),
        format!(r#"{digits}:300,"data.labels":"random""#),
        format!(r#"{digits}:300,"data.labels":"random","seed":1"#),
        format!(r#"{digits}:300,"data.label_noise":0.5,"data.centre":false"#),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let results = run(&settings, &DataStore::new(Vec::new()));
    for (result, n) in results.iter().zip([1, 300, 300, 300, 300]) {
        let result = result.as_ref().unwrap();
        assert_eq!(result.parameters, 2 * n + 784);
        assert_eq!(
            (result.last.train_error, fit(result).misfits),
            (Some(0.0), 0)
        );
        assert!(fit(result).max_error.unwrap() < 1e-15, "{result:?}");
        assert!(!result.diverged);
    }
    // Nothing is learned from random labels, nor from a line through true ones.
    let error = results[2].as_ref().unwrap().last.test_error.unwrap();
    assert!(error > 0.7, "{error}");
}

#[test]
fn precision_ends_and_says_so() {
    let settings = |precision: &str, more: &str| {
        format!(
            r#""data.dataset":"gaussians","data.test_samples":10,"data.samples":2000,"model.precision":"{precision}"{more}"#
        )
    };
    let settings = [
        settings("f32", ""),
        settings("double-double", ""),
        settings("double-double", r#","model.directions":5"#),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let results = run(&settings, &DataStore::new(Vec::new()));
    let [single, double, best] = results.as_slice() else {
        panic!("three results")
    };
    assert!(fit(single.as_ref().unwrap()).misfits > 100);
    let (double, best) = (fit(double.as_ref().unwrap()), fit(best.as_ref().unwrap()));
    assert_eq!((double.misfits, best.misfits), (0, 0));
    assert!(
        best.smallest_gap >= double.smallest_gap,
        "the first direction is among the five"
    );
}

#[test]
fn a_pack_leaves_no_trace() {
    let one = r#""data.dataset":"gaussians","data.samples":50"#;
    let other = r#""data.dataset":"gaussians","data.samples":70"#;
    let store = DataStore::new(Vec::new());
    let alone = run(&[one], &store).remove(0).unwrap();
    let together = run(&[other, one], &store).remove(1).unwrap();
    assert_eq!(alone, together);
}

/// An IDX pair of 2 × 2 images.
fn write_idx(folder: &std::path::Path, part: &str, images: &[[u8; 4]], labels: &[u8]) {
    let count = u32::try_from(images.len()).unwrap().to_be_bytes();
    let two = 2_u32.to_be_bytes();
    let pixels = [&[0, 0, 8, 3], &count[..], &two, &two, &images.concat()].concat();
    let classes = [&[0, 0, 8, 1], &count[..], labels].concat();
    std::fs::write(folder.join(format!("{part}-images-idx3-ubyte")), pixels).unwrap();
    std::fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), classes).unwrap();
}

#[test]
fn equal_samples_are_merged_and_contradictions_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let images = [[1, 2, 3, 4], [5, 6, 7, 8], [1, 2, 3, 4], [9, 9, 9, 9]];
    for (name, labels) in [("merged", [0, 1, 0, 1]), ("torn", [0, 1, 1, 1])] {
        let data = folder.path().join(name);
        std::fs::create_dir(&data).unwrap();
        write_idx(&data, "train", &images, &labels);
        write_idx(&data, "t10k", &images[..2], &labels[..2]);
    }
    let store = DataStore::new(vec![folder.path().to_owned()]);
    let mut ends = run(
        &[r#""data.dataset":"merged""#, r#""data.dataset":"torn""#],
        &store,
    );
    let torn = ends.pop().unwrap().unwrap_err();
    let merged = ends.pop().unwrap().unwrap();
    assert_eq!((merged.parameters, fit(&merged).distinct), (2 * 3 + 4, 3));
    assert_eq!(merged.last.train_error, Some(0.0));
    assert_eq!(torn.kind(), FailureKind::BadSpec);
    let told = torn.to_string();
    let named = told.contains("samples 0 and 2") || told.contains("samples 2 and 0");
    assert!(named && told.contains("no function fits both"), "{told}");
}
