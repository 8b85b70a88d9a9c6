//! Domain → wire → bytes → wire → domain.

use descent_proto::convert::known;
use descent_proto::v1;
use descent_spec::data::{Image, KnownData};
use descent_spec::details::{Details, Expressivity};
use descent_spec::id::{AttemptNumber, ContentHash, Identity, PackKey, SessionId, TrialId};
use descent_spec::lease::{
    Artifact, Claimed, Directive, Fence, Held, Purpose, SessionDirective, Verdict,
};
use descent_spec::outcome::{Failure, FailureKind, Measurement, StopReason, TrialResult};
use descent_spec::state::{SweepState, TrialState};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message;

/// Through bytes and back.
fn wired<M: Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

fn loss() -> impl Strategy<Value = Option<f64>> {
    of(any::<f64>().prop_filter("finite", |x| x.is_finite()))
}

fn share() -> impl Strategy<Value = Option<f64>> {
    of(0.0..=1.0)
}

prop_compose! {
    fn measurement()(
        epoch: u32,
        (train_loss, validation_loss, test_loss) in (loss(), loss(), loss()),
        (train_error, validation_error, test_error) in (share(), share(), share()),
        dead_units in of(any::<u32>()),
    ) -> Measurement {
        Measurement {
            epoch,
            train_loss,
            train_error,
            validation_loss,
            validation_error,
            test_loss,
            test_error,
            dead_units,
        }
    }
}

prop_compose! {
    fn details()(
        (distinct, direction, misfits) in any::<(u32, u32, u32)>(),
        (max_error, smallest_gap, largest_weight) in (loss(), loss(), loss()),
    ) -> Details {
        Details::Expressivity(Expressivity {
            distinct,
            direction,
            misfits,
            max_error,
            smallest_gap,
            largest_weight,
        })
    }
}

prop_compose! {
    fn result()(
        stop in select(StopReason::ALL),
        last in measurement(),
        diverged: bool,
        coefficient_norm in loss(),
        parameters: u64,
        details in of(details()),
        weights in of(any::<[u8; 32]>().prop_map(ContentHash)),
        (device, instruction_set) in ("[a-z:0-9]{1,8}", "[a-z0-9.-]{1,8}"),
        train_ms: u64,
    ) -> TrialResult {
        TrialResult {
            stop,
            last,
            diverged,
            coefficient_norm,
            parameters,
            details,
            weights,
            device,
            instruction_set,
            train_ms,
        }
    }
}

fn artifact() -> impl Strategy<Value = Artifact> {
    (any::<[u8; 32]>(), any::<u64>()).prop_map(|(hash, bytes)| Artifact {
        hash: ContentHash(hash),
        bytes,
    })
}

fn row() -> impl Strategy<Value = i64> {
    1..=i64::MAX
}

prop_compose! {
    fn claimed()(
        (trial, attempt) in (row(), row()),
        (identity, pack_key, data) in any::<([u8; 16], [u8; 16], [u8; 32])>(),
        (params, sweep) in ("[{}a-z]{1,20}", "[a-z-]{0,9}"),
        (checkpoint, parent_weights) in (of(artifact()), of(artifact())),
        time_limit_ms: u64,
        (checkpoint_ms, checkpoint_epochs) in any::<(u32, u32)>(),
        keep_weights: bool,
    ) -> Claimed {
        Claimed {
            trial: TrialId(trial),
            attempt: AttemptNumber(attempt),
            identity: Identity(identity),
            pack_key: PackKey(pack_key),
            data: ContentHash(data),
            params,
            checkpoint,
            parent_weights,
            time_limit_ms,
            checkpoint_ms,
            checkpoint_epochs,
            keep_weights,
            sweep,
        }
    }
}

