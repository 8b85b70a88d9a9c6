//! Reading a PostgreSQL database: each query in a transaction that cannot write.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Column as _, Executor as _, Row as _, SqlSafeStr as _};
use sqlx::{Statement as _, TypeInfo as _};
use tokio_stream::StreamExt as _;

use super::single::wrap;
use super::table::{Cell, Column, ColumnKind, Table};
use crate::store::postgres::{MIGRATIONS, options, unreachable};
use crate::store::{StoreError, schema};

/// Connects to a database that a coordinator has made.
pub(super) async fn open(url: &str) -> Result<PgPool, StoreError> {
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_secs(30))
        .connect_with(options(url)?.options([("default_transaction_read_only", "on")]))
        .await
        .map_err(unreachable)?;
    let found: Option<i64> = match sqlx::query_scalar(schema::NEWEST).fetch_one(&pool).await {
        Ok(found) => found,
        // There is no such table.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => {
            return Err(StoreError::NotADatabase(schema::without_password(url)));
        }
        Err(error) => return Err(error.into()),
    };
    schema::check(found, &MIGRATIONS)?;
    Ok(pool)
}

pub(super) async fn query(
    pool: &PgPool,
    sql: &str,
    max_rows: usize,
    time_limit: Option<Duration>,
) -> Result<Table, StoreError> {
    let mut transaction = pool.begin_with("BEGIN TRANSACTION READ ONLY").await?;
    let limit = time_limit.map_or(0, |limit| limit.as_millis());
    sqlx::raw_sql(AssertSqlSafe(format!(
        "SET LOCAL statement_timeout = {limit}"
    )))
    .execute(&mut *transaction)
    .await?;
    let answer = answer(&mut transaction, sql, max_rows).await;
    transaction.rollback().await?;
    answer
}

async fn answer(conn: &mut PgConnection, sql: &str, max_rows: usize) -> Result<Table, StoreError> {
    let sql = sql.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    if sql.is_empty() {
        return Err(StoreError::Query("the query is empty".to_owned()));
    }
    // The protocol of prepared statements takes one statement only.
    let prepared = (&mut *conn)
        .prepare(AssertSqlSafe(wrap(sql)).into_sql_str())
        .await
        .map_err(super::refused)?;
    let mut columns = Vec::new();
    let mut names = String::new();
    let mut casts = String::new();
    for (at, column) in prepared.columns().iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let (kind, cast) = cast(column.type_info().name(), &format!("c{at}"));
        let _ = write!(names, "{comma}c{at}");
        let _ = write!(casts, "{comma}{cast}");
        columns.push(Column {
            name: column.name().to_owned(),
            kind,
        });
    }
    drop(prepared);
    let sql = format!("SELECT {casts} FROM (\n{sql}\n) AS query ({names})");
    let mut rows = Vec::new();
    let mut truncated = false;
    let mut found = sqlx::query(AssertSqlSafe(sql)).fetch(&mut *conn);
    while let Some(row) = found.next().await {
        let row = row.map_err(super::refused)?;
        if rows.len() == max_rows {
            truncated = true;
            break;
        }
        let cells = columns
            .iter()
            .enumerate()
            .map(|(at, column)| cell(&row, at, column.kind));
        rows.push(cells.collect::<Result<Vec<_>, _>>()?);
    }
    drop(found);
    Ok(Table {
        columns,
        rows,
        truncated,
    })
}

/// What a type is to us, and the expression that brings it there.
fn cast(type_name: &str, column: &str) -> (ColumnKind, String) {
    match type_name {
        "INT2" | "INT4" | "INT8" => (ColumnKind::Int, format!("CAST({column} AS BIGINT)")),
        "FLOAT4" | "FLOAT8" | "NUMERIC" => (
            ColumnKind::Float,
            format!("CAST({column} AS DOUBLE PRECISION)"),
        ),
        "BOOL" => (ColumnKind::Bool, column.to_owned()),
        "TIMESTAMPTZ" => (
            ColumnKind::Text,
            format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"),
        ),
        _ => (ColumnKind::Text, format!("CAST({column} AS TEXT)")),
    }
}

fn cell(row: &PgRow, at: usize, kind: ColumnKind) -> Result<Cell, StoreError> {
    Ok(match kind {
        ColumnKind::Int => row
            .try_get::<Option<i64>, _>(at)?
            .map_or(Cell::Null, Cell::Int),
        ColumnKind::Float => row
            .try_get::<Option<f64>, _>(at)?
            .map_or(Cell::Null, Cell::Float),
        ColumnKind::Bool => row
            .try_get::<Option<bool>, _>(at)?
            .map_or(Cell::Null, Cell::Bool),
        ColumnKind::Text => row
            .try_get::<Option<String>, _>(at)?
            .map_or(Cell::Null, Cell::Text),
    })
}
