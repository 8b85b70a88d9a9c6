//! Taking trials away from a sweep: cancelled, deleted, or no longer among its points.

use descent_spec::id::{RequestId, SweepId, Timestamp};

use super::super::super::{StoreError, naming};
use super::settle::settle;
use super::{Conn, Db, dialect, log, row, statements, sweeps, view};

statements! {
    EDITION = concat!("SELECT edition FROM sweep WHERE id = $1", dialect::for_update!("sweep"));
    LOCK = concat!("SELECT trial.id FROM trial
        WHERE trial.id IN (SELECT trial_id FROM sweep_trial WHERE sweep_id = $1)
        ORDER BY trial.id", dialect::for_update!("trial"));
    /// All of the sweep's trials, or those that its newest edition did not name.
    COLLECT = "INSERT INTO removal (sweep_id, trial_id, fate)
        SELECT sweep_id, trial_id, 'keep' FROM sweep_trial WHERE sweep_id = $1 AND edition < $2";
    /// What goes with the sweep: all that no other sweep has, but for those that a trial that stays comes from.
    DOOM = "WITH RECURSIVE own (id) AS (
            SELECT removal.trial_id FROM removal
            WHERE removal.sweep_id = $1 AND NOT EXISTS (
                SELECT 1 FROM sweep_trial AS link
                WHERE link.trial_id = removal.trial_id AND link.sweep_id <> $1
            )
        ), needed (id) AS (
            SELECT child.parent_id FROM own JOIN trial AS child ON child.parent_id = own.id
            WHERE child.id NOT IN (SELECT id FROM own)
            UNION
            SELECT trial.parent_id FROM needed JOIN trial ON trial.id = needed.id
            WHERE trial.parent_id IS NOT NULL
        )
        UPDATE removal SET fate = 'delete'
        WHERE sweep_id = $1 AND trial_id IN (SELECT id FROM own)
            AND trial_id NOT IN (SELECT id FROM needed)";
    UNLINK = "DELETE FROM sweep_trial
        WHERE sweep_id = $1 AND trial_id IN (SELECT trial_id FROM removal WHERE sweep_id = $1)";
    /// Those that no sweep wants any more. With $2 = 1, a trial that no sweep names at all stays: one that stays needs it.
    UNWANTED = "UPDATE removal SET fate = 'cancel'
        WHERE sweep_id = $1 AND fate = 'keep'
            AND EXISTS (
                SELECT 1 FROM trial WHERE trial.id = removal.trial_id
                    AND trial.state IN ('blocked', 'ready', 'leased', 'delayed')
            )
            AND NOT EXISTS (
                SELECT 1 FROM sweep_trial AS link JOIN sweep ON sweep.id = link.sweep_id
                WHERE link.trial_id = removal.trial_id AND sweep.state <> 'cancelled'
            )
            AND ($2 = 0 OR EXISTS (
                SELECT 1 FROM sweep_trial AS link WHERE link.trial_id = removal.trial_id
            ))";
    CANCEL_ATTEMPTS = "UPDATE attempt SET outcome = 'cancelled', ended_at = $2
        WHERE ended_at IS NULL
            AND trial_id IN (SELECT trial_id FROM removal WHERE sweep_id = $1 AND fate = 'cancel')";
    CANCEL = "UPDATE trial SET state = 'cancelled', run_after = NULL,
            suspect = 0, session = NULL, leased_at = NULL
        WHERE id IN (SELECT trial_id FROM removal WHERE sweep_id = $1 AND fate = 'cancel')";
    SKIP = "WITH RECURSIVE below (id) AS (
            SELECT child.id FROM removal JOIN trial AS child ON child.parent_id = removal.trial_id
            WHERE removal.sweep_id = $1 AND removal.fate = 'cancel' AND child.state = 'blocked'
            UNION
            SELECT child.id FROM trial AS child JOIN below ON child.parent_id = below.id
            WHERE child.state = 'blocked'
        )
        UPDATE trial SET state = 'skipped' WHERE id IN (SELECT id FROM below)";
    REFRESH = "UPDATE trial SET
            held = CASE WHEN EXISTS (
                SELECT 1 FROM sweep_trial AS link JOIN sweep ON sweep.id = link.sweep_id
                WHERE link.trial_id = trial.id AND sweep.state NOT IN ('paused', 'cancelled')
            ) OR NOT EXISTS (
                SELECT 1 FROM sweep_trial AS link WHERE link.trial_id = trial.id
            ) THEN 0 ELSE 1 END,
            priority = COALESCE((
                SELECT MAX(sweep.priority)
                FROM sweep_trial AS link JOIN sweep ON sweep.id = link.sweep_id
                WHERE link.trial_id = trial.id AND sweep.state NOT IN ('paused', 'cancelled')
            ), priority)
        WHERE state IN ('blocked', 'ready', 'leased', 'delayed')
            AND id IN (SELECT trial_id FROM removal WHERE sweep_id = $1 AND fate = 'keep')";
    /// What goes is nobody's any more, though its rows may stay for a while.
    ABANDON_ATTEMPTS = "UPDATE attempt SET outcome = 'cancelled', ended_at = $2
        WHERE ended_at IS NULL AND trial_id IN (
            SELECT removal.trial_id FROM removal JOIN trial ON trial.id = removal.trial_id
            WHERE removal.sweep_id = $1 AND removal.fate = 'delete' AND trial.session IS NOT NULL
        )";
    ABANDON = "UPDATE trial SET state = 'cancelled', run_after = NULL,
            suspect = 0, session = NULL, leased_at = NULL
        WHERE state IN ('blocked', 'ready', 'leased', 'delayed')
            AND id IN (SELECT trial_id FROM removal WHERE sweep_id = $1 AND fate = 'delete')";
    TO_GRAVE = "INSERT INTO grave (trial_id)
        SELECT trial_id FROM removal WHERE sweep_id = $1 AND fate = 'delete'
        ON CONFLICT (trial_id) DO NOTHING";
    /// Children have larger numbers than their parents, and go first.
    GRAVES = "SELECT trial_id FROM grave ORDER BY trial_id DESC LIMIT $1";
    LOCK_THESE = concat!("SELECT id FROM trial WHERE id IN ", dialect::ints!("$1"), " ORDER BY id",
        dialect::for_update!("trial"));
    /// All but those that a sweep has taken up again meanwhile, or that a trial that stays comes from.
    BURY = concat!("DELETE FROM trial
        WHERE id IN ", dialect::ints!("$1"), "
            AND NOT EXISTS (SELECT 1 FROM sweep_trial AS link WHERE link.trial_id = trial.id)
            AND NOT EXISTS (
                SELECT 1 FROM trial AS child WHERE child.parent_id = trial.id
                    AND child.id NOT IN ", dialect::ints!("$1"), "
            )");
    CLOSE_GRAVES = concat!("DELETE FROM grave WHERE trial_id IN ", dialect::ints!("$1"));
    DELETE_TALLY = "DELETE FROM sweep_tally WHERE sweep_id = $1";
    DELETE_SWEEP = "DELETE FROM sweep WHERE id = $1";
    CLEAR = "DELETE FROM removal WHERE sweep_id = $1";
}

