//! Upkeep: dead sessions, back-offs that ran out, counters, old answers.

use descent_spec::id::Timestamp;

use super::super::super::{Maintained, StoreError};
use super::settle::settle;
use super::{Conn, Db, dialect, statements};
use crate::core::REQUESTS_KEPT_MS;
use crate::core::retry::RetryPolicy;

statements! {
    EXPIRE = "UPDATE session SET state = 'expired' WHERE state = 'open' AND lease_until < $1";
    DISOWN = "UPDATE session SET state = 'expired' WHERE state = 'open' AND worker = $1";
    /// Soft: the attempt number stays, and so does the holder, until somebody else claims.
    SUSPECT = "UPDATE trial SET state = 'ready', suspect = 1
        WHERE state = 'leased' AND session IS NOT NULL
            AND session IN (SELECT id FROM session WHERE state = 'expired')";
    SUSPECT_ATTEMPTS = "UPDATE attempt SET outcome = 'suspect'
        WHERE outcome = 'active'
            AND trial_id IN (SELECT id FROM trial WHERE session IS NOT NULL AND suspect = 1)";
    /// What waits for longer than anything may was delayed before the clock was set back.
    PROMOTE = "UPDATE trial SET state = 'ready', run_after = NULL
        WHERE state = 'delayed' AND (run_after <= $1 OR run_after > $2)";
    FORGET = "DELETE FROM request_log WHERE answered_at <= $1";
    /// Exactly a full lease: one that was given before the clock was set back would last for hours.
    GRACE = "UPDATE session SET lease_until = $1 WHERE state = 'open' AND lease_until <> $1";
}

/// See [`Store::maintain`](super::super::super::Store::maintain).
pub(super) async fn maintain(conn: &mut Conn, now: Timestamp) -> Result<Maintained, StoreError> {
    let expired = sqlx::query::<Db>(EXPIRE)
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
    let trials_suspected = suspect(conn).await?;
    let promoted = sqlx::query::<Db>(PROMOTE)
        .bind(now.0)
        .bind(RetryPolicy::default().latest_end(now).0)
        .execute(&mut *conn)
        .await?;
    sqlx::query::<Db>(FORGET)
        .bind(now.plus_ms(-REQUESTS_KEPT_MS).0)
        .execute(&mut *conn)
        .await?;
    if let Some(fold) = dialect::FOLD {
        sqlx::query::<Db>(fold).execute(&mut *conn).await?;
    }
    let sweeps_finished = settle(conn, now).await?;
    Ok(Maintained {
        sessions_expired: expired.rows_affected(),
        trials_suspected,
        trials_promoted: promoted.rows_affected(),
        sweeps_finished,
    })
}

/// Makes the trials of expired sessions claimable.
async fn suspect(conn: &mut Conn) -> Result<u64, StoreError> {
    let suspected = sqlx::query::<Db>(SUSPECT).execute(&mut *conn).await?;
    if suspected.rows_affected() > 0 {
        sqlx::query::<Db>(SUSPECT_ATTEMPTS)
            .execute(&mut *conn)
            .await?;
    }
    Ok(suspected.rows_affected())
}

/// See [`Store::disown`](super::super::super::Store::disown).
pub(super) async fn disown(conn: &mut Conn, worker: &str) -> Result<u64, StoreError> {
    sqlx::query::<Db>(DISOWN)
        .bind(worker)
        .execute(&mut *conn)
        .await?;
    suspect(conn).await
}

/// See [`Store::grant_grace`](super::super::super::Store::grant_grace).
pub(super) async fn grant_grace(conn: &mut Conn, lease_until: Timestamp) -> Result<(), StoreError> {
    sqlx::query::<Db>(GRACE)
        .bind(lease_until.0)
        .execute(conn)
        .await?;
    Ok(())
}
