//! An answer that got lost: the same call again gets the same answer, and nothing happens twice.

use descent_proto::v1;

use super::world::{TOY, World, opening, result, trials};

#[tokio::test(start_paused = true)]
async fn every_call_of_a_worker_may_be_repeated() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    // Twice each, compared.
    macro_rules! twice {
        ($method:ident, $request:expr) => {{
            let request = $request;
            let first = worker
                .work
                .$method(request.clone())
                .await
                .unwrap()
                .into_inner();
            let second = worker.work.$method(request).await.unwrap().into_inner();
            assert_eq!(first, second, stringify!($method));
            first
        }};
    }
    twice!(open_session, opening(&worker.session, 1));
    let granted = twice!(lease, worker.asking(1, 0)).grants;
    let claimed: descent_spec::lease::Claimed = granted[0].clone().try_into().unwrap();
    let other = worker.lease_one().await;
    let third = worker.lease_one().await;
    assert_ne!(claimed.trial, other.trial);
    let fence = worker.fence(&claimed);
    let held = |claimed: &descent_spec::lease::Claimed| v1::Held {
        trial: claimed.trial.0,
        attempt: claimed.attempt.0,
        epoch: 1,
        step: 2,
    };
    twice!(
        heartbeat,
        v1::HeartbeatRequest {
            session: worker.session.clone(),
            held: vec![held(&claimed), held(&other), held(&third)],
        }
    );
    let metrics = twice!(
        append_metrics,
        v1::AppendMetricsRequest {
            fence: Some(fence.into()),
            seq: 1,
            measurements: vec![(&super::world::measurement()).into()],
        }
    );
    assert_eq!(metrics.last_seq, 1);
    for _ in 0..2 {
        worker
            .commit(&claimed, v1::ArtifactPurpose::Weights, b"weights")
            .await
            .unwrap();
    }
    let verdicts = twice!(
        complete,
        v1::CompleteRequest {
            completions: vec![(fence, &result()).into()],
        }
    );
    assert_eq!(verdicts.verdicts().next(), Some(v1::Verdict::Accepted));
    let failed = twice!(
        fail,
        v1::FailRequest {
            fence: Some(worker.fence(&other).into()),
            failure: Some(v1::Failure {
                kind: v1::FailureKind::Device.into(),
                message: "the device is gone".into(),
            }),
        }
    );
    assert_eq!(failed.state(), v1::TrialState::Delayed);
    let released = twice!(
        release,
        v1::ReleaseRequest {
            fences: vec![worker.fence(&third).into()],
        }
    );
    assert_eq!(released.verdicts().next(), Some(v1::Verdict::Accepted));
    twice!(
        close_session,
        v1::CloseSessionRequest {
            session: worker.session.clone(),
        }
    );
    let sweep = world.sweep("toy").await;
    let count = |state| trials(&sweep, state);
    assert_eq!(count(v1::TrialState::Succeeded), 1);
    assert_eq!(count(v1::TrialState::Delayed), 1);
    assert_eq!(count(v1::TrialState::Ready), 2);
}

#[tokio::test(start_paused = true)]
async fn every_call_of_a_user_may_be_repeated() {
    let world = World::start();
    let mut sweeps = world.connection().sweeps();
    let request = world.submission(TOY);
    let first = sweeps.submit(request.clone()).await.unwrap().into_inner();
    let second = sweeps.submit(request).await.unwrap().into_inner();
    assert_eq!(first, second);
    assert_eq!(first.added, 4);
    world
        .until("toy", |sweep| sweep.state() == v1::SweepState::Running)
        .await;
    macro_rules! twice {
        ($method:ident, $request:ident $(, $field:ident: $value:expr)?) => {{
            let request = v1::$request {
                request_id: world.fresh(),
                sweep: "toy".into(),
                $($field: $value)?
            };
            let first = sweeps.$method(request.clone()).await.unwrap().into_inner();
            let second = sweeps.$method(request).await.unwrap().into_inner();
            assert_eq!(first, second, stringify!($method));
            first
        }};
    }
    twice!(pause, PauseRequest);
    twice!(resume, ResumeRequest);
    twice!(cancel, CancelRequest);
    let which = v1::RerunWhich::Missing.into();
    assert_eq!(twice!(rerun, RerunRequest, which: which).trials, 4);
    twice!(delete, DeleteRequest);
}
