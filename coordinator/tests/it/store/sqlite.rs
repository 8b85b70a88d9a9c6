//! What can be wrong with a file: each gives one clear error, and nothing half done.

use std::path::Path;
use std::sync::Arc;

use descent_coordinator::open_store;
use descent_coordinator::reader::Reader;
use descent_coordinator::store::sqlite::{SqliteConfig, SqliteStore, holder};
use descent_coordinator::store::{IfExists, Slice, Store, StoreError};

use super::fixture::{self, T0, new_sweep, new_trial, request};

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

async fn refusal(path: &Path) -> StoreError {
    open_store(&url(path))
        .await
        .err()
        .expect("the file is not usable")
}

#[tokio::test]
async fn a_second_coordinator_is_told_who_the_first_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    assert_eq!(holder(&path), None);
    let first = open_store(&url(&path)).await.unwrap();
    first.announce("http://127.0.0.1:4711").await.unwrap();
    let error = refusal(&path).await;
    assert!(matches!(&error, StoreError::InUse { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:4711"), "{text}");
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    let found = holder(&path).unwrap();
    assert_eq!(found.address.as_deref(), Some("http://127.0.0.1:4711"));
    assert!(
        first
            .sweeps(descent_spec::id::SweepId(0), 1)
            .await
            .unwrap()
            .is_empty()
    );
    first.close().await;
    drop(first);
    assert_eq!(holder(&path), None);
    assert!(
        !folder.path().join("queue.db-wal").exists(),
        "the log is left behind"
    );
    open_store(&url(&path)).await.unwrap();
}

#[tokio::test]
async fn a_network_file_system_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = SqliteConfig::new(folder.path().join("queue.db"));
    config.network_file_system = |_| Some("NFS");
    let error = SqliteStore::open(config).await.err().unwrap();
    assert!(matches!(error, StoreError::NetworkFileSystem { .. }));
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_that_is_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "not a database, but long enough to be looked at as one".repeat(40),
    )
    .unwrap();
    let before = std::fs::read(&text).unwrap();
    let error = refusal(&text).await;
    assert!(
        matches!(&error, StoreError::NotADatabase(path) if path.ends_with("notes.txt")),
        "{error}"
    );
    assert_eq!(std::fs::read(&text).unwrap(), before);
    let reading = Reader::open(&url(&text)).await.err().unwrap();
    assert!(matches!(reading, StoreError::NotADatabase(_)), "{reading}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_writers_and_readers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    open_store(&url(&path)).await.unwrap().close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut conn = <sqlx::SqliteConnection as sqlx::Connection>::connect_with(&options)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', 1, x'00', 0)",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    drop(conn);
    let is_newer =
        |error: &StoreError| matches!(error, StoreError::NewerSchema { found: 9999, .. });
    let error = refusal(&path).await;
    assert!(is_newer(&error), "{error}");
    let error = Reader::open(&url(&path)).await.err().unwrap();
    assert!(is_newer(&error), "{error}");
}

#[tokio::test]
async fn a_path_that_cannot_be_made_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = refusal(&folder.path().join("nowhere").join("queue.db")).await;
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
    let error = Reader::open(&url(&folder.path().join("queue.db")))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(
            error,
            StoreError::NotFound {
                what: "database",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    open_store(&url(&path)).await.unwrap().close().await;
    let mut config = SqliteConfig::new(&path);
    config.max_pages =
        Some(u32::try_from(std::fs::metadata(&path).unwrap().len() / 4096 + 8).unwrap());
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(config).await.unwrap());
    let sweep = new_sweep("s", 1000);
    let id = store
        .submit(request(1), &sweep, IfExists::Refuse, T0)
        .await
        .unwrap();
    let trials = (0..1000).map(new_trial).collect();
    let slice = Slice {
        sweep: id,
        edition: 1,
        from: 0,
        to: 1000,
        trials,
        last: true,
    };
    let error = store.expand(&slice, T0).await.unwrap_err();
    assert!(matches!(error, StoreError::DiskFull), "{error}");
    // Small writes go on, and what was there is there.
    assert_eq!(store.sweep("s").await.unwrap().unwrap().cursor, 0);
    store.maintain(T0).await.unwrap();
    store.close().await;
    drop(store);
    let store = open_store(&url(&path)).await.unwrap();
    store.expand(&slice, T0).await.unwrap();
    assert_eq!(store.sweep("s").await.unwrap().unwrap().cursor, 1000);
}

#[tokio::test]
async fn writes_that_gather_are_all_answered_and_a_refused_one_harms_no_other() {
    let f = fixture::sqlite().await;
    let submit = |n: u64| {
        let store = f.store.clone();
        // Every third one takes a name that exists.
        let name = format!("s{}", if n % 3 == 2 { n - 1 } else { n });
        tokio::spawn(async move {
            store
                .submit(request(n), &new_sweep(&name, 0), IfExists::Refuse, T0)
                .await
        })
    };
    let tasks: Vec<_> = (0..90).map(submit).collect();
    let mut accepted = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => accepted += 1,
            Err(StoreError::Conflict(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(accepted, 60);
    assert_eq!(
        f.store
            .sweeps(descent_spec::id::SweepId(0), 1000)
            .await
            .unwrap()
            .len(),
        60
    );
}
