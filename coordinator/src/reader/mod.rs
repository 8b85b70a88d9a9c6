//! Reading a database with SQL, beside a coordinator or without one. Nothing can be changed through it.
//!
//! Read-only by construction, not by looking at words: the connection cannot write, and the text is put where the grammar
//! takes a query and nothing else. By contract, queries name the views of docs/sql.md.

mod postgres;
mod single;
mod sqlite;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use descent_spec::id::{Identity, SweepId, Timestamp};
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;

use crate::store::{self, StoreError, SweepRow};

pub use self::table::{Cell, Column, ColumnKind, Table};

/// An open database.
pub struct Reader {
    database: Database,
    time_limit: Option<Duration>,
}

enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Reader {
    /// Opens a database for reading: `sqlite:PATH` or `postgres://…`.
    ///
    /// # Errors
    /// When it is not there, is none of descent's, is newer than this program or out of reach.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let database = match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => {
                let path = PathBuf::from(store::schema::sqlite_path(path));
                Database::Sqlite(sqlite::open(&path).await?)
            }
            Some(("postgres" | "postgresql", _)) => Database::Postgres(postgres::open(url).await?),
            _ => return Err(StoreError::BadAddress(store::schema::without_password(url))),
        };
        Ok(Self {
            database,
            time_limit: None,
        })
    }

    /// The same, giving up queries that take longer.
    #[must_use]
    pub fn with_time_limit(self, limit: Duration) -> Self {
        Self {
            time_limit: Some(limit),
            ..self
        }
    }

    /// Answers one query with at most `max_rows` rows.
    ///
    /// # Errors
    /// [`StoreError::Query`] when the database does not take it, with what it says.
    pub async fn query(&self, sql: &str, max_rows: usize) -> Result<Table, StoreError> {
        match &self.database {
            Database::Sqlite(pool) => sqlite::query(pool, sql, max_rows, self.time_limit).await,
            Database::Postgres(pool) => postgres::query(pool, sql, max_rows, self.time_limit).await,
        }
    }

    /// The sweep of this name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sweep(&self, name: &str) -> Result<Option<SweepRow>, StoreError> {
        match &self.database {
            Database::Sqlite(pool) => {
                store::sqlite::find_sweep(&mut *pool.acquire().await?, name).await
            }
            Database::Postgres(pool) => {
                store::postgres::find_sweep(&mut *pool.acquire().await?, name).await
            }
        }
    }

    /// All sweeps, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sweeps(&self) -> Result<Vec<SweepRow>, StoreError> {
        match &self.database {
            Database::Sqlite(pool) => {
                store::sqlite::list_sweeps(&mut *pool.acquire().await?, SweepId(0), u32::MAX).await
            }
            Database::Postgres(pool) => {
                store::postgres::list_sweeps(&mut *pool.acquire().await?, SweepId(0), u32::MAX)
                    .await
            }
        }
    }

    /// Which of these identities have a result.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn finished(&self, identities: &[Identity]) -> Result<Vec<Identity>, StoreError> {
        match &self.database {
            Database::Sqlite(pool) => {
                store::sqlite::finished(&mut *pool.acquire().await?, identities).await
            }
            Database::Postgres(pool) => {
                store::postgres::finished(&mut *pool.acquire().await?, identities).await
            }
        }
    }

    /// Workers that get no trials for a while, by name, with the reason.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn quarantined(&self, now: Timestamp) -> Result<Vec<(String, String)>, StoreError> {
        const MOST: usize = 10_000;
        let query = format!(
            "SELECT worker, reason FROM quarantine WHERE until_at > {} ORDER BY worker",
            now.0
        );
        let told = |row: Vec<Cell>| match <[Cell; 2]>::try_from(row) {
            Ok([Cell::Text(worker), Cell::Text(reason)]) => Some((worker, reason)),
            _ => None,
        };
        let table = self.query(&query, MOST).await?;
        Ok(table.rows.into_iter().filter_map(told).collect())
    }

    /// Closes the connections.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite(pool) => pool.close().await,
            Database::Postgres(pool) => pool.close().await,
        }
    }
}

/// An error while a query ran, told as the query's own unless the database is out of reach.
fn refused(error: sqlx::Error) -> StoreError {
    let said = match &error {
        sqlx::Error::Database(inner) => Some(inner.message().to_owned()),
        _ => None,
    };
    match (StoreError::from(error), said) {
        (StoreError::Database(_) | StoreError::ReadOnly(_), Some(said)) => StoreError::Query(said),
        (other, _) => other,
    }
}
