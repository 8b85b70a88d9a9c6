//! Sweeps that are paused, workers that are drained or quarantined, trials that hang: what goes over the wire.

use descent_proto::v1;
use descent_spec::lease::Claimed;
use tonic::Code;

use super::world::{TOY, Worker, World, named_field, trials};

/// Sixteen trials.
fn sixteen() -> String {
    TOY.replace("count = 2", "count = 8")
}

async fn explained(world: &World, claimed: &Claimed) -> v1::ExplainResponse {
    let request = v1::ExplainRequest {
        trial: claimed.trial.to_string(),
    };
    let mut sweeps = world.connection().sweeps();
    sweeps.explain(request).await.unwrap().into_inner()
}

async fn workers(world: &World) -> Vec<v1::Worker> {
    let mut sweeps = world.connection().sweeps();
    let answer = sweeps.workers(v1::WorkersRequest {}).await.unwrap();
    answer.into_inner().workers
}

#[tokio::test(start_paused = true)]
async fn a_pause_reaches_what_is_in_training_with_the_next_beat() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    assert_eq!(worker.directive(&claimed).await, v1::Directive::Continue);
    let request = v1::PauseRequest {
        request_id: world.fresh(),
        sweep: "toy".into(),
    };
    world.connection().sweeps().pause(request).await.unwrap();
    assert_eq!(worker.directive(&claimed).await, v1::Directive::Release);
    assert_eq!(worker.release(&claimed).await, v1::Verdict::Accepted);
    assert!(worker.lease(4).await.is_empty());
    let told = explained(&world, &claimed).await;
    assert!(told.reason.contains("paused"), "{}", told.reason);
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_drained_by_its_name() {
    let world = World::start();
    let mut going = world.worker().await;
    let mut staying = world.worker().await;
    let names: Vec<String> = workers(&world)
        .await
        .into_iter()
        .map(|row| row.worker)
        .collect();
    let drain = async |worker: &str| {
        let request = v1::DrainRequest {
            request_id: world.fresh(),
            worker: worker.to_owned(),
        };
        world.connection().sweeps().drain(request).await
    };
    assert_eq!(drain(&names[0]).await.unwrap().into_inner().sessions, 1);
    assert_eq!(going.beat(&[]).await.session(), v1::SessionDirective::Drain);
    assert_eq!(
        staying.beat(&[]).await.session(),
        v1::SessionDirective::None
    );
    assert_eq!(named_field(&drain("").await.unwrap_err()), "worker");
    let refusal = drain("nobody").await.unwrap_err();
    assert_eq!(refusal.code(), Code::NotFound);
    assert!(
        refusal.message().contains("`nobody`"),
        "{}",
        refusal.message()
    );
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_stands_still_is_taken_from_its_worker() {
    let world = World::start();
    let hasty = format!("{TOY}\n[run]\nstall_s = 20\n");
    world.expanded(&hasty).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    for _ in 0..4 {
        // The same step in every beat.
        assert_eq!(worker.directive(&claimed).await, v1::Directive::Continue);
        world.pass(5_000).await;
    }
    let told = explained(&world, &claimed).await;
    assert!(told.reason.contains("epoch 1, step 10"), "{}", told.reason);
    assert_eq!(worker.directive(&claimed).await, v1::Directive::Fenced);
    let told = explained(&world, &claimed).await;
    assert_eq!(told.state(), v1::TrialState::Delayed);
    let last = told.attempts.last().unwrap();
    assert_eq!(last.failure.as_deref(), Some("stalled"));
    assert!(last.message.as_ref().unwrap().contains("no step for 20 s"));
    // Too late for the one that hung.
    assert_eq!(worker.complete(&claimed).await, v1::Verdict::Fenced);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ignores_the_time_limit_loses_the_trial() {
    let world = World::start();
    let limited = format!("{TOY}\n[run]\ntime_limit_s = 30\n");
    world.expanded(&limited).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    let mut beats = 0;
    while worker.directive(&claimed).await == v1::Directive::Continue {
        world.pass(5_000).await;
        beats += 1;
        assert!(beats < 100, "it is never ended");
    }
    // Its own 30 s, and a minute for the worker to see it by itself.
    assert!((18..=20).contains(&beats), "{beats}");
    let told = explained(&world, &claimed).await;
    assert_eq!(told.state(), v1::TrialState::Failed);
    assert_eq!(told.attempts[0].failure.as_deref(), Some("time-limit"));
}

/// Fails so many trials, each another one.
async fn fail(worker: &mut Worker<'_>, count: usize) -> Vec<Claimed> {
    let mut failed = Vec::new();
    for _ in 0..count {
        let claimed = worker.lease_one().await;
        worker
            .fail(&claimed, v1::FailureKind::Device)
            .await
            .unwrap();
        failed.push(claimed);
    }
    failed
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_fails_where_another_succeeds_is_quarantined_and_its_trials_are_not_charged()
{
    let world = World::start();
    world.expanded(&sixteen()).await;
    let mut good = world.worker().await;
    let mut bad = world.worker().await;
    let done = good.lease_one().await;
    assert_eq!(good.complete(&done).await, v1::Verdict::Accepted);
    let held = bad.lease_one().await;
    let failed = fail(&mut bad, 5).await;
    // It is told, gets nothing, and gives back what it holds, whose failure is not charged either.
    let request = bad.asking(4, 0);
    let answer = bad.work.lease(request).await.unwrap().into_inner();
    assert!(answer.grants.is_empty());
    assert!(
        answer.quarantine.contains("5 trials failed"),
        "{}",
        answer.quarantine
    );
    assert_eq!(bad.directive(&held).await, v1::Directive::Release);
    let state = bad.fail(&held, v1::FailureKind::Panic).await.unwrap();
    assert_eq!(state, v1::TrialState::Ready);
    let quarantined: Vec<bool> = workers(&world)
        .await
        .iter()
        .map(|row| row.quarantine.is_some())
        .collect();
    assert_eq!(quarantined, [false, true]);
    world.pass(5_000).await;
    good.beat(&[]).await;
    let mut all = Vec::new();
    loop {
        // Near the end a claim takes no more than its share.
        let some = good.lease(16).await;
        if some.is_empty() {
            break;
        }
        all.extend(some);
    }
    assert_eq!(all.len(), 15);
    for claimed in all
        .iter()
        .filter(|one| failed.iter().any(|bad| bad.trial == one.trial))
    {
        let budget = world.store.budget(good.fence(claimed)).await.unwrap();
        assert_eq!(budget, Some((0, 3)), "{}", claimed.trial);
    }
    // Its time comes, and one more failure sends it back at once.
    assert_eq!(good.release(&all[0]).await, v1::Verdict::Accepted);
    bad.beat(&[]).await;
    world.pass(600_000).await;
    bad.beat(&[]).await;
    good.beat(&all[1..].iter().collect::<Vec<_>>()).await;
    world.pass(5_000).await;
    assert_eq!(good.complete(&all[1]).await, v1::Verdict::Accepted);
    fail(&mut bad, 1).await;
    assert!(workers(&world).await[1].quarantine.is_some());
}

#[tokio::test(start_paused = true)]
async fn where_nobody_succeeds_the_sweep_is_paused_and_no_worker_blamed() {
    let world = World::start();
    let sweep = format!("{}\n[run]\nmax_alike_failures = 6\n", sixteen());
    world.expanded(&sweep).await;
    let mut worker = world.worker().await;
    fail(&mut worker, 6).await;
    let sweep = world.sweep("toy").await;
    assert_eq!(sweep.state(), v1::SweepState::Paused);
    assert!(sweep.pause_reason.unwrap().ends_with("it went wrong"));
    assert_eq!(workers(&world).await[0].quarantine, None);
    let request = v1::ResumeRequest {
        request_id: world.fresh(),
        sweep: "toy".into(),
    };
    let resumed = world.connection().sweeps().resume(request).await.unwrap();
    let resumed = resumed.into_inner().sweep.unwrap();
    assert_eq!(
        (resumed.state(), resumed.pause_reason.clone()),
        (v1::SweepState::Running, None)
    );
    assert_eq!(trials(&resumed, v1::TrialState::Delayed), 6);
    assert_eq!(worker.lease(1).await.len(), 1);
}
