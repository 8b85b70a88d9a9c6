//! Random features: the double-descent curve in closed form, on real MNIST.

use std::collections::BTreeMap;

use descent_spec::id::ContentHash;
use descent_spec::outcome::TrialResult;
use descent_spec::params::Params;
use descent_training::data::DataStore;
use descent_training::features;
use descent_training::pack::{Event, Member};

/// A trial with these settings, as JSON.
fn member(key: u64, data: ContentHash, settings: &str) -> Member {
    let params = Params::from_json(settings).expect("valid settings");
    let spec = params.resolve().expect("a trial");
    Member {
        key,
        spec,
        data,
        checkpoint: None,
        parent_weights: None,
    }
}

/// Trains trials side by side; results by key.
fn train(members: Vec<Member>, data: &DataStore) -> BTreeMap<u64, TrialResult> {
    let (mut pack, mut events) = features::open(members, data);
    while !pack.progress().is_empty() {
        events.extend(pack.advance(1));
    }
    let finished = events.into_iter().filter_map(|event| match event {
        Event::Finished {
            key,
            result,
            weights,
        } => {
            assert_eq!(result.weights, weights.as_deref().map(ContentHash::of));
            Some((key, *result))
        }
        Event::Measured { .. } => None,
        Event::Failed { error, .. } => panic!("{error}"),
    });
    finished.collect()
}

/// Settings of one width on 1,000 digits, uncentred, with more settings after a comma.
fn digits(kind: &str, width: u32, more: &str) -> String {
    format!(
        r#"{{"experiment":"random-features","data.dataset":"mnist-4k","data.samples":1000,"data.centre":false,
            "model.kind":"{kind}","model.width":{width}{more}}}"#
    )
}

/// Trains these settings on the embedded digits, in one pack.
fn train_digits(settings: &[String]) -> Vec<TrialResult> {
    let data = DataStore::new(Vec::new());
    let hash = data.describe("mnist-4k").unwrap().hash;
    let members = (0..)
        .zip(settings)
        .map(|(key, settings)| member(key, hash, settings));
    train(members.collect(), &data).into_values().collect()
}

/// Within a relative tolerance.
fn close(found: f64, wanted: f64, tolerance: f64) -> bool {
    (found / wanted - 1.0).abs() <= tolerance
}

/// Width, squared loss summed over the ten outputs, zero-one error, coefficient norm: measured with numpy's `lstsq` on other
/// draws of 1,000 images and features. Away from N = n draws differ by some percent.
const FOURIER: [(u32, f64, f64, f64); 6] = [
    (50, 0.680, 0.403, 3.7),
    (200, 0.536, 0.228, 9.6),
    (400, 0.560, 0.203, 17.0),
    (800, 1.39, 0.366, 47.0),
    (1200, 1.35, 0.335, 57.0),
    (2000, 0.411, 0.127, 32.0),
];
const RELU: [(u32, f64, f64); 4] = [
    (50, 0.584, 0.310),
    (200, 0.469, 0.186),
    (400, 0.518, 0.177),
    (2000, 0.463, 0.135),
];

#[test]
fn fourier_features_show_the_textbook_curve() {
    let bandwidth = r#","model.bandwidth":5"#;
    let mut settings: Vec<String> = FOURIER
        .iter()
        .map(|&(width, ..)| digits("fourier-features", width, bandwidth))
        .collect();
    settings.push(digits("fourier-features", 1000, bandwidth));
    settings.push(digits(
        "fourier-features",
        1000,
        r#","model.bandwidth":5,"model.ridge":1"#,
    ));
    let results = train_digits(&settings);
    let loss = |result: &TrialResult| 10.0 * result.last.test_loss.unwrap();
    for ((width, squared, error, norm), result) in FOURIER.iter().zip(&results) {
        let found = (
            loss(result),
            result.last.test_error.unwrap(),
            result.coefficient_norm.unwrap(),
        );
        assert!(
            close(found.0, *squared, 0.15),
            "N = {width}: loss {found:?}"
        );
        assert!(close(found.1, *error, 0.15), "N = {width}: error {found:?}");
        assert!(close(found.2, *norm, 0.10), "N = {width}: norm {found:?}");
    }
    let [.., peak, ridged] = results.as_slice() else {
        panic!("eight results")
    };
    // The peak is orders of magnitude high, in the loss and in the norm of the coefficients; a little ridge removes it.
    assert!(loss(peak) > 1e3 * loss(&results[0]) && peak.coefficient_norm.unwrap() > 1e3);
    assert!(peak.last.train_loss.unwrap() < 1e-15 && peak.last.train_error == Some(0.0));
    let (loss, norm) = (loss(ridged), ridged.coefficient_norm.unwrap());
    assert!(loss < 0.35 && norm < 15.0, "loss {loss}, norm {norm}");
}

