//! Sweeps: submitted, expanded, edited.

use descent_proto::v1;
use tonic::Code;

use super::world::{TOY, World, named_field, trials};

#[tokio::test(start_paused = true)]
async fn every_mistake_is_told_and_nothing_is_stored() {
    let world = World::start();
    let source = TOY
        .replace("batch = 10", "bach = 10")
        .replace("[2, 4]", "[]");
    let mut sweeps = world.connection().sweeps();
    let refusal = sweeps.submit(world.submission(&source)).await.unwrap_err();
    assert_eq!(named_field(&refusal), "source");
    for part in ["toy.toml", "bach", "width"] {
        assert!(refusal.message().contains(part), "{}", refusal.message());
    }
    let mut request = world.submission(TOY);
    request.data.clear();
    let refusal = sweeps.submit(request).await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    let listed = sweeps.list(v1::ListRequest::default()).await.unwrap();
    assert!(listed.into_inner().sweeps.is_empty());
    let get = v1::GetRequest {
        sweep: "toy".into(),
    };
    assert_eq!(sweeps.get(get).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn expansion_goes_on_after_a_restart() {
    // 600 points, a few at a time; stopped while some are still to come.
    let source = TOY.replace("count = 2", "count = 300");
    let mut world = World::with(|config| config.limits.slice = 7);
    world.submit(&source).await;
    let mut restarts = 0;
    loop {
        let sweep = world.sweep("toy").await;
        if sweep.state() == v1::SweepState::Running {
            break;
        }
        world = world.restart(|_| ()).await;
        restarts += 1;
    }
    assert!(restarts > 0, "nothing was tested");
    let sweep = world.sweep("toy").await;
    assert_eq!((sweep.points, sweep.expanded), (600, 600));
    assert_eq!(trials(&sweep, v1::TrialState::Ready), 600);
}

#[tokio::test(start_paused = true)]
async fn an_edited_sweep_is_a_set_difference() {
    let world = World::start();
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    worker.complete(&claimed).await;

    // The same text again: nothing changes.
    let same = world.submit(TOY).await;
    assert_eq!((same.added, same.kept, same.removed), (0, 4, 0));
    assert_eq!(world.sweep("toy").await.state(), v1::SweepState::Running);

    // One width goes, two come: width 4 is kept.
    let edited = TOY.replace("[2, 4]", "[4, 6, 8]");
    let mut sweeps = world.connection().sweeps();
    let mut request = world.submission(&edited);
    request.dry_run = true;
    let shown = sweeps.submit(request).await.unwrap().into_inner();
    assert_eq!((shown.added, shown.kept, shown.removed), (4, 2, 2));
    let refusal = sweeps.submit(world.submission(&edited)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert!(
        refusal.message().contains("2 of its trials"),
        "{}",
        refusal.message()
    );
    assert_eq!(
        world.sweep("toy").await.points,
        4,
        "shown, refused: nothing changed"
    );

    let mut request = world.submission(&edited);
    request.allow_removal = true;
    let done = sweeps.submit(request).await.unwrap().into_inner();
    assert_eq!(done, shown);
    let sweep = world
        .until("toy", |sweep| {
            sweep.state() == v1::SweepState::Running && sweep.points == 6
        })
        .await;
    let total: u64 = sweep.counts.iter().map(|count| count.trials).sum();
    assert_eq!(total, 6);
}

#[tokio::test(start_paused = true)]
async fn a_stored_sweep_that_cannot_be_read_is_left_alone() {
    use descent_coordinator::store::{IfExists, NewSweep};
    use descent_spec::id::{RequestId, Timestamp};
    let world = World::start();
    let foreign = NewSweep {
        name: "foreign".into(),
        experiment: "risk-curve".into(),
        source: "name = ".into(),
        data: "{}".into(),
        points: 1,
        cost_total: 1.0,
        max_alike_failures: 0,
        priority: 9,
        axes: Vec::new(),
    };
    world
        .store
        .submit(RequestId([1; 16]), &foreign, IfExists::Refuse, Timestamp(0))
        .await
        .unwrap();
    // Others are expanded beside it.
    world.expanded(TOY).await;
    assert_eq!(
        world.sweep("foreign").await.state(),
        v1::SweepState::Expanding
    );
}

#[tokio::test(start_paused = true)]
async fn pages_of_sweeps_follow_each_other() {
    let world = World::start();
    for name in ["a", "b", "c"] {
        world
            .submit(&TOY.replace("\"toy\"\nexp", &format!("\"{name}\"\nexp")))
            .await;
    }
    let mut sweeps = world.connection().sweeps();
    let mut names = Vec::new();
    let mut after = 0;
    loop {
        let page = v1::ListRequest { after, limit: 2 };
        let page = sweeps.list(page).await.unwrap().into_inner().sweeps;
        let Some(last) = page.last() else { break };
        after = last.id;
        names.extend(page.into_iter().map(|sweep| sweep.name));
    }
    assert_eq!(names, ["a", "b", "c"]);
}
