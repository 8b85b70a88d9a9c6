//! Canonical settings: defaults and what means nothing are left out, and reading back changes nothing.

use descent_spec::architecture::Architecture;
use descent_spec::params::{InvalidParams, Params};
use descent_spec::setting::{Applies, Fallback, Key, Kind, SETTINGS, Setting};
use descent_spec::trial::{Init, MaskSpec, ModelSpec, Optimizer, Schedule, Spread};
use proptest::prelude::*;

fn canonical(json: &str) -> String {
    Params::from_json(json)
        .unwrap_or_else(|error| panic!("{json}: {error}"))
        .to_json()
}

#[test]
fn leaves_out_what_does_not_matter() {
    // Each pair: as given, and what remains.
    let table = [
        // defaults
        (
            r#"{"model.width":3,"model.depth":1,"data.centre":true,"seed":0}"#,
            r#"{"model.width":3}"#,
        ),
        // settings of another optimizer
        (r#"{"train.optimizer.beta1":0.5}"#, "{}"),
        (
            r#"{"train.optimizer.kind":"adam","train.optimizer.momentum":0.9}"#,
            r#"{"train.optimizer.kind":"adam"}"#,
        ),
        (
            r#"{"train.optimizer.kind":"adam","train.optimizer.beta1":0.5}"#,
            r#"{"train.optimizer.beta1":0.5,"train.optimizer.kind":"adam"}"#,
        ),
        // training of closed forms, and what hangs on it
        (
            r#"{"experiment":"random-features","model.kind":"relu-features","train.epochs":9,"train.weight_reuse":"always",
                "train.reuse_sd":3.0,"evaluate.points":7,"model.depth":2,"model.init":"normal","model.init_sd":2,
                "model.bandwidth":2,"model.ridge":1}"#,
            r#"{"experiment":"random-features","model.kind":"relu-features","model.ridge":1.0}"#,
        ),
        // the question that a network trained by steps is part of
        (
            r#"{"experiment":"lottery-ticket","model.width":3}"#,
            r#"{"model.width":3}"#,
        ),
        // features' settings of a network
        (r#"{"model.ridge":1,"model.bandwidth":1}"#, "{}"),
        // rules that are switched off
        (r#"{"train.reuse_sd":0.5}"#, "{}"),
        (
            r#"{"train.schedule.factor":0.5,"train.schedule.every":3,"train.schedule.scope":"below-threshold"}"#,
            "{}",
        ),
        (
            r#"{"train.schedule.kind":"cosine","train.schedule.factor":0.5}"#,
            r#"{"train.schedule.kind":"cosine"}"#,
        ),
        (r#"{"model.init_sd":0.5}"#, "{}"),
        (r#"{"evaluate.every":5}"#, "{}"),
        (
            r#"{"evaluate.spread":"every","evaluate.every":5,"evaluate.points":9}"#,
            r#"{"evaluate.every":5,"evaluate.spread":"every"}"#,
        ),
        // a projection without a subspace
        (
            r#"{"subspace.dim":0,"subspace.projection":"fastfood"}"#,
            "{}",
        ),
        (
            r#"{"subspace.dim":7,"subspace.projection":"dense"}"#,
            r#"{"subspace.dim":7}"#,
        ),
        // which samples and labels are drawn, where none are
        (r#"{"data.seed":3}"#, "{}"),
        (r#"{"data.seed":3,"data.label_noise":0.0}"#, "{}"),
        (
            r#"{"data.seed":3,"data.samples":9}"#,
            r#"{"data.samples":9,"data.seed":3}"#,
        ),
        (
            r#"{"data.seed":3,"data.label_noise":0.5}"#,
            r#"{"data.label_noise":0.5,"data.seed":3}"#,
        ),
        // one number, written in different ways
        (
            r#"{"train.weight_decay":1}"#,
            r#"{"train.weight_decay":1.0}"#,
        ),
        (r#"{"train.weight_decay":-0.0}"#, "{}"),
        (r#"{"train.epochs":1e3}"#, r#"{"train.epochs":1000}"#),
        (
            r#"{"train.optimizer.lr":0.1}"#,
            r#"{"train.optimizer.lr":0.1}"#,
        ),
        (
            r#"{"train.optimizer.lr":1.0e-1}"#,
            r#"{"train.optimizer.lr":0.1}"#,
        ),
    ];
    for (given, remains) in table {
        assert_eq!(canonical(given), remains, "{given}");
        assert_eq!(canonical(remains), remains, "canonical form is stable");
    }
}

#[test]
fn refuses_what_is_no_setting() {
    let refused = |json: &str| Params::from_json(json).unwrap_err();
    assert!(matches!(refused("[]"), InvalidParams::Syntax(_)));
    assert!(matches!(refused("{"), InvalidParams::Syntax(_)));
    assert!(matches!(
        refused(r#"{"train.epoch":1}"#),
        InvalidParams::Unknown(_)
    ));
    // Short names are for people; what is stored has one name.
    assert!(matches!(
        refused(r#"{"width":1}"#),
        InvalidParams::Unknown(_)
    ));
    for json in [
        r#"{"model.width":0}"#,
        r#"{"model.width":-1}"#,
        r#"{"model.width":1.5}"#,
        r#"{"model.width":1e300}"#,
        r#"{"model.width":"3"}"#,
        r#"{"model.width":null}"#,
        r#"{"seed":9223372036854775808}"#,
        r#"{"train.optimizer.lr":0}"#,
        r#"{"train.optimizer.lr":1e400}"#,
        r#"{"train.optimizer.momentum":1}"#,
        r#"{"data.label_noise":1.0000001}"#,
        r#"{"data.dataset":""}"#,
        r#"{"train.schedule.scope":"never"}"#,
    ] {
        let refused = Params::from_json(json);
        assert!(
            matches!(
                refused,
                Err(InvalidParams::Unfit { .. } | InvalidParams::Syntax(_))
            ),
            "{json}: {refused:?}"
        );
    }
}

#[test]
fn resolves_to_a_typed_trial() {
    let spec = Params::from_json(
        r#"{"data.dataset":"mnist","data.samples":100,"model.width":7,"model.depth":2,"model.init":"normal",
            "train.epochs":5,"train.optimizer.kind":"adam","train.optimizer.lr":0.002,"train.schedule.kind":"step",
            "evaluate.spread":"end","seed":4}"#,
    )
    .unwrap()
    .resolve()
    .unwrap();
    assert_eq!(
        spec.model,
        ModelSpec::uniform(7, 2, Init::Normal { sd: 0.1 })
    );
    assert_eq!(
        spec.train.optimizer,
        Optimizer::Adam {
            lr: 0.002,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8
        }
    );
    assert_eq!(
        spec.train.schedule,
        Schedule::Step {
            factor: 0.9,
            every: 500
        }
    );
    assert_eq!(spec.evaluate.spread, Spread::End);
    assert_eq!(
        (spec.data.samples, spec.data.test_samples, spec.seed),
        (Some(100), None, 4)
    );
    assert!(spec.data.centre);
}

#[test]
fn layers_of_different_widths() {
    let resolve = |json: &str| Params::from_json(json).unwrap().resolve();
    let json = |model: &str| {
        format!(
            r#"{{"data.dataset":"mnist",{model},"train.epochs":5,"train.optimizer.lr":0.01,"mask.kind":"random","mask.density":0.25}}"#
        )
    };
    let spec = resolve(&json(r#""model.shape":"300-100""#)).unwrap();
    let hidden = vec![300, 100];
    let init = Init::GlorotUniform;
    assert_eq!(spec.model, ModelSpec::Mlp { hidden, init });
    assert_eq!((spec.model.width(), spec.model.depth()), (300, 2));
    assert_eq!(spec.mask, MaskSpec::Random { density: 0.25 });
    assert_eq!(
        descent_spec::shape::parameters(&spec.model, 784, None, 10),
        785 * 300 + 301 * 100 + 101 * 10
    );
    // A width beside a shape means nothing, and tells no two trials apart.
    let both = Params::from_json(&json(r#""model.shape":"300-100","model.width":7"#)).unwrap();
    let one = Params::from_json(&json(r#""model.shape":"300-100""#)).unwrap();
    assert_eq!(both, one);
    for bad in ["300,100", "300-", "0-7", "007", "1e3", "10000001", "3 - 4"] {
        let json = json(&format!(r#""model.shape":"{bad}""#));
        assert!(Params::from_json(&json).is_err(), "{bad}");
    }
}

#[test]
fn names_what_is_missing_or_does_not_go_together() {
    let error = |json: &str| {
        Params::from_json(json)
            .unwrap()
            .resolve()
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error(r#"{"data.dataset":"mnist"}"#),
        "`model.width` is not given and has no default"
    );
    assert_eq!(
        error(r#"{"data.dataset":"mnist","model.width":3,"experiment":"random-features"}"#),
        "experiment \"random-features\" does not go with model.kind \"mlp\""
    );
    assert_eq!(
        error(r#"{"data.dataset":"mnist","model.width":3,"model.kind":"relu-features"}"#),
        "experiment \"risk-curve\" does not go with model.kind \"relu-features\""
    );
}

#[test]
fn the_table_is_sorted_and_unambiguous() {
    assert!(SETTINGS.windows(2).all(|pair| pair[0].name < pair[1].name));
    for setting in &SETTINGS {
        assert_eq!(setting.key.setting().name, setting.name);
        for name in setting.alias.into_iter().chain([setting.name]) {
            assert_eq!(
                Setting::find(name).map(|found| found.key),
                Some(setting.key),
                "{name}"
            );
        }
        // A default fits its own bounds.
        let fits = match setting.fallback {
            Fallback::Required | Fallback::RequiredWhere(_) | Fallback::All | Fallback::Absent => {
                true
            }
            Fallback::Boolean(_) => setting.kind == Kind::Boolean,
            Fallback::Integer(value) => setting.kind.integer(i64::try_from(value).unwrap()).is_ok(),
            Fallback::Float(value) => setting.kind.float(value).is_ok(),
            Fallback::Word(word) => setting.kind.text(word).is_ok(),
        };
        assert!(fits, "{}", setting.name);
        // What a condition asks for is something that the other setting can be.
        if let Applies::All(conditions) | Applies::Any(conditions) = setting.applies {
            for condition in conditions {
                use descent_spec::setting::Test;
                if let (Kind::Word(words), Test::OneOf(asked) | Test::NoneOf(asked)) =
                    (condition.key.setting().kind, condition.test)
                {
                    assert!(
                        asked.iter().all(|word| words.contains(word)),
                        "{}",
                        setting.name
                    );
                }
            }
        }
    }
}

/// Any JSON value that fits a setting.
fn fitting(key: Key) -> BoxedStrategy<serde_json::Value> {
    match key.setting().kind {
        Kind::Boolean => any::<bool>().prop_map(Into::into).boxed(),
        Kind::Integer { min, max } => (min..=max).prop_map(Into::into).boxed(),
        Kind::Float { .. } => (1e-9_f64..1.0).prop_map(Into::into).boxed(),
        Kind::Word(words) => proptest::sample::select(words).prop_map(Into::into).boxed(),
        Kind::Text { .. } => "\\PC{1,20}".prop_map(Into::into).boxed(),
        Kind::Epochs => "(0,)?[1-9][0-9]{0,2}(,[1-9][0-9]{3,4})?"
            .prop_map(Into::into)
            .boxed(),
        Kind::Layers => "[1-9][0-9]{0,3}(-[1-9][0-9]{0,3}){0,3}"
            .prop_map(Into::into)
            .boxed(),
    }
}

/// Any settings, meaningful together or not.
pub(crate) fn any_settings() -> impl Strategy<Value = serde_json::Map<String, serde_json::Value>> {
    proptest::sample::subsequence(Key::ALL.to_vec(), 0..=Key::ALL.len()).prop_flat_map(|keys| {
        let values: Vec<_> = keys.iter().map(|key| fitting(*key)).collect();
        let names: Vec<String> = keys
            .iter()
            .map(|key| key.setting().name.to_owned())
            .collect();
        values.prop_map(move |values| names.iter().cloned().zip(values).collect())
    })
}

proptest! {
    #[test]
    fn canonical_form_reads_back_unchanged(settings in any_settings()) {
        let params = Params::from_json(&serde_json::Value::Object(settings).to_string()).unwrap();
        let json = params.to_json();
        let again = Params::from_json(&json).unwrap();
        prop_assert_eq!(&again, &params);
        prop_assert_eq!(again.to_json(), json);
    }
}

#[test]
fn convolution_networks_have_their_own_width() {
    let read = |extra: &str| {
        let text = format!(
            r#"{{"data.dataset":"mnist-4k","model.kind":"lenet-5","train.epochs":5,"train.optimizer.lr":0.5{extra}}}"#
        );
        Params::from_json(&text).unwrap()
    };
    let spec = read("").resolve().unwrap();
    assert_eq!(
        spec.model,
        ModelSpec::Conv {
            architecture: Architecture::LeNet5,
            width: 6,
            batch_norm: false,
            init: Init::GlorotUniform
        }
    );
    assert_eq!(read(""), read(r#","model.width":6"#));
    assert_ne!(read(""), read(r#","model.width":7"#));
    // Depth and reuse of weights mean nothing to them.
    assert_eq!(
        read(""),
        read(r#","model.depth":3,"train.weight_reuse":"always""#)
    );
}
