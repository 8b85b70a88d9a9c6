//! The queue in PostgreSQL: every operation one transaction, run again when two got in each other's way.

mod dialect;
#[path = "../sql/mod.rs"]
#[allow(
    clippy::duplicate_mod,
    reason = "one source, compiled for each of the two engines"
)]
mod sql;

use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

use super::lane::Lane;
use super::{StoreError, schema};
use crate::fail_point;

pub(crate) use sql::{find_sweep, finished, list_sweeps};

type Db = sqlx::Postgres;
type Engine = PostgresStore;
type Operation<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/postgres");

/// How often a transaction that met another one is run again.
const TRIES: u32 = 8;
/// Connections of one coordinator. Each transaction is short, so few serve many workers.
const CONNECTIONS: u32 = 16;
/// Longest statement; only a sweep of many millions of trials that is paused or deleted comes near.
const STATEMENT_TIMEOUT: &str = "120s";

/// More statements than there are.
const STATEMENTS: usize = 512;

/// A store in a PostgreSQL database. Several coordinators may use one at a time.
pub struct PostgresStore {
    pool: PgPool,
}

impl PostgresStore {
    /// Connects and brings the schema up to date, under a lock that other coordinators wait for.
    ///
    /// # Errors
    /// When the server is out of reach, or the schema is newer than this program.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        // Every statement that there is stays prepared on every connection.
        let options = options(url)?.statement_cache_capacity(STATEMENTS).options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("lock_timeout", "30s"),
            ("idle_in_transaction_session_timeout", "60s"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options)
            .await
            .map_err(unreachable)?;
        let mut conn = pool.acquire().await?;
        let found: Option<i64> =
            match sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations')::text")
                .fetch_one(&mut *conn)
                .await?
            {
                None::<String> => None,
                Some(_) => {
                    sqlx::query_scalar(schema::NEWEST)
                        .fetch_one(&mut *conn)
                        .await?
                }
            };
        schema::check(found, &MIGRATIONS)?;
        drop(conn);
        MIGRATIONS.run(&pool).await?;
        Ok(Self { pool })
    }

    async fn write<T, F>(&self, _lane: Lane, operation: F) -> Result<T, StoreError>
    where
        F: for<'c> Fn(&'c mut PgConnection) -> Operation<'c, T> + Send + Sync,
    {
        let mut tries = 1;
        loop {
            let mut transaction = self.pool.begin().await?;
            let done = operation(&mut transaction).await;
            let done = match done {
                Ok(answer) => {
                    fail_point::pass("before-commit");
                    let committed = transaction.commit().await;
                    fail_point::pass("after-commit");
                    committed.map(|()| answer).map_err(StoreError::from)
                }
                Err(error) => {
                    transaction.rollback().await?;
                    Err(error)
                }
            };
            match done {
                Err(StoreError::Contention(_)) if tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    async fn read<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        F: for<'c> Fn(&'c mut PgConnection) -> Operation<'c, T> + Send + Sync,
    {
        let mut conn = self.pool.acquire().await?;
        operation(&mut conn).await
    }

    /// There is no place beside a server where others would look.
    #[allow(clippy::unnecessary_wraps, reason = "the other engine's can fail")]
    fn leave_address(&self, _address: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn shut_down(&self) {
        self.pool.close().await;
    }
}

/// An address as options.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::BadAddress(schema::without_password(url)))
}

/// An error while connecting: whatever it is, nobody was reached.
pub(crate) fn unreachable(error: sqlx::Error) -> StoreError {
    match StoreError::from(error) {
        StoreError::Database(text) => StoreError::Unavailable(text),
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests;
