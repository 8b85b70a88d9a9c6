//! Reading with SQL: beside a coordinator, without one, and never writing.

use descent_coordinator::open_store;
use descent_coordinator::reader::{Cell, ColumnKind, Reader};
use descent_coordinator::store::StoreError;

use super::fixture::{self, Fixture, at, fence, new_trial, result};

/// Tries a check on both databases.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::fixture::sqlite().await).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                if let Some(fixture) = super::fixture::postgres().await {
                    super::$name(&fixture).await;
                }
            })+
        }
    };
}

on_both_databases!(
    it_reads_what_is_there_while_the_coordinator_writes,
    it_writes_nothing_however_it_is_asked,
    rows_are_limited_and_it_says_so,
    a_mistake_is_told_in_the_databases_own_words,
);

async fn it_reads_what_is_there_while_the_coordinator_writes(f: &Fixture) {
    f.sweep_of("s", (0..2).map(new_trial).collect()).await;
    let reader = f.reader().await;
    let worker = f.open(1).await;
    let trial = f.claim(worker, 1).await.remove(0);
    f.store
        .complete(&[(fence(worker, &trial), result())], at(7))
        .await
        .unwrap();
    let sql =
        "SELECT width, label_noise, state, test_loss, finished_at FROM trials ORDER BY trial;";
    let table = reader.query(sql, 10).await.unwrap();
    let kinds: Vec<ColumnKind> = table.columns.iter().map(|column| column.kind).collect();
    use ColumnKind::{Float, Int, Text};
    assert_eq!(kinds, [Int, Float, Text, Float, Text]);
    let text = |text: &str| Cell::Text(text.to_owned());
    let first = [
        Cell::Int(1),
        Cell::Float(0.2),
        text("succeeded"),
        Cell::Float(0.25),
        text("2023-11-14T22:13:27.000Z"),
    ];
    assert_eq!(table.rows[0], first);
    let second = [
        Cell::Int(1),
        Cell::Float(0.2),
        text("ready"),
        Cell::Null,
        Cell::Null,
    ];
    assert_eq!(table.rows[1], second);
    let own = "SELECT width, data_label_noise, train_loss, seed FROM sweep_s ORDER BY seed";
    let table = reader.query(own, 10).await.unwrap();
    let names: Vec<&str> = table
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(names, ["width", "data_label_noise", "train_loss", "seed"]);
    // An axis takes the name before a result does.
    assert_eq!(
        table.rows[0],
        [
            Cell::Int(1),
            Cell::Float(0.2),
            text("squared"),
            Cell::Int(0)
        ]
    );
    assert_eq!(reader.sweeps().await.unwrap().len(), 1);
    assert_eq!(reader.sweep("s").await.unwrap().unwrap().points, 2);
    let finished = reader
        .finished(&[fixture::identity(0), fixture::identity(1)])
        .await
        .unwrap();
    assert_eq!(finished, [fixture::identity(0)]);
}

async fn it_writes_nothing_however_it_is_asked(f: &Fixture) {
    f.sweep_of("s", vec![new_trial(0)]).await;
    let reader = f.reader().await;
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("stolen.db").display().to_string();
    for sql in [
        "DELETE FROM trial",
        "UPDATE trial SET ord = 7",
        "DROP VIEW trials",
        "CREATE TABLE t (x INTEGER)",
        "WITH gone AS (DELETE FROM metric RETURNING *) SELECT * FROM gone",
        "SELECT 1; DELETE FROM trial",
        "SELECT 1) AS q; DELETE FROM trial; SELECT * FROM (SELECT 1",
        "COMMIT",
        "PRAGMA query_only = OFF",
        "SET TRANSACTION READ WRITE",
        &format!("ATTACH '{elsewhere}' AS other"),
        &format!("VACUUM INTO '{elsewhere}'"),
        &format!("COPY trial TO '{elsewhere}'"),
        "",
    ] {
        let error = reader.query(sql, 10).await.expect_err(sql);
        assert!(matches!(error, StoreError::Query(_)), "{sql}: {error}");
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    let table = reader.query("SELECT ord FROM trial", 10).await.unwrap();
    assert_eq!(table.rows, [[Cell::Int(0)]]);
}

async fn rows_are_limited_and_it_says_so(f: &Fixture) {
    f.sweep_of("s", (0..5).map(new_trial).collect()).await;
    let reader = f.reader().await;
    for (limit, truncated) in [(4, true), (5, false)] {
        let table = reader
            .query("SELECT point FROM trials ORDER BY point DESC", limit)
            .await
            .unwrap();
        assert_eq!((table.rows.len(), table.truncated), (limit, truncated));
        assert_eq!(table.rows[0], [Cell::Int(4)]);
    }
}

async fn a_mistake_is_told_in_the_databases_own_words(f: &Fixture) {
    let reader = f.reader().await;
    let error = reader
        .query("SELECT widht FROM results", 1)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::Query(said) if said.contains("widht")),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_nobody_has_open_is_read_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("queue.db").display());
    open_store(&url).await.unwrap().close().await;
    let reader = Reader::open(&url).await.unwrap();
    assert_eq!(
        reader
            .query("SELECT * FROM results", 1)
            .await
            .unwrap()
            .rows
            .len(),
        0
    );
    // Readers take no lock that would keep a coordinator away.
    open_store(&url).await.unwrap().close().await;
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_given_up() {
    let f = fixture::sqlite().await;
    let reader = f
        .reader()
        .await
        .with_time_limit(std::time::Duration::from_millis(5));
    let endless =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n";
    assert!(reader.query(endless, 1).await.is_err());
    assert_eq!(
        reader.query("SELECT 1", 1).await.unwrap().rows,
        [[Cell::Int(1)]]
    );
}
