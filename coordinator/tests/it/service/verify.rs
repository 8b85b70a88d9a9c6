//! What is whole is called whole; each damage, done to the tables by hand, is found under its name.

use descent_coordinator::reader::Reader;
use descent_coordinator::verify::{Finding, verify};
use descent_proto::v1;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::world::{TOY, World, trials};

/// A finished sweep of four trials on SQLite, with measurements.
async fn finished() -> World {
    let world = World::sqlite().await;
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    for claimed in worker.lease(4).await {
        worker.metrics(&claimed, 1).await.unwrap();
        assert_eq!(worker.complete(&claimed).await, v1::Verdict::Accepted);
    }
    world
}

async fn findings(world: &World) -> Vec<Finding> {
    let url = world.config.database.as_deref().unwrap();
    let reader = Reader::open(url).await.unwrap();
    let row = reader.sweep("toy").await.unwrap().unwrap();
    let found = verify(&reader, None, &row).await.unwrap();
    reader.close().await;
    found
}

/// A connection that may do what descent never does.
async fn by_hand(world: &World) -> SqliteConnection {
    let url = world.config.database.as_deref().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(url.strip_prefix("sqlite:").unwrap())
        .foreign_keys(false);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Checks that a damage is found by the check that begins so, and that nothing is found once it is mended.
async fn check(world: &World, name: &str, damage: &str, mend: &str) {
    let mut conn = by_hand(world).await;
    let done = sqlx::query(sqlx::AssertSqlSafe(damage.to_owned()))
        .execute(&mut conn)
        .await
        .unwrap();
    assert!(done.rows_affected() > 0, "{damage}");
    let found = findings(world).await;
    let wrong = found.iter().find(|finding| finding.check.starts_with(name));
    let wrong = wrong.unwrap_or_else(|| panic!("no check begins with {name:?}"));
    assert_eq!(wrong.wrong, 1, "{damage}: {wrong:?}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(mend.to_owned()))
        .execute(&mut conn)
        .await
        .unwrap();
    let left: Vec<Finding> = findings(world).await;
    assert!(
        left.iter().all(|finding| finding.wrong == 0),
        "{mend}: {left:?}"
    );
    conn.close().await.unwrap();
}

#[tokio::test]
async fn each_damage_is_found_and_named() {
    let mut world = finished().await;
    let whole = findings(&world).await;
    assert!(whole.iter().all(|finding| finding.wrong == 0), "{whole:?}");
    let mut conn = by_hand(&world).await;
    // What the damages below are mended from.
    sqlx::raw_sql(
        "CREATE TABLE kept_link AS SELECT * FROM sweep_trial; CREATE TABLE kept_result AS SELECT * FROM result;",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    let identity: String = sqlx::query_scalar("SELECT identity FROM trial WHERE id = 1")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    let w = &world;
    check(
        w,
        "every point of the file has its trial",
        "DELETE FROM sweep_trial WHERE trial_id = 1",
        "INSERT INTO sweep_trial SELECT * FROM kept_link WHERE trial_id = 1",
    )
    .await;
    check(
        w,
        "every trial has the settings of its point",
        "UPDATE trial_spec SET params = ' ' || params WHERE trial_id = 1",
        "UPDATE trial_spec SET params = trim(params)",
    )
    .await;
    check(
        w,
        "every succeeded trial has its result",
        "DELETE FROM result WHERE trial_id = 1",
        "INSERT INTO result SELECT * FROM kept_result WHERE trial_id = 1",
    )
    .await;
    check(
        w,
        "every result belongs to a succeeded trial",
        "UPDATE trial SET state = 'failed' WHERE id = 1",
        "UPDATE trial SET state = 'succeeded' WHERE id = 1",
    )
    .await;
    check(
        w,
        "every result is that of a succeeded attempt",
        "UPDATE attempt SET outcome = 'released' WHERE trial_id = 1",
        "UPDATE attempt SET outcome = 'succeeded' WHERE trial_id = 1",
    )
    .await;
    check(
        w,
        "a trial has as many attempts",
        "UPDATE trial SET attempt = 2 WHERE id = 1",
        "UPDATE trial SET attempt = 1 WHERE id = 1",
    )
    .await;
    check(
        w,
        "a trial has an open attempt",
        "UPDATE attempt SET outcome = 'active', ended_at = NULL WHERE trial_id = 1",
        "UPDATE attempt SET outcome = 'succeeded', ended_at = 1 WHERE trial_id = 1",
    )
    .await;
    check(
        w,
        "what waits for another trial",
        "UPDATE trial SET state = 'blocked', parent_id = 1 WHERE id = 2",
        "UPDATE trial SET state = 'succeeded', parent_id = NULL WHERE id = 2",
    )
    .await;
    check(
        w,
        "no other attempt has measured",
        "INSERT INTO metric (trial_id, epoch, attempt) VALUES (1, 999, 7)",
        "DELETE FROM metric WHERE epoch = 999",
    )
    .await;
    check(
        w,
        "a finished sweep has nothing left",
        "UPDATE trial SET state = 'ready' WHERE id = 1",
        "UPDATE trial SET state = 'succeeded' WHERE id = 1; UPDATE sweep SET state = 'finished', finished_at = 1",
    )
    .await;
    check(
        w,
        "counters equal rows",
        "UPDATE sweep_tally SET trials = trials + 1 WHERE state = 'succeeded'",
        "UPDATE sweep_tally SET trials = trials - 1 WHERE state = 'succeeded'",
    )
    .await;
    // Another trial in its place: one is missing, and one is too many.
    let mut conn = by_hand(w).await;
    sqlx::query("UPDATE trial SET identity = 'ffffffffffffffffffffffffffffffff' WHERE id = 1")
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    let found = findings(w).await;
    assert_eq!(found[0].wrong, 2, "{found:?}");
    let told = found[0].details.join(" ");
    assert!(
        told.contains(&identity) && told.contains("not in the file: ffff"),
        "{told}"
    );
    world.stop().await.unwrap();
}

#[tokio::test]
async fn a_point_that_lost_its_trial_is_made_up_for() {
    let mut world = finished().await;
    let mut conn = by_hand(&world).await;
    for table in ["sweep_trial", "result", "metric", "attempt", "trial_spec"] {
        let query = format!("DELETE FROM {table} WHERE trial_id = 1");
        let done = sqlx::query(sqlx::AssertSqlSafe(query))
            .execute(&mut conn)
            .await;
        assert_eq!(done.unwrap().rows_affected(), 1, "{table}");
    }
    sqlx::query("DELETE FROM trial WHERE id = 1")
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    let rerun = async || {
        let request = v1::RerunRequest {
            request_id: world.fresh(),
            sweep: "toy".into(),
            which: v1::RerunWhich::Missing.into(),
        };
        let answer = world.connection().sweeps().rerun(request).await;
        answer.unwrap().into_inner().trials
    };
    assert_eq!(rerun().await, 1);
    let sweep = world
        .until("toy", |sweep| sweep.state() == v1::SweepState::Running)
        .await;
    assert_eq!(trials(&sweep, v1::TrialState::Ready), 1);
    assert_eq!(trials(&sweep, v1::TrialState::Succeeded), 3);
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    assert_eq!(worker.complete(&claimed).await, v1::Verdict::Accepted);
    let found = findings(&world).await;
    assert!(found.iter().all(|finding| finding.wrong == 0), "{found:?}");
    assert_eq!(rerun().await, 0);
    drop(worker);
    world.stop().await.unwrap();
}
