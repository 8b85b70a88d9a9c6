//! The schema that ships is the one that the tables make, and it judges as the parser does.

use descent_spec::schema::schema;
use descent_spec::setting::{Applies, Condition, Key, Kind, SETTINGS, Test};
use descent_spec::sweep::{RUN_SETTINGS, Sweep};
use proptest::prelude::*;

use crate::robust::WORDS;
use crate::samples::{HEAD, bless};

#[test]
fn the_committed_schema_is_up_to_date() {
    let committed = include_str!("../../../sweeps/sweep.schema.json");
    let generated = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    bless("../sweeps/sweep.schema.json", committed, &generated);
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft7::new(&schema()).expect("the schema is a schema")
}

/// TOML as JSON; what JSON cannot say (dates, infinities) becomes `null`, which no schema allows.
fn json(value: &toml::Value) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(value) => (*value).into(),
        toml::Value::Datetime(_) => serde_json::Value::Null,
        toml::Value::Array(array) => array.iter().map(json).collect(),
        toml::Value::Table(table) => table
            .iter()
            .map(|(key, value)| (key.clone(), json(value)))
            .collect(),
    }
}

fn as_json(file: &str) -> serde_json::Value {
    json(&toml::Value::Table(
        toml::from_str(file).unwrap_or_else(|error| panic!("{error}\n{file}")),
    ))
}

/// Values of all kinds: right for some settings, wrong for most.
const VALUES: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-1",
    "64",
    "65",
    "100",
    "10000001",
    "4294967296",
    "9223372036854775807",
    "0.0",
    "-0.0",
    "0.5",
    "1.0",
    "1.5",
    "1e3",
    "1e300",
    "inf",
    "nan",
    "true",
    "false",
    "\"\"",
    "\"x\"",
    "\"mlp\"",
    "\"300-100\"",
    "\"300-\"",
    "\"0-7\"",
    "\"10000000\"",
    "\"10000001\"",
    "\"sgd\"",
    "\"adam\"",
    "\"never\"",
    "\"always\"",
    "\"below-threshold\"",
    "\"log\"",
    "\"normal\"",
    "\"final\"",
    "\"listed\"",
    "2020-01-01",
    "[]",
    "[1]",
    "{}",
    "{ a = 1 }",
];

/// Axes of all kinds.
const AXES: &[&str] = &[
    "[]",
    "[1, 2]",
    "[2, 1, 2]",
    "[1, 1.0]",
    "[0.5, 0.25]",
    "[true, false]",
    "[true, true]",
    "[\"sgd\", \"adam\"]",
    "[\"sgd\", \"x\"]",
    "[1, \"a\"]",
    "[[1]]",
    "3",
    "\"a\"",
    "[\"300-100\", \"7\"]",
    "[\"300-\"]",
    "{}",
    "{ values = [1, 2] }",
    "{ values = [] }",
    "{ values = 3 }",
    "{ value = [1] }",
    "{ range = [1, 3], step = 1 }",
    "{ range = [1, 3] }",
    "{ range = [1], step = 1 }",
    "{ range = [1, 2, 3], step = 1 }",
    "{ range = [1, 3], step = 0 }",
    "{ range = [1, 3], points = 2 }",
    "{ linear = [1, 3], points = 3 }",
    "{ linear = [1, 3], points = 1 }",
    "{ linear = [1, 3], points = 2, step = 1 }",
    "{ linear = [0.125, 0.5], points = 4 }",
    "{ log = [1, 4], points = 3 }",
    "{ log = [0, 4], points = 3 }",
    "{ log = [0.25, 0.5], points = 3 }",
    "{ log = [1, 4], points = 2.0 }",
    "{ count = 3 }",
    "{ count = 0 }",
    "{ count = 3, values = [1] }",
    "{ log = [1, 2], linear = [1, 2], points = 3 }",
];

