//! `Query`, on a real SQLite database.

use descent_proto::v1;
use tonic::Code;

use super::world::{TOY, World, named_field};

fn asking(sql: &str, max_rows: u32) -> v1::QueryRequest {
    v1::QueryRequest {
        sql: sql.into(),
        max_rows,
    }
}

#[tokio::test]
async fn rows_are_answered_and_nothing_can_be_written() {
    let mut world = World::sqlite().await;
    world.expanded(TOY).await;
    let mut worker = world.worker().await;
    let claimed = worker.lease_one().await;
    worker.complete(&claimed).await;

    let mut sweeps = world.connection().sweeps();
    let sql = "select sweep, width, test_loss from results where test_loss > 0";
    let mut pages = sweeps.query(asking(sql, 0)).await.unwrap().into_inner();
    let page = pages.message().await.unwrap().unwrap();
    assert_eq!(page.columns, ["sweep", "width", "test_loss"]);
    assert_eq!(page.rows_json, ["[\"toy\",2,0.5]"]);
    assert!(pages.message().await.unwrap().is_none());

    let sql = "select state from trials order by trial";
    let mut pages = sweeps.query(asking(sql, 3)).await.unwrap().into_inner();
    let page = pages.message().await.unwrap().unwrap();
    assert_eq!(page.rows_json.len(), 3);
    assert!(page.truncated);

    for wrong in [
        "selekt 1",
        "delete from trial",
        "update sweep set priority = 9",
    ] {
        let refusal = sweeps.query(asking(wrong, 0)).await.unwrap_err();
        assert_eq!(named_field(&refusal), "sql", "{wrong}");
    }
    drop(sweeps);
    drop(worker);
    world.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_queue_in_memory_has_no_sql() {
    let world = World::start();
    let mut sweeps = world.connection().sweeps();
    let refusal = sweeps.query(asking("select 1", 0)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
}
