//! Calls that make no sense: a precise status, and nothing in the whole database is another than before.

use descent_proto::reason::Reason;
use descent_proto::v1;
use descent_spec::lease::Claimed;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tonic::{Code, Status};
use v1::ArtifactPurpose::Checkpoint;

use super::world::{TOY, Worker, World, named_field, opening};

/// Every row of every table, as text.
async fn everything(world: &World) -> String {
    let url = world.config.database.as_deref().unwrap();
    let path = url.strip_prefix("sqlite:").unwrap();
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut conn = SqliteConnection::connect_with(&options).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_sqlx%' ESCAPE '\\' ORDER BY name",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    let mut all = String::new();
    for table in tables {
        let columns: String = sqlx::query_scalar(
            "SELECT group_concat('\"' || name || '\"') FROM pragma_table_info($1)",
        )
        .bind(&table)
        .fetch_one(&mut conn)
        .await
        .unwrap();
        let query = format!("SELECT json_array({columns}) FROM \"{table}\" ORDER BY 1");
        let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_all(&mut conn)
            .await
            .unwrap();
        all.push_str(&format!("{table}\n{}\n", rows.join("\n")));
    }
    all
}

/// Every call of a worker about an attempt that is not its own is refused as fenced.
async fn check_fenced(worker: &mut Worker<'_>, claimed: &Claimed) {
    check_fenced_but(worker, claimed, v1::Verdict::Fenced).await;
}

/// The same where handing back is a repetition of what was done.
async fn check_fenced_but(worker: &mut Worker<'_>, claimed: &Claimed, released: v1::Verdict) {
    let fenced = |refusal: Status| assert_eq!(Reason::of(&refusal), Some(Reason::Fenced));
    fenced(worker.metrics(claimed, 1).await.unwrap_err());
    fenced(worker.commit(claimed, Checkpoint, b"x").await.unwrap_err());
    let failed = worker.fail(claimed, v1::FailureKind::Panic).await;
    fenced(failed.unwrap_err());
    assert_eq!(worker.complete(claimed).await, v1::Verdict::Fenced);
    assert_eq!(worker.release(claimed).await, released);
}

#[tokio::test]
async fn nothing_changes_by_calls_that_make_no_sense() {
    let mut world = World::sqlite().await;
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let (stolen, claimed) = (worker.lease_one().await, worker.lease_one().await);
    worker.metrics(&claimed, 1).await.unwrap();
    worker.commit(&claimed, Checkpoint, b"good").await.unwrap();
    let mut other = world.worker().await;
    let mut gone = world.worker().await;
    let request = v1::CloseSessionRequest {
        session: gone.session.clone(),
    };
    gone.work.close_session(request).await.unwrap();
    let mut unknown = Worker {
        world: &world,
        session: world.fresh(),
        work: world.connection().work(),
    };
    // Superseded: handed back, and given to another worker.
    worker.release(&stolen).await;
    while other.lease_one().await.trial != stolen.trial {}
    let before = everything(&world).await;

    // Sessions that are unknown, or over.
    for nobody in [&mut unknown, &mut gone] {
        assert_eq!(
            nobody.beat(&[&claimed]).await.session(),
            v1::SessionDirective::Reopen
        );
        let request = nobody.asking(1, 0);
        let refusal = nobody.lease_as(request).await.unwrap_err();
        assert_eq!(Reason::of(&refusal), Some(Reason::SessionClosed));
        check_fenced(nobody, &claimed).await;
        let request = v1::CloseSessionRequest {
            session: nobody.session.clone(),
        };
        nobody.work.close_session(request).await.unwrap();
    }
    let refusal = gone.work.open_session(opening(&gone.session, 1)).await;
    assert_eq!(
        Reason::of(&refusal.unwrap_err()),
        Some(Reason::SessionClosed)
    );
    // Another worker's attempt, an older one, and one that never was.
    check_fenced(&mut other, &claimed).await;
    check_fenced_but(&mut worker, &stolen, v1::Verdict::Accepted).await;
    let mut never = claimed.clone();
    never.attempt.0 += 7;
    check_fenced(&mut worker, &never).await;
    never.trial.0 += 1_000;
    check_fenced(&mut worker, &never).await;
    // Chunks out of order.
    for seq in [3, 9, u64::MAX] {
        let refusal = worker.metrics(&claimed, seq).await.unwrap_err();
        assert_eq!(Reason::of(&refusal), Some(Reason::MetricGap { last: 1 }));
    }
    assert_eq!(worker.metrics(&claimed, 1).await.unwrap(), 1);
    // A checkpoint that is not what its header says.
    let header = worker.header(&claimed, Checkpoint, b"good!");
    let refusal = worker.upload(header.clone(), b"evil!").await.unwrap_err();
    assert_eq!(named_field(&refusal), "header.artifact.hash");
    let refusal = worker.upload(header, b"good").await.unwrap_err();
    assert_eq!(named_field(&refusal), "header.artifact.bytes");
    // Sweeps and workers that are not there.
    let mut sweeps = world.connection().sweeps();
    let request_id = world.fresh();
    let sweep = "nowhere".to_owned();
    let code = |refusal: Status| refusal.code();
    let refused = sweeps
        .pause(v1::PauseRequest {
            request_id: request_id.clone(),
            sweep: sweep.clone(),
        })
        .await;
    assert_eq!(refused.map_err(code).unwrap_err(), Code::NotFound);
    let refused = sweeps
        .delete(v1::DeleteRequest {
            request_id: request_id.clone(),
            sweep,
        })
        .await;
    assert_eq!(refused.map_err(code).unwrap_err(), Code::NotFound);
    let worker_name = "nobody".to_owned();
    let refused = sweeps
        .drain(v1::DrainRequest {
            request_id,
            worker: worker_name,
        })
        .await;
    assert_eq!(refused.map_err(code).unwrap_err(), Code::NotFound);
    assert_eq!(everything(&world).await, before);
    drop((sweeps, worker, other, gone, unknown));
    world.stop().await.unwrap();
}

#[tokio::test]
async fn a_query_of_a_million_rows_is_cut() {
    let mut world = World::sqlite().await;
    world.expanded(TOY).await;
    let before = everything(&world).await;
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT i FROM n";
    let request = v1::QueryRequest {
        sql: sql.to_owned(),
        max_rows: 1_000_000,
    };
    let mut sweeps = world.connection().sweeps();
    let mut pages = sweeps.query(request).await.unwrap().into_inner();
    let (mut rows, mut truncated) = (0, false);
    while let Some(page) = pages.message().await.unwrap() {
        rows += page.rows_json.len();
        truncated |= page.truncated;
    }
    assert_eq!(
        (rows, truncated),
        (world.config.limits.query_rows as usize, true)
    );
    assert_eq!(everything(&world).await, before);
    drop((sweeps, pages));
    world.stop().await.unwrap();
}
