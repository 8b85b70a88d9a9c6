//! A copy of a SQLite queue and its files, made while a coordinator is at work.

use std::path::Path;

use descent_spec::id::ContentHash;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::store::StoreError;

/// Writes a consistent copy of the database at `from` to the new file `to`, and answers the hashes of the files that the copy refers to.
///
/// The copy is one snapshot: a transaction that commits meanwhile is in it whole or not at all.
///
/// # Errors
/// When `to` exists, or either side cannot be used.
pub async fn backup(from: &Path, to: &Path) -> Result<Vec<ContentHash>, StoreError> {
    if to.exists() {
        return Err(StoreError::Conflict(format!(
            "{} exists already: choose another folder",
            to.display()
        )));
    }
    let mut source = open(from).await?;
    sqlx::query("VACUUM INTO $1")
        .bind(to.display().to_string())
        .execute(&mut source)
        .await?;
    source.close().await?;
    std::fs::File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(|error| StoreError::Database(format!("{}: {error}", to.display())))?;
    let mut copy = open(to).await?;
    let check: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut copy)
        .await?;
    if check != "ok" {
        return Err(StoreError::Database(format!(
            "the copy {} is not sound: {check}",
            to.display()
        )));
    }
    let hashes: Vec<String> = sqlx::query_scalar("SELECT DISTINCT hash FROM artifact")
        .fetch_all(&mut copy)
        .await?;
    copy.close().await?;
    hashes
        .iter()
        .map(|hash| {
            hash.parse()
                .map_err(|error| StoreError::Database(format!("{error}")))
        })
        .collect()
}

async fn open(path: &Path) -> Result<SqliteConnection, StoreError> {
    let connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .connect()
        .await?;
    Ok(connection)
}
