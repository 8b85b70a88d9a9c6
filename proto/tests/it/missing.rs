//! Every field that has to be there is named by its path when it is not.

use descent_proto::convert::{InvalidField, Scoped as _, digests, required};
use descent_proto::v1;
use descent_spec::data::KnownData;
use descent_spec::id::ContentHash;
use descent_spec::lease::{Artifact, Claimed, Directive, Fence, Held};
use descent_spec::outcome::{Failure, TrialResult};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// A path, and what spoils the field there.
type Case<'p, W> = (&'p str, fn(&mut W));

/// Takes one field out of a good message, and looks what the conversion complains about.
fn check<W: Clone, D: TryFrom<W, Error = InvalidField>>(good: &W, cases: &[Case<'_, W>]) {
    assert!(D::try_from(good.clone()).is_ok(), "the message is good");
    for (path, spoil) in cases {
        let mut wire = good.clone();
        spoil(&mut wire);
        match D::try_from(wire) {
            Ok(_) => panic!("{path} was not missed"),
            Err(invalid) => assert_eq!(invalid.path, *path),
        }
    }
}

fn fence() -> v1::Fence {
    v1::Fence {
        session: vec![1; 16],
        trial: 2,
        attempt: 3,
    }
}

fn result() -> v1::TrialResult {
    v1::TrialResult {
        stop: v1::StopReason::Epochs.into(),
        last: Some(v1::Measurement::default()),
        device: "cpu".into(),
        instruction_set: "avx2".into(),
        ..v1::TrialResult::default()
    }
}

#[test]
fn fences() {
    check::<_, Fence>(
        &fence(),
        &[
            ("session", |wire| wire.session.clear()),
            ("session", |wire| wire.session.truncate(15)),
            ("trial", |wire| wire.trial = 0),
            ("trial", |wire| wire.trial = -1),
            ("attempt", |wire| wire.attempt = 0),
        ],
    );
}

#[test]
fn completions() {
    let good = v1::Completion {
        fence: Some(fence()),
        result: Some(result()),
    };
    check::<_, (Fence, TrialResult)>(
        &good,
        &[
            ("fence", |wire| wire.fence = None),
            ("fence.trial", |wire| wire.fence.as_mut().unwrap().trial = 0),
            ("result", |wire| wire.result = None),
            ("result.stop", |wire| wire.result.as_mut().unwrap().stop = 0),
            ("result.stop", |wire| {
                wire.result.as_mut().unwrap().stop = 77;
            }),
            ("result.last", |wire| {
                wire.result.as_mut().unwrap().last = None;
            }),
            ("result.device", |wire| {
                wire.result.as_mut().unwrap().device.clear();
            }),
            ("result.instruction_set", |wire| {
                wire.result.as_mut().unwrap().instruction_set.clear();
            }),
            ("result.weights", |wire| {
                wire.result.as_mut().unwrap().weights = vec![0; 31];
            }),
            ("result.coefficient_norm", |wire| {
                wire.result.as_mut().unwrap().coefficient_norm = Some(f64::NAN);
            }),
            ("result.details", |wire| {
                wire.result.as_mut().unwrap().details = "{\"boredom\":1}".to_owned();
            }),
            ("result.last.test_error", |wire| {
                let last = &mut wire.result.as_mut().unwrap().last;
                last.as_mut().unwrap().test_error = Some(1.5);
            }),
            ("result.last.train_loss", |wire| {
                let last = &mut wire.result.as_mut().unwrap().last;
                last.as_mut().unwrap().train_loss = Some(f64::INFINITY);
            }),
        ],
    );
}

#[test]
fn grants() {
    let artifact = v1::ArtifactRef {
        hash: vec![7; 32],
        bytes: 1,
    };
    let good = v1::Grant {
        trial: 1,
        attempt: 1,
        identity: vec![1; 16],
        pack_key: vec![2; 16],
        params: "{}".into(),
        data: vec![3; 32],
        checkpoint: Some(artifact.clone()),
        parent_weights: Some(artifact),
        ..v1::Grant::default()
    };
    check::<_, Claimed>(
        &good,
        &[
            ("trial", |wire| wire.trial = 0),
            ("attempt", |wire| wire.attempt = 0),
            ("identity", |wire| wire.identity.clear()),
            ("pack_key", |wire| wire.pack_key.clear()),
            ("params", |wire| wire.params.clear()),
            ("data", |wire| wire.data.clear()),
            ("checkpoint.hash", |wire| {
                wire.checkpoint.as_mut().unwrap().hash.clear();
            }),
            ("parent_weights.hash", |wire| {
                wire.parent_weights.as_mut().unwrap().hash.push(0);
            }),
        ],
    );
}

#[test]
fn the_rest() {
    let held = v1::Held {
        trial: 1,
        attempt: 1,
        ..v1::Held::default()
    };
    check::<_, Held>(
        &held,
        &[
            ("trial", |wire| wire.trial = 0),
            ("attempt", |wire| wire.attempt = 0),
        ],
    );
    let failure = v1::Failure {
        kind: v1::FailureKind::Panic.into(),
        message: "why".into(),
    };
    check::<_, Failure>(
        &failure,
        &[
            ("kind", |wire| wire.kind = 0),
            ("message", |wire| wire.message.clear()),
        ],
    );
    let artifact = v1::ArtifactRef {
        hash: vec![7; 32],
        bytes: 0,
    };
    check::<_, Artifact>(&artifact, &[("hash", |wire| wire.hash.clear())]);
    let data = v1::DataSet {
        hash: vec![7; 32],
        inputs: 1,
        outputs: 1,
        train_samples: 1,
        test_samples: 0,
        image: None,
    };
    check::<_, KnownData>(
        &data,
        &[
            ("hash", |wire| wire.hash.clear()),
            ("inputs", |wire| wire.inputs = 0),
            ("outputs", |wire| wire.outputs = 0),
            ("train_samples", |wire| wire.train_samples = 0),
            ("image", |wire| {
                wire.image = Some(v1::Image {
                    channels: 1,
                    height: 2,
                    width: 1,
                });
            }),
        ],
    );
    let directive = v1::TrialDirective {
        trial: 1,
        attempt: 1,
        directive: v1::Directive::Continue.into(),
    };
    check::<
        _,
        (
            descent_spec::id::TrialId,
            descent_spec::id::AttemptNumber,
            Directive,
        ),
    >(&directive, &[("directive", |wire| wire.directive = 0)]);
}

#[test]
fn the_status_carries_the_path() {
    let wire = v1::Completion::default();
    let invalid = <(Fence, TrialResult)>::try_from(wire)
        .scope("completions[3]")
        .unwrap_err();
    let status = Status::from(invalid);
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("completions[3].fence"),
        "{status}"
    );
    let details = status.get_details_bad_request().unwrap();
    assert_eq!(details.field_violations[0].field, "completions[3].fence");
}

#[test]
fn lists_name_the_element() {
    let list = [vec![0; 32], vec![0; 3]];
    let invalid = digests(&list, "data", ContentHash).unwrap_err();
    assert_eq!(invalid.path, "data[1]");
    assert_eq!(invalid.reason, "is 3 bytes, not 32");
    let invalid = required::<v1::Fence, Fence>(None, "fence").unwrap_err();
    assert_eq!(invalid.to_string(), "field `fence`: is missing");
}