#[test]
fn relu_features_agree_with_measured_values() {
    let settings: Vec<String> = RELU
        .iter()
        .map(|&(width, ..)| digits("relu-features", width, ""))
        .collect();
    for ((width, squared, error), result) in RELU.iter().zip(train_digits(&settings)) {
        let found = (
            10.0 * result.last.test_loss.unwrap(),
            result.last.test_error.unwrap(),
        );
        assert!(
            close(found.0, *squared, 0.15) && close(found.1, *error, 0.15),
            "N = {width}: {found:?}"
        );
    }
}

#[test]
fn a_trial_has_the_same_bits_alone_and_in_a_pack() {
    let settings = |key: u32| {
        let width = [1, 2, 7, 64, 129, 200, 33][key as usize];
        let (kind, more) = match key {
            5 => ("relu-features", String::new()),
            _ => (
                "fourier-features",
                format!(
                    r#","model.bandwidth":2,"data.label_noise":0.{key},"model.ridge":{}"#,
                    key % 2
                ),
            ),
        };
        format!(
            r#"{{"experiment":"random-features","data.dataset":"gaussians","data.samples":100,"data.validation":30,
                "model.kind":"{kind}","model.width":{width}{more}}}"#
        )
    };
    let data = DataStore::new(Vec::new());
    let hash = data.describe("gaussians").unwrap().hash;
    let together = train(
        (0..7)
            .map(|key| member(key.into(), hash, &settings(key)))
            .collect(),
        &data,
    );
    assert_eq!(together.len(), 7);
    for key in 0..7 {
        let alone = train(vec![member(key.into(), hash, &settings(key))], &data);
        assert_eq!(
            alone[&key.into()],
            together[&key.into()],
            "{}",
            settings(key)
        );
        assert!(alone[&key.into()].last.validation_error.is_some());
    }
}

#[test]
fn a_member_that_leaves_changes_nothing_for_the_others() {
    let settings = |width: u32| {
        format!(
            r#"{{"experiment":"random-features","data.dataset":"gaussians","data.samples":50,"model.kind":"relu-features",
                "model.width":{width}}}"#
        )
    };
    let data = DataStore::new(Vec::new());
    let hash = data.describe("gaussians").unwrap().hash;
    let alone = train(vec![member(0, hash, &settings(20))], &data);
    for steps in 0..5 {
        let members = vec![
            member(0, hash, &settings(20)),
            member(1, hash, &settings(90)),
        ];
        let (mut pack, _) = features::open(members, &data);
        assert!(pack.advance(steps).is_empty());
        pack.remove(1);
        let mut events = Vec::new();
        while !pack.progress().is_empty() {
            events.extend(pack.advance(1));
        }
        let Some(Event::Finished { key: 0, result, .. }) = events.pop() else {
            panic!("{events:?}")
        };
        assert_eq!(*result, alone[&0]);
    }
}

#[test]
fn members_that_cannot_start_say_why() {
    let data = DataStore::new(Vec::new());
    let unknown = ContentHash::of(b"nothing has this content");
    let hash = data.describe("gaussians").unwrap().hash;
    let settings = r#"{"experiment":"random-features","data.dataset":"gaussians","model.kind":"relu-features","model.width":5}"#;
    let greedy = settings.replace("{", r#"{"data.samples":2001,"#);
    let (pack, events) = features::open(
        vec![member(0, unknown, settings), member(1, hash, &greedy)],
        &data,
    );
    assert!(pack.progress().is_empty());
    let messages: Vec<String> = events
        .iter()
        .map(|event| match event {
            Event::Failed { error, .. } => error.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(messages[0].contains(&unknown.to_string()), "{messages:?}");
    assert!(messages[1].contains("2001"), "{messages:?}");
}