proptest! {
    #[test]
    fn results(domain in result()) {
        let wire = wired(&v1::TrialResult::from(&domain));
        prop_assert_eq!(TrialResult::try_from(wire).unwrap(), domain);
    }

    #[test]
    fn grants(domain in claimed()) {
        let wire = wired(&v1::Grant::from(domain.clone()));
        prop_assert_eq!(Claimed::try_from(wire).unwrap(), domain);
    }

    #[test]
    fn completions(session: [u8; 16], (trial, attempt) in (row(), row()), result in result()) {
        let fence = Fence {
            session: SessionId(session),
            trial: TrialId(trial),
            attempt: AttemptNumber(attempt),
        };
        let wire = wired(&v1::Completion::from((fence, &result)));
        prop_assert_eq!(<(Fence, TrialResult)>::try_from(wire).unwrap(), (fence, result));
    }

    #[test]
    fn beats((trial, attempt) in (row(), row()), epoch: u32, step: u64) {
        let domain = Held { trial: TrialId(trial), attempt: AttemptNumber(attempt), epoch, step };
        let wire = wired(&v1::Held::from(domain));
        prop_assert_eq!(Held::try_from(wire).unwrap(), domain);
    }

    #[test]
    fn failures(kind in select(FailureKind::ALL), message in ".{1,40}") {
        let domain = Failure { kind, message };
        let wire = wired(&v1::Failure::from(&domain));
        prop_assert_eq!(Failure::try_from(wire).unwrap(), domain);
    }

    #[test]
    fn data_sets(hash: [u8; 32], (inputs, outputs, train_samples) in (1_u32.., 1_u32.., 1_u32..), test_samples: u32) {
        let image = Image::new(1, inputs, 1, inputs);
        let domain = KnownData { hash: ContentHash(hash), inputs, outputs, train_samples, test_samples, image };
        let wire = wired(&v1::DataSet::from(domain));
        prop_assert_eq!(KnownData::try_from(wire).unwrap(), domain);
    }

    /// Bytes from anywhere end in a value or in a named field, never in a panic.
    #[test]
    fn anything(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(wire) = v1::Completion::decode(bytes.as_slice()) {
            let _ = <(Fence, TrialResult)>::try_from(wire);
        }
        if let Ok(wire) = v1::Grant::decode(bytes.as_slice()) {
            let _ = Claimed::try_from(wire);
        }
    }
}

/// What is not finite is left out on the way to the wire.
#[test]
fn infinities_are_absent() {
    let domain = Measurement {
        epoch: 1,
        train_loss: Some(f64::INFINITY),
        train_error: Some(1.0),
        validation_loss: None,
        validation_error: None,
        test_loss: Some(f64::NAN),
        test_error: None,
        dead_units: None,
    };
    let wire = v1::Measurement::from(&domain);
    assert_eq!((wire.train_loss, wire.test_loss), (None, None));
    assert_eq!(wire.train_error, Some(1.0));
}

/// Every variant has its number, and every number but 0 its variant.
#[test]
fn enums() {
    macro_rules! check {
        ($domain:ident as $wire:ident: $all:expr) => {
            for &variant in $all {
                let number = i32::from(v1::$wire::from(variant));
                let back: $domain = known::<v1::$wire, _>(number, "state").unwrap();
                assert_eq!(back, variant);
            }
            let refused: Result<$domain, _> = known::<v1::$wire, _>(0, "state");
            assert_eq!(refused.unwrap_err().path, "state");
            let refused: Result<$domain, _> = known::<v1::$wire, _>(99, "state");
            assert!(refused.unwrap_err().reason.contains("99"));
        };
    }
    check!(TrialState as TrialState: TrialState::ALL);
    check!(SweepState as SweepState: SweepState::ALL);
    check!(StopReason as StopReason: StopReason::ALL);
    check!(FailureKind as FailureKind: FailureKind::ALL);
    check!(Verdict as Verdict: &[Verdict::Accepted, Verdict::Fenced]);
    check!(Purpose as ArtifactPurpose: &[Purpose::Checkpoint, Purpose::Weights]);
    check!(Directive as Directive: &[
        Directive::Continue, Directive::Cancel, Directive::Fenced, Directive::CheckpointNow, Directive::Release,
    ]);
    check!(SessionDirective as SessionDirective: &[
        SessionDirective::None, SessionDirective::Drain, SessionDirective::Reopen,
    ]);
}
