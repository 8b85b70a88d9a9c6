//! What only SQLite's side does: its statements, seen through the database itself.

use sqlx::{AssertSqlSafe, Executor as _};

use super::*;

#[tokio::test]
async fn every_statement_is_one_that_sqlite_understands() {
    let folder = tempfile::tempdir().unwrap();
    let config = SqliteConfig::new(folder.path().join("queue.db"));
    let mut conn = connect(&config).await.unwrap();
    MIGRATIONS.run(&mut conn).await.unwrap();
    for (name, statement) in sql::all_statements() {
        let prepared = (&mut conn)
            .prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(statement)))
            .await;
        assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
    }
}
