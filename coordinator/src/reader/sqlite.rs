//! Reading a SQLite file, whether or not a coordinator has it open.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteRow,
};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, Row as _};
use sqlx::{SqlSafeStr as _, Statement as _, TypeInfo as _, Value as _, ValueRef as _};
use tokio_stream::StreamExt as _;

use super::single::{single, wrap};
use super::table::{self, Cell, Column, ColumnKind, Table};
use crate::store::sqlite::{MIGRATIONS, name_file, newest};
use crate::store::{StoreError, schema};

/// Steps of SQLite's machine between two looks at the clock: about a millisecond.
const STEPS: i32 = 100_000;

/// Opens a file that is there.
pub(super) async fn open(path: &Path) -> Result<SqlitePool, StoreError> {
    if !path.exists() {
        let name = path.display().to_string();
        return Err(StoreError::NotFound {
            what: "database",
            name,
        });
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .pragma("query_only", "ON")
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging();
    let named = |error| name_file(error, path);
    match connect(options.clone()).await {
        // In a folder that cannot be written, SQLite cannot make the index of its log. Without a log it needs none.
        Err(StoreError::ReadOnly(_)) if !log_of(path).exists() => {
            connect(options.immutable(true)).await.map_err(named)
        }
        done => done.map_err(named),
    }
}

fn log_of(path: &Path) -> std::path::PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

async fn connect(options: SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(2)
        .connect_with(options)
        .await?;
    let found = newest(&mut *pool.acquire().await?).await?;
    if found.is_none() {
        return Err(StoreError::NotADatabase(String::new()));
    }
    schema::check(found, &MIGRATIONS)?;
    Ok(pool)
}

pub(super) async fn query(
    pool: &SqlitePool,
    sql: &str,
    max_rows: usize,
    time_limit: Option<Duration>,
) -> Result<Table, StoreError> {
    let sql = wrap(single(sql)?);
    let mut conn = pool.acquire().await?;
    if let Some(limit) = time_limit {
        let until = Instant::now() + limit;
        conn.lock_handle()
            .await?
            .set_progress_handler(STEPS, move || Instant::now() < until);
    }
    let answer = answer(&mut conn, sql, max_rows).await;
    if time_limit.is_some() {
        conn.lock_handle().await?.remove_progress_handler();
    }
    answer
}

async fn answer(
    conn: &mut SqliteConnection,
    sql: String,
    max_rows: usize,
) -> Result<Table, StoreError> {
    let prepared = (&mut *conn)
        .prepare(AssertSqlSafe(sql.clone()).into_sql_str())
        .await
        .map_err(super::refused)?;
    let declared: Vec<(String, ColumnKind)> = prepared
        .columns()
        .iter()
        .map(|column| {
            (
                column.name().to_owned(),
                declared_kind(column.type_info().name()),
            )
        })
        .collect();
    drop(prepared);
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut truncated = false;
    {
        let mut found = sqlx::query(AssertSqlSafe(sql)).fetch(&mut *conn);
        while let Some(row) = found.next().await {
            let row = row.map_err(super::refused)?;
            if rows.len() == max_rows {
                truncated = true;
                break;
            }
            rows.push(
                (0..declared.len())
                    .map(|at| cell(&row, at))
                    .collect::<Result<_, _>>()?,
            );
        }
    }
    let mut columns = Vec::with_capacity(declared.len());
    for (at, (name, declared)) in declared.into_iter().enumerate() {
        let kind = table::common_kind(rows.iter().map(|row| &row[at])).unwrap_or(declared);
        for row in &mut rows {
            row[at] = table::as_kind(std::mem::replace(&mut row[at], Cell::Null), kind);
        }
        columns.push(Column { name, kind });
    }
    Ok(Table {
        columns,
        rows,
        truncated,
    })
}

/// What a column without any value is.
fn declared_kind(type_name: &str) -> ColumnKind {
    match type_name {
        "INTEGER" | "BOOLEAN" => ColumnKind::Int,
        "REAL" => ColumnKind::Float,
        _ => ColumnKind::Text,
    }
}

fn cell(row: &SqliteRow, at: usize) -> Result<Cell, StoreError> {
    let value = row.try_get_raw(at)?.to_owned();
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let kind = value.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INTEGER" => Cell::Int(value.try_decode()?),
        "REAL" => Cell::Float(value.try_decode()?),
        "BLOB" => {
            let bytes: Vec<u8> = value.try_decode()?;
            Cell::Text(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        }
        _ => Cell::Text(value.try_decode_unchecked()?),
    })
}