/// Runs statements whose one parameter is the sweep; answers how many rows the last one changed.
async fn run(
    conn: &mut Conn,
    sweep: SweepId,
    statements: &[&'static str],
) -> Result<u64, StoreError> {
    let mut changed = 0;
    for &statement in statements {
        let done = sqlx::query::<Db>(statement)
            .bind(sweep.0)
            .execute(&mut *conn)
            .await?;
        changed = done.rows_affected();
    }
    Ok(changed)
}

/// Locks a sweep's trials and lists them, those of editions before `edition` only.
async fn collect(conn: &mut Conn, sweep: SweepId, edition: i64) -> Result<u64, StoreError> {
    sqlx::query::<Db>(LOCK)
        .bind(sweep.0)
        .fetch_all(&mut *conn)
        .await?;
    let collected = sqlx::query::<Db>(COLLECT)
        .bind(sweep.0)
        .bind(edition)
        .execute(&mut *conn)
        .await?;
    Ok(collected.rows_affected())
}

/// Cancels those listed that nobody wants any more.
async fn cancel_unwanted(
    conn: &mut Conn,
    sweep: SweepId,
    spare_unlinked: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query::<Db>(UNWANTED)
        .bind(sweep.0)
        .bind(i64::from(spare_unlinked))
        .execute(&mut *conn)
        .await?;
    sqlx::query::<Db>(CANCEL_ATTEMPTS)
        .bind(sweep.0)
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
    run(conn, sweep, &[CANCEL, SKIP, REFRESH]).await?;
    Ok(())
}

/// Cancels the trials of a sweep, whose state says already that it wants them no more.
pub(super) async fn cancel(
    conn: &mut Conn,
    sweep: SweepId,
    now: Timestamp,
) -> Result<(), StoreError> {
    collect(conn, sweep, i64::MAX).await?;
    cancel_unwanted(conn, sweep, false, now).await?;
    run(conn, sweep, &[CLEAR]).await?;
    Ok(())
}

/// See [`Store::drop_absent`](super::super::super::Store::drop_absent).
pub(super) async fn drop_absent(
    conn: &mut Conn,
    sweep: SweepId,
    edition: u64,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let found = sqlx::query::<Db>(EDITION)
        .bind(sweep.0)
        .fetch_optional(&mut *conn)
        .await?;
    let found = found.ok_or_else(|| naming::no_sweep(&sweep.to_string()))?;
    if row::unsigned::<u64>(&found, "edition")? != edition {
        return Ok(0);
    }
    // The first edition has named all trials there are: none is locked, of which there may be millions.
    let absent = if edition > 1 {
        collect(conn, sweep, row::signed(edition)).await?
    } else {
        0
    };
    if absent > 0 {
        run(conn, sweep, &[UNLINK]).await?;
        cancel_unwanted(conn, sweep, false, now).await?;
        run(conn, sweep, &[CLEAR]).await?;
    }
    settle(conn, now).await?;
    Ok(absent)
}

/// See [`Store::delete`](super::super::super::Store::delete).
pub(super) async fn delete(
    conn: &mut Conn,
    request: RequestId,
    name: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let call = naming::call("delete", name);
    if log::recall::<()>(conn, request, &call).await?.is_some() {
        return Ok(());
    }
    let (sweep, view_name) = sweeps::locate(conn, name).await?;
    collect(conn, sweep, i64::MAX).await?;
    run(conn, sweep, &[DOOM, UNLINK]).await?;
    cancel_unwanted(conn, sweep, true, now).await?;
    view::drop(conn, &view_name).await?;
    sqlx::query::<Db>(ABANDON_ATTEMPTS)
        .bind(sweep.0)
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
    let last = [ABANDON, TO_GRAVE, DELETE_TALLY, CLEAR, DELETE_SWEEP];
    run(conn, sweep, &last).await?;
    bury(conn, GRAVES_AT_ONCE).await?;
    settle(conn, now).await?;
    log::remember(conn, request, &call, &(), now).await
}

/// Trials that go with their sweep at once; of a larger one the rest follows.
const GRAVES_AT_ONCE: u32 = 500;

/// See [`Store::bury`](super::super::super::Store::bury).
pub(super) async fn bury(conn: &mut Conn, most: u32) -> Result<u64, StoreError> {
    let graves = sqlx::query::<Db>(GRAVES)
        .bind(i64::from(most))
        .fetch_all(&mut *conn)
        .await?;
    let ids: Vec<i64> = graves
        .iter()
        .map(|found| row::int(found, "trial_id"))
        .collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    let list = row::list(&ids);
    sqlx::query::<Db>(LOCK_THESE)
        .bind(&list)
        .fetch_all(&mut *conn)
        .await?;
    for statement in [BURY, CLOSE_GRAVES] {
        sqlx::query::<Db>(statement)
            .bind(&list)
            .execute(&mut *conn)
            .await?;
    }
    Ok(ids.len() as u64)
}
