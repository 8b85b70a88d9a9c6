//! Names that hold for ever: a change of any of these hashes makes every stored result unknown to its sweep.

use std::collections::BTreeSet;

use descent_spec::NUMERICS_VERSION;
use descent_spec::id::{ContentHash, Identity};
use descent_spec::identity::{identity, pack_key};
use descent_spec::params::Params;
use proptest::prelude::*;

use crate::params::any_settings;

fn params(json: &str) -> Params {
    Params::from_json(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn name(json: &str) -> String {
    identity(&params(json), ContentHash([7; 32]), None).to_string()
}

const NETWORK: &str = r#"{"data.dataset":"mnist-4k","data.label_noise":0.2,"data.samples":4000,"model.width":50,
    "seed":3,"train.epochs":600,"train.optimizer.lr":0.01,"train.optimizer.momentum":0.95}"#;
const FEATURES: &str = r#"{"data.dataset":"mnist-4k","experiment":"random-features","model.kind":"fourier-features",
    "model.width":1000,"data.centre":false}"#;

#[test]
fn identities_are_for_ever() {
    assert_eq!(
        NUMERICS_VERSION, 2,
        "a new version needs new golden hashes beside the old ones"
    );
    let parent = Identity([9; 16]);
    let found = [
        name("{}"),
        name(NETWORK),
        name(FEATURES),
        identity(&params(NETWORK), ContentHash([7; 32]), Some(parent)).to_string(),
        identity(&params(NETWORK), ContentHash([8; 32]), None).to_string(),
    ];
    let golden = [
        "5ac9201ae16e151127a902645ec3f842",
        "927394b460bf95441ac530eb980bc64d",
        "4bcade74710f733bd86310c321f6b3d7",
        "16b245bbd764b39e606bd33bee5863d5",
        "ca41293626f2863543c3ef7fc13ef72d",
    ];
    assert_eq!(found, golden);
}

/// The documented byte string, put together by hand.
#[test]
fn an_identity_is_what_its_documentation_says() {
    let mut bytes = Vec::new();
    bytes.extend(2_u32.to_le_bytes()); // numerics
    bytes.extend([7; 32]); // data
    bytes.push(1); // a parent
    bytes.extend([9; 16]);
    bytes.extend(4_u32.to_le_bytes()); // settings
    let mut setting = |name: &str, value: &[u8]| {
        bytes.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(value);
    };
    setting("data.centre", &[b'b', 0]);
    setting(
        "model.init",
        &[b"t".as_slice(), &9_u32.to_le_bytes(), b"he-normal"].concat(),
    );
    setting(
        "model.width",
        &[b"i".as_slice(), &50_u64.to_le_bytes()].concat(),
    );
    setting(
        "train.optimizer.lr",
        &[b"f".as_slice(), &0.01_f64.to_bits().to_le_bytes()].concat(),
    );
    let expected = &blake3::derive_key("descent 2026-11-23 trial identity v1", &bytes)[..16];
    let params = params(
        r#"{"data.dataset":"x","data.centre":false,"model.init":"he-normal","model.width":50,"train.optimizer.lr":0.01}"#,
    );
    assert_eq!(
        identity(&params, ContentHash([7; 32]), Some(Identity([9; 16]))).0,
        expected
    );
}

#[test]
fn pack_keys_are_stable() {
    let key =
        |json: &str| pack_key(&params(json).resolve().unwrap(), ContentHash([7; 32])).to_string();
    assert_eq!(
        [key(NETWORK), key(FEATURES)],
        [
            "73087ec3364d0d0ab9143645302ba1e9",
            "7d485d4342394481b9b691cd9f575970"
        ]
    );
    // Widths, seeds, rates, labels and lengths may differ within a pack; inputs, order and steps may not.
    let with = |more: &str| NETWORK.replace('}', &format!(",{more}}}"));
    for same in [
        r#""model.width":51"#,
        r#""seed":4"#,
        r#""train.optimizer.lr":0.1"#,
        r#""data.label_noise":0.1"#,
        r#""data.noise_kind":"uniform""#,
        r#""train.epochs":7"#,
        r#""train.weight_decay":0.5"#,
        r#""train.stop_at_zero_error":"always""#,
        r#""subspace.dim":10"#,
        r#""subspace.dim":10,"subspace.projection":"fastfood""#,
    ] {
        assert_eq!(key(&with(same)), key(NETWORK), "{same}");
    }
    for other in [
        r#""data.seed":1"#,
        r#""data.samples":3999"#,
        r#""data.centre":false"#,
        r#""data.inputs":"shuffled""#,
        r#""train.batch":50"#,
        r#""train.order_seed":1"#,
        r#""train.loss":"cross-entropy""#,
        r#""train.optimizer.kind":"adam""#,
        r#""model.depth":2"#,
    ] {
        assert_ne!(key(&with(other)), key(NETWORK), "{other}");
    }
}

#[test]
fn the_name_of_the_data_does_not_matter_but_its_content_does() {
    assert_eq!(
        name(NETWORK),
        name(&NETWORK.replace("mnist-4k", "/data/mnist"))
    );
    let elsewhere = identity(&params(NETWORK), ContentHash([8; 32]), None).to_string();
    assert_ne!(name(NETWORK), elsewhere);
}

#[test]
fn every_deciding_setting_tells_trials_apart() {
    let variants = [
        NETWORK.to_owned(),
        NETWORK.replace("0.2", "0.3"),
        NETWORK.replace("4000", "3999"),
        NETWORK.replace(":50", ":51"),
        NETWORK.replace(":3,", ":4,"),
        NETWORK.replace("600", "601"),
        NETWORK.replace("0.01", "0.02"),
        NETWORK.replace("0.95", "0.9"),
        NETWORK.replace('}', r#","train.loss":"cross-entropy"}"#),
        NETWORK.replace('}', r#","model.depth":2}"#),
        NETWORK.replace('}', r#","data.centre":false}"#),
        NETWORK.replace('}', r#","data.inputs":"shuffled"}"#),
        NETWORK.replace('}', r#","data.inputs":"gaussian"}"#),
        NETWORK.replace('}', r#","data.noise_kind":"uniform"}"#),
        NETWORK.replace('}', r#","evaluate.spread":"end"}"#),
        NETWORK.replace('}', r#","subspace.dim":10}"#),
        NETWORK.replace('}', r#","subspace.dim":11}"#),
        NETWORK.replace('}', r#","subspace.dim":10,"subspace.projection":"sparse"}"#),
    ];
    let names: BTreeSet<String> = variants.iter().map(|json| name(json)).collect();
    assert_eq!(names.len(), variants.len());
}

proptest! {
    #[test]
    fn equal_names_mean_equal_settings(a in any_settings(), b in any_settings()) {
        let read = |settings: &serde_json::Map<_, _>| {
            let mut settings = settings.clone();
            settings.remove("data.dataset");
            params(&serde_json::Value::Object(settings).to_string())
        };
        let (a, b) = (read(&a), read(&b));
        let hash = ContentHash([1; 32]);
        prop_assert_eq!(a == b, identity(&a, hash, None) == identity(&b, hash, None));
    }
}
