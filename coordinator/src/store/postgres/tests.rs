//! What only PostgreSQL's side does: its statements, seen through the database itself.

use sqlx::{AssertSqlSafe, Executor as _};

use super::*;

#[path = "../../../tests/it/postgres.rs"]
mod server;

#[tokio::test]
async fn every_statement_is_one_that_postgresql_understands() {
    let Some(database) = server::database() else {
        return;
    };
    let store = PostgresStore::open(&database.url).await.unwrap();
    let mut conn = store.pool.acquire().await.unwrap();
    for (name, statement) in sql::all_statements() {
        let prepared = (&mut *conn)
            .prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(statement)))
            .await;
        assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
    }
    if let Some(fold) = dialect::FOLD {
        (&mut *conn)
            .prepare(sqlx::SqlSafeStr::into_sql_str(fold))
            .await
            .unwrap();
    }
}
