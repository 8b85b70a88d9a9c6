//! Workers as people see and steer them: who is there, who drains, who is quarantined; and what their trials may take.

use descent_spec::id::{ContentHash, SessionId, Timestamp, TrialId};

use super::super::super::{Limits, Orders, Pardon, StoreError, WorkerRow};
use super::settle::settle;
use super::{Conn, Db, Row, dialect, row, statements};

statements! {
    LIMITS = concat!("SELECT trial.id, class.pack_key, spec.stall_ms, spec.time_limit_ms
        FROM trial
        JOIN class ON class.id = trial.class_id
        JOIN trial_spec AS spec ON spec.trial_id = trial.id
        WHERE trial.id IN ", dialect::ints!("$1"), " ORDER BY trial.id");
    WORKERS = "SELECT session.id, session.worker, session.device, session.instruction_set,
            CAST(session.slots AS BIGINT) AS slots, CAST(session.memory AS BIGINT) AS memory, session.data,
            session.opened_at, session.lease_until, session.state,
            CAST(session.draining AS BIGINT) AS draining, quarantine.until_at, quarantine.reason,
            (SELECT COUNT(*) FROM trial WHERE trial.session = session.id) AS trials
        FROM session
        LEFT JOIN quarantine ON quarantine.worker = session.worker AND quarantine.until_at > $1
        WHERE session.state IN ('open', 'expired')
        ORDER BY session.opened_at, session.id";
    DRAINING = "SELECT id FROM session WHERE draining = 1 AND state IN ('open', 'expired')";
    QUARANTINED = "SELECT session.id, quarantine.reason
        FROM quarantine JOIN session ON session.worker = quarantine.worker
        WHERE quarantine.until_at > $1 AND session.state IN ('open', 'expired')";
    DRAIN = "UPDATE session SET draining = 1 WHERE worker = $1 AND state IN ('open', 'expired')";
    QUARANTINE = "INSERT INTO quarantine (worker, since_at, until_at, reason) VALUES ($1, $2, $3, $4)
        ON CONFLICT (worker) DO UPDATE SET since_at = excluded.since_at, until_at = excluded.until_at,
            reason = excluded.reason";
    LOCK = concat!("SELECT id FROM trial WHERE id IN ", dialect::ints!("$1"), " ORDER BY id",
        dialect::for_update!("trial"));
    PARDON_FAILED = concat!("UPDATE trial SET failures = failures - 1
        WHERE failures > 0 AND state <> 'succeeded' AND id IN ", dialect::ints!("$1"));
    /// What was given up comes back, with what was skipped because of it.
    REVIVE = concat!("WITH RECURSIVE revived (id, state) AS (
            SELECT trial.id, 'ready' FROM trial
            WHERE trial.state IN ('failed', 'poisoned') AND trial.id IN ", dialect::ints!("$1"), "
            UNION
            SELECT child.id, 'blocked' FROM trial AS child JOIN revived ON child.parent_id = revived.id
            WHERE child.state = 'skipped'
        )
        UPDATE trial SET state = revived.state FROM revived WHERE trial.id = revived.id");
    PARDON_LOST = concat!("UPDATE trial SET crashes = crashes - 1
        WHERE crashes > 0 AND state <> 'succeeded' AND id IN ", dialect::ints!("$1"));
}

/// See [`Store::limits`](super::super::super::Store::limits).
pub(super) async fn limits(conn: &mut Conn, trials: &[TrialId]) -> Result<Vec<Limits>, StoreError> {
    let ids: Vec<i64> = trials.iter().map(|trial| trial.0).collect();
    let rows = sqlx::query::<Db>(LIMITS)
        .bind(row::list(&ids))
        .fetch_all(conn)
        .await?;
    let limits = |found: &Row| {
        Ok(Limits {
            trial: TrialId(row::int(found, "id")?),
            pack_key: row::digest(found, "pack_key")?,
            stall_ms: row::unsigned(found, "stall_ms")?,
            time_limit_ms: row::unsigned(found, "time_limit_ms")?,
        })
    };
    rows.iter().map(limits).collect()
}

/// See [`Store::workers`](super::super::super::Store::workers).
pub(super) async fn workers(conn: &mut Conn, now: Timestamp) -> Result<Vec<WorkerRow>, StoreError> {
    let rows = sqlx::query::<Db>(WORKERS)
        .bind(now.0)
        .fetch_all(conn)
        .await?;
    rows.iter().map(worker).collect()
}

fn worker(found: &Row) -> Result<WorkerRow, StoreError> {
    let data: Option<Vec<String>> =
        row::json_or_none(found, "data", |text| serde_json::from_str(text))?;
    let data = data.unwrap_or_default();
    let data = data
        .iter()
        .filter_map(|hash| hash.parse::<ContentHash>().ok());
    let until = row::int_or_none(found, "until_at")?.map(Timestamp);
    Ok(WorkerRow {
        session: row::digest(found, "id")?,
        worker: row::text(found, "worker")?,
        device: row::text(found, "device")?,
        instruction_set: row::text(found, "instruction_set")?,
        slots: row::unsigned(found, "slots")?,
        memory: row::unsigned(found, "memory")?,
        data: data.collect(),
        trials: row::unsigned(found, "trials")?,
        opened_at: Timestamp(row::int(found, "opened_at")?),
        lease_until: Timestamp(row::int(found, "lease_until")?),
        expired: row::text(found, "state")? == "expired",
        draining: row::int(found, "draining")? == 1,
        quarantine: until.zip(row::text_or_none(found, "reason")?),
    })
}

/// See [`Store::orders`](super::super::super::Store::orders).
pub(super) async fn orders(conn: &mut Conn, now: Timestamp) -> Result<Orders, StoreError> {
    let mut orders = Orders::default();
    for found in &sqlx::query::<Db>(DRAINING).fetch_all(&mut *conn).await? {
        orders.draining.insert(row::digest(found, "id")?);
    }
    let quarantined = sqlx::query::<Db>(QUARANTINED)
        .bind(now.0)
        .fetch_all(conn)
        .await?;
    for found in &quarantined {
        let session: SessionId = row::digest(found, "id")?;
        let reason = row::text(found, "reason")?;
        orders.quarantined.insert(session, reason);
    }
    Ok(orders)
}

/// See [`Store::drain`](super::super::super::Store::drain).
pub(super) async fn drain(conn: &mut Conn, worker: &str) -> Result<u64, StoreError> {
    let drained = sqlx::query::<Db>(DRAIN).bind(worker).execute(conn).await?;
    Ok(drained.rows_affected())
}

/// See [`Store::quarantine`](super::super::super::Store::quarantine).
pub(super) async fn quarantine(
    conn: &mut Conn,
    (worker, until, reason): (&str, Timestamp, &str),
    pardon: &Pardon,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query::<Db>(QUARANTINE)
        .bind(worker)
        .bind(now.0)
        .bind(until.0)
        .bind(reason)
        .execute(&mut *conn)
        .await?;
    let ids = |trials: &[TrialId]| trials.iter().map(|trial| trial.0).collect::<Vec<i64>>();
    let (failed, lost) = (ids(&pardon.failed), ids(&pardon.lost));
    let all = row::list(&[failed.as_slice(), lost.as_slice()].concat());
    sqlx::query::<Db>(LOCK)
        .bind(&all)
        .fetch_all(&mut *conn)
        .await?;
    let (failed, lost) = (row::list(&failed), row::list(&lost));
    for (statement, trials) in [
        (PARDON_FAILED, &failed),
        (PARDON_LOST, &lost),
        (REVIVE, &all),
    ] {
        sqlx::query::<Db>(statement)
            .bind(trials)
            .execute(&mut *conn)
            .await?;
    }
    settle(conn, now).await?;
    Ok(())
}