/// Settings that make another one mean something, beside the least that every trial needs.
fn context(key: Key) -> Vec<(Key, String)> {
    let mut given: Vec<(Key, String)> = Vec::new();
    let conditions: &[Condition] = match key.setting().applies {
        Applies::Always => &[],
        Applies::All(conditions) => conditions,
        Applies::Any(conditions) => &conditions[..1],
    };
    for condition in conditions {
        let value = match condition.test {
            Test::OneOf(words) => format!("\"{}\"", words[0]),
            Test::NoneOf(words) => match condition.key.setting().kind {
                Kind::Word(all) => format!(
                    "\"{}\"",
                    all.iter()
                        .find(|word| !words.contains(word))
                        .expect("another word")
                ),
                _ => unreachable!("only words are compared with words"),
            },
            Test::Given if condition.key.setting().kind == Kind::Epochs => "\"0,1\"".to_owned(),
            Test::Given => "100".to_owned(),
            Test::NonZero if matches!(condition.key.setting().kind, Kind::Float { .. }) => {
                "0.5".to_owned()
            }
            Test::NonZero => "1".to_owned(),
            Test::Absent => continue,
            Test::Is(wanted) => wanted.to_string(),
        };
        for (key, value) in context(condition.key)
            .into_iter()
            .chain([(condition.key, value)])
        {
            // What a condition asks itself goes before what it needs to mean something.
            given.retain(|(other, _)| *other != key);
            given.push((key, value));
        }
    }
    given
}

/// A file in which `key` means something, without `key` itself.
fn around(key: Key) -> String {
    let mut given = context(key);
    let mut add = |key: Key, value: &str| {
        if given.iter().all(|(other, _)| *other != key) {
            given.push((key, value.to_owned()));
        }
    };
    add(Key::DataDataset, "\"mnist-4k\"");
    add(Key::ModelKind, "\"mlp\"");
    let kind = given.iter().find(|(key, _)| *key == Key::ModelKind);
    let kind = kind.map_or_else(String::new, |(_, value)| value.trim_matches('"').to_owned());
    let mut add = |key: Key, value: &str| {
        if given.iter().all(|(other, _)| *other != key) {
            given.push((key, value.to_owned()));
        }
    };
    match kind.as_str() {
        "interpolator" => add(Key::Experiment, "\"expressivity\""),
        "fourier-features" | "relu-features" => add(Key::Experiment, "\"random-features\""),
        _ => {
            add(Key::TrainEpochs, "5");
            add(Key::TrainOptimizerLr, "0.5");
        }
    }
    let reuses =
        given.iter().any(|(key, _)| *key == Key::TrainWeightReuse) || key == Key::TrainWeightReuse;
    // A shape takes the width's place.
    let axis = matches!(key, Key::ModelWidth | Key::ModelShape) || reuses;
    let has_width = kind != "interpolator";
    if !axis && has_width {
        given.push((Key::ModelWidth, "7".to_owned()));
    }
    given.retain(|(other, _)| *other != key);
    given.sort();
    // Conditions on one setting: one of the values that pass is enough.
    given.dedup_by_key(|(key, _)| *key);
    let lines: String = given
        .iter()
        .map(|(key, value)| format!("{} = {value}\n", key.setting().name))
        .collect();
    let axes = if reuses { "axes.width = [5, 6]\n" } else { "" };
    format!("name = \"a\"\n{lines}{axes}")
}

/// Both verdicts on a file must agree.
fn agree(validator: &jsonschema::Validator, file: &str) -> bool {
    let parsed = Sweep::parse(file);
    let valid = validator.is_valid(&as_json(file));
    assert_eq!(
        parsed.is_ok(),
        valid,
        "{file}\n{:?}",
        parsed.map_err(|mistakes| mistakes.to_string()).err()
    );
    valid
}

#[test]
fn settings_are_judged_alike() {
    let validator = validator();
    for setting in &SETTINGS {
        // An experiment and a kind need each other; both are judged by words alone.
        let alone = matches!(setting.key, Key::Experiment | Key::ModelKind);
        let mut accepted = 0;
        for value in VALUES {
            if alone && *value != "\"mlp\"" && setting.kind.text(value.trim_matches('"')).is_ok() {
                continue;
            }
            accepted += usize::from(agree(
                &validator,
                &format!("{}{} = {value}\n", around(setting.key), setting.name),
            ));
        }
        assert!(
            accepted > 0 || setting.key == Key::Experiment || matches!(setting.kind, Kind::Word(_)),
            "{}",
            setting.name
        );
    }
}

