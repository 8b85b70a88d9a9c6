//! Which coordinator a file belongs to: a number that grows at every opening, asserted in every transaction.
//!
//! The lock beside the file keeps a second coordinator out while the first one lives. It says nothing to a process that was paused
//! (a stopped process, a frozen container, a virtual machine that was moved) while somebody took the file over: such a
//! one finds another number than its own when it wakes, and writes nothing.

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::super::StoreError;
use super::{SqliteConfig, connect, newest};

/// Begins an epoch.
const BEGIN: &str = "INSERT INTO meta (name, value) VALUES ('coordinator_epoch', '1')
    ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(meta.value AS INTEGER) + 1 AS TEXT)
    RETURNING CAST(value AS INTEGER)";
const NOW: &str = "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'coordinator_epoch'";

/// Begins the epoch of a coordinator that has just opened the file: all that came before are over.
pub(super) async fn begin(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(BEGIN).fetch_one(conn).await?)
}

/// Ends the epoch of whoever has the file, which cannot be asked to stop.
///
/// # Errors
/// When it was paused in the middle of a write, whose lock nobody can take from it: it has to be killed.
pub(super) async fn shut_out(config: &SqliteConfig) -> Result<(), StoreError> {
    let mut conn = connect(config).await?;
    // Without a schema there is nothing that it could harm.
    if newest(&mut conn).await?.is_some() {
        begin(&mut conn).await?;
    }
    conn.close().await?;
    Ok(())
}

/// Whether the epoch is still this one; asked inside a transaction that writes, so that it stays so until the commit.
pub(super) async fn is_current(
    conn: &mut SqliteConnection,
    epoch: i64,
) -> Result<bool, StoreError> {
    let now: Option<i64> = sqlx::query_scalar(NOW).fetch_optional(conn).await?;
    Ok(now == Some(epoch))
}
