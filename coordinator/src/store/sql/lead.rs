//! Who does the upkeep of a shared database, and what time it is there. Both by the database's clock: those of coordinators differ.

use descent_spec::id::Timestamp;

use super::super::super::StoreError;
use super::{Conn, Db, dialect, row, statements};

statements! {
    /// One statement, so that of two who try at once one waits for the other and then sees what it did.
    LEAD = concat!("INSERT INTO leader (name, holder, term, expires_at)
        VALUES ('upkeep', $1, 1, ", dialect::now!(), " + CAST($2 AS BIGINT))
        ON CONFLICT (name) DO UPDATE SET
            term = leader.term + CASE WHEN leader.holder = excluded.holder THEN 0 ELSE 1 END,
            holder = excluded.holder, expires_at = excluded.expires_at
        WHERE leader.holder = excluded.holder OR leader.expires_at <= ", dialect::now!(), "
        RETURNING term");
    RESIGN = "UPDATE leader SET expires_at = 0 WHERE name = 'upkeep' AND holder = $1";
    TIME = concat!("SELECT ", dialect::now!(), " AS now");
}

/// See [`Store::lead`](super::super::super::Store::lead).
pub(super) async fn lead(
    conn: &mut Conn,
    holder: &str,
    ms: i64,
) -> Result<Option<i64>, StoreError> {
    let term = sqlx::query::<Db>(LEAD)
        .bind(holder)
        .bind(ms)
        .fetch_optional(conn)
        .await?;
    term.map(|term| row::int(&term, "term")).transpose()
}

/// See [`Store::resign`](super::super::super::Store::resign).
pub(super) async fn resign(conn: &mut Conn, holder: &str) -> Result<(), StoreError> {
    sqlx::query::<Db>(RESIGN).bind(holder).execute(conn).await?;
    Ok(())
}

/// See [`Store::time`](super::super::super::Store::time).
pub(super) async fn time(conn: &mut Conn) -> Result<Timestamp, StoreError> {
    let found = sqlx::query::<Db>(TIME).fetch_one(conn).await?;
    Ok(Timestamp(row::int(&found, "now")?))
}