#[test]
fn axes_are_judged_alike() {
    let validator = validator();
    let mut accepted = 0;
    for setting in SETTINGS
        .iter()
        .filter(|setting| setting.sweepable && setting.key != Key::ModelKind)
    {
        let around = around(setting.key);
        if around.contains("axes.width") && setting.key == Key::ModelWidth {
            continue;
        }
        for axis in AXES {
            for name in setting.alias.into_iter().chain([setting.name]) {
                accepted += usize::from(agree(
                    &validator,
                    &format!("{around}axes.\"{name}\" = {axis}\n"),
                ));
            }
        }
    }
    assert!(accepted > 100);
}

#[test]
fn run_settings_are_judged_alike() {
    let validator = validator();
    for row in &RUN_SETTINGS {
        for value in VALUES {
            agree(
                &validator,
                &format!("{}run.{} = {value}\n", around(Key::Seed), row.name),
            );
        }
    }
}

#[test]
fn structure_is_judged_alike() {
    let validator = validator();
    let table = [
        ("", true),
        ("unknown = 1\n", false),
        ("[trian]\n", false),
        ("[train.optimizer2]\n", false),
        ("[data]\nfile = 3\n", false),
        ("[axes]\n", true),
        ("[axes]\nexperiment = [\"risk-curve\"]\n", false),
        ("[axes]\ntrain.batch = [1]\n", false),
        ("[[zip]]\nbatch = [1, 2]\ndepth = [1, 2]\n", true),
        ("[[zip]]\nbatch = [1, 2]\n", false),
        ("[zip]\nbatch = [1, 2]\ndepth = [1, 2]\n", false),
        ("[[exclude]]\nwhen = \"seed == 1\"\n", true),
        ("[[exclude]]\n", false),
        ("[[exclude]]\nwhen = 3\n", false),
        ("[[exclude]]\nwhen = \"\"\n", false),
        ("[[exclude]]\nwhen = \"seed == 1\"\nif = 1\n", false),
        ("[[block]]\n[[block.block]]\n", true),
        (
            "[[block]]\nwhen = \"seed == 1\"\naxes = { depth = [1, 2] }\ntrain = { batch = 3 }\n",
            true,
        ),
        ("[[block]]\nwhen = true\n", false),
        ("[[block]]\nname = \"b\"\n", false),
        ("[[block]]\n[[block.block]]\nrun = {}\n", false),
        ("[block]\n", false),
        ("[run]\nmax_point = 3\n", false),
    ];
    for (tail, sound) in table {
        // The head's first line would be swallowed by a table; what stands before tables goes first.
        let file = if tail.starts_with("unknown") {
            format!("{tail}{HEAD}")
        } else {
            format!("{HEAD}{tail}")
        };
        if tail == "[data]\nfile = 3\n" {
            let file = HEAD.replace("[data]\n", tail);
            assert_eq!(agree(&validator, &file), sound, "{tail}");
        } else {
            assert_eq!(agree(&validator, &file), sound, "{tail}");
        }
    }
    for name in ["a", "a-1", "", "A", "1a", "a_b", "-a", "ä"] {
        agree(
            &validator,
            &HEAD.replace("\"test\"", &format!("\"{name}\"")),
        );
    }
    agree(&validator, &HEAD.replace("name = \"test\"\n", ""));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_the_parser_takes_the_schema_takes(words in prop::collection::vec(prop::sample::select(WORDS), 0..40)) {
        let file = format!("{HEAD}{}", words.join(" ").replace("\n ", "\n"));
        if Sweep::parse(&file).is_ok() {
            prop_assert!(validator().is_valid(&as_json(&file)), "{}", file);
        }
    }
}
