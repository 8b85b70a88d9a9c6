//! Sweeps: acknowledged, listed, steered, run again.

use std::collections::{BTreeMap, HashMap};

use descent_spec::id::{Identity, RequestId, SweepId, Timestamp};
use descent_spec::state::{SweepState, TrialState};
use serde_json::json;

use super::super::super::{
    AxisKind, IfExists, NewSweep, Rerun, Steer, StoreError, SweepRow, naming,
};
use super::settle::settle;
use super::{Conn, Db, Row, dialect, log, remove, row, statements, view};

/// A query of sweeps with the given end.
macro_rules! select_sweeps {
    ($($end:expr),+) => {
        concat!(
            "SELECT sweep.id, sweep.name, sweep.experiment, sweep.source, sweep.data, sweep.edition, sweep.state,
                sweep.priority, sweep.points, sweep.position, sweep.cost_total, sweep.created_at,
                sweep.finished_at, sweep.first_failure, sweep.pause_reason, (
                    SELECT COUNT(DISTINCT trial.session)
                    FROM trial CROSS JOIN sweep_trial AS link
                    WHERE trial.session IS NOT NULL AND trial.state = 'leased'
                        AND link.trial_id = trial.id AND link.sweep_id = sweep.id
                ) AS workers
            FROM sweep ", $($end),+)
    };
}

/// Given-up trials of a sweep come back, with what was skipped because of them; the parameters say which may come first.
macro_rules! revive {
    ($states:literal, $roots:literal) => {
        concat!(
            "WITH RECURSIVE slice (id, parent_id, state) AS (
            SELECT trial.id, trial.parent_id, trial.state
            FROM sweep_trial AS link JOIN trial ON trial.id = link.trial_id
            WHERE link.sweep_id = $1 AND trial.state IN (",
            $states,
            ")
        ), revived (id, state) AS (
            SELECT slice.id, CASE WHEN slice.parent_id IS NULL OR parent.state = 'succeeded'
                THEN 'ready' ELSE 'blocked' END
            FROM slice LEFT JOIN trial AS parent ON parent.id = slice.parent_id
            WHERE slice.state IN (",
            $roots,
            ") AND (slice.parent_id IS NULL
                OR parent.state IN ('succeeded', 'blocked', 'ready', 'leased', 'delayed'))
            UNION ALL
            SELECT slice.id, 'blocked' FROM slice JOIN revived ON slice.parent_id = revived.id
        )
        UPDATE trial SET state = revived.state, failures = 0, crashes = 0
        FROM revived WHERE trial.id = revived.id"
        )
    };
}

statements! {
    SAME_VIEW = concat!("SELECT id, name, edition FROM sweep WHERE view_name = $1", dialect::for_update!("sweep"));
    INSERT = "INSERT INTO sweep (name, view_name, experiment, source, data, axes, state, points,
            priority, cost_total, created_at, max_alike)
        VALUES ($1, $2, $3, $4, $5, $6, 'expanding', $7, $8, $9, $10, $11) RETURNING id";
    REPLACE = "UPDATE sweep SET experiment = $2, source = $3, data = $4, axes = $5, points = $6,
            priority = $7, cost_total = $8, state = 'expanding', expanded = 0, edition = edition + 1,
            position = 0, finished_at = NULL, alike = NULL, pause_reason = NULL, max_alike = $9
        WHERE id = $1";
    BY_NAME = select_sweeps!("WHERE sweep.name = $1");
    AFTER = select_sweeps!("WHERE sweep.id > $1 ORDER BY sweep.id LIMIT $2");
    EXPANDING = select_sweeps!("WHERE sweep.state = 'expanding' ORDER BY sweep.priority DESC, sweep.id");
    TALLY = concat!("SELECT sweep_id, state, CAST(SUM(trials) AS BIGINT) AS trials, SUM(cost) AS cost
        FROM sweep_tally WHERE sweep_id IN ", dialect::ints!("$1"), "
        GROUP BY sweep_id, state HAVING SUM(trials) > 0");
    READY = "SELECT CAST(COALESCE(SUM(tally.trials), 0) AS BIGINT) AS ready
        FROM sweep_tally AS tally JOIN sweep ON sweep.id = tally.sweep_id
        WHERE tally.state = 'ready' AND sweep.state IN ('expanding', 'running')";
    LOCATE = concat!("SELECT id, view_name, state, CAST(expanded AS BIGINT) AS expanded FROM sweep WHERE name = $1",
        dialect::for_update!("sweep"));
    /// Whoever steers has seen why it was paused, and alike failures are counted anew.
    STEER = "UPDATE sweep SET state = $2, finished_at = $3, alike = NULL, pause_reason = NULL WHERE id = $1";
    REFRESH = "UPDATE trial SET
            held = CASE WHEN EXISTS (
                SELECT 1 FROM sweep_trial AS link JOIN sweep ON sweep.id = link.sweep_id
                WHERE link.trial_id = trial.id AND sweep.state NOT IN ('paused', 'cancelled')
            ) THEN 0 ELSE 1 END,
            priority = COALESCE((
                SELECT MAX(sweep.priority)
                FROM sweep_trial AS link JOIN sweep ON sweep.id = link.sweep_id
                WHERE link.trial_id = trial.id AND sweep.state NOT IN ('paused', 'cancelled')
            ), priority)
        WHERE state IN ('blocked', 'ready', 'leased', 'delayed')
            AND id IN (SELECT trial_id FROM sweep_trial WHERE sweep_id = $1)";
    LOCK_TRIALS = concat!("SELECT trial.id FROM trial
        WHERE trial.id IN (SELECT trial_id FROM sweep_trial WHERE sweep_id = $1)
        ORDER BY trial.id", dialect::for_update!("trial"));
    REVIVE_FAILED = revive!("'failed', 'poisoned', 'skipped'", "'failed', 'poisoned'");
    REVIVE_MISSING = revive!("'cancelled', 'skipped'", "'cancelled', 'skipped'");
    TAKE_UP = "UPDATE sweep SET finished_at = NULL,
            state = CASE WHEN expanded = 1 THEN 'running' ELSE 'expanding' END
        WHERE id = $1 AND state = 'cancelled'";
    FINISHED = concat!("SELECT trial.identity FROM trial JOIN result ON result.trial_id = trial.id
        WHERE trial.identity IN ", dialect::texts!("$1"));
}

/// See [`Store::submit`](super::super::super::Store::submit).
pub(super) async fn submit(
    conn: &mut Conn,
    request: RequestId,
    sweep: &NewSweep,
    exists: IfExists,
    now: Timestamp,
) -> Result<SweepId, StoreError> {
    let call = naming::call("submit", &sweep.name);
    if let Some(id) = log::recall(conn, request, &call).await? {
        return Ok(SweepId(id));
    }
    let view_name = naming::view_name(&sweep.name)?;
    let same = sqlx::query::<Db>(SAME_VIEW)
        .bind(&view_name)
        .fetch_optional(&mut *conn)
        .await?;
    let id = match same {
        None => insert(conn, sweep, &view_name, now).await?,
        Some(same) => {
            let other = row::text(&same, "name")?;
            if other != sweep.name {
                return Err(naming::view_taken(&sweep.name, &view_name, &other));
            }
            naming::may_replace(&sweep.name, row::unsigned(&same, "edition")?, exists)?;
            let id = SweepId(row::int(&same, "id")?);
            replace(conn, id, sweep).await?;
            id
        }
    };
    view::create(conn, &view_name, id, &sweep.axes).await?;
    log::remember(conn, request, &call, &id.0, now).await?;
    Ok(id)
}

async fn insert(
    conn: &mut Conn,
    sweep: &NewSweep,
    view_name: &str,
    now: Timestamp,
) -> Result<SweepId, StoreError> {
    let inserted = sqlx::query::<Db>(INSERT)
        .bind(&sweep.name)
        .bind(view_name)
        .bind(&sweep.experiment)
        .bind(&sweep.source)
        .bind(&sweep.data)
        .bind(axes(sweep))
        .bind(row::signed(sweep.points))
        .bind(sweep.priority)
        .bind(sweep.cost_total)
        .bind(now.0)
        .bind(i64::from(sweep.max_alike_failures))
        .fetch_one(&mut *conn)
        .await?;
    Ok(SweepId(row::int(&inserted, "id")?))
}

async fn replace(conn: &mut Conn, id: SweepId, sweep: &NewSweep) -> Result<(), StoreError> {
    sqlx::query::<Db>(REPLACE)
        .bind(id.0)
        .bind(&sweep.experiment)
        .bind(&sweep.source)
        .bind(&sweep.data)
        .bind(axes(sweep))
        .bind(row::signed(sweep.points))
        .bind(sweep.priority)
        .bind(sweep.cost_total)
        .bind(i64::from(sweep.max_alike_failures))
        .execute(&mut *conn)
        .await?;
    refresh(conn, id).await
}

/// The axes as they are kept beside the sweep: name and kind of each.
fn axes(sweep: &NewSweep) -> String {
    let axes = sweep.axes.iter().map(|axis| {
        let kind = match axis.kind {
            AxisKind::Integer => "integer",
            AxisKind::Real => "real",
            AxisKind::Text => "text",
        };
        json!({ "name": axis.name, "kind": kind })
    });
    row::list(&axes.collect::<Vec<_>>())
}

/// Decides anew which trials of a sweep are held back and how urgent they are.
pub(super) async fn refresh(conn: &mut Conn, id: SweepId) -> Result<(), StoreError> {
    sqlx::query::<Db>(LOCK_TRIALS)
        .bind(id.0)
        .fetch_all(&mut *conn)
        .await?;
    sqlx::query::<Db>(REFRESH)
        .bind(id.0)
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// See [`Store::sweep`](super::super::super::Store::sweep).
pub(crate) async fn sweep(conn: &mut Conn, name: &str) -> Result<Option<SweepRow>, StoreError> {
    let rows = sqlx::query::<Db>(BY_NAME)
        .bind(name)
        .fetch_all(&mut *conn)
        .await?;
    Ok(with_tallies(conn, &rows).await?.pop())
}

/// See [`Store::sweeps`](super::super::super::Store::sweeps).
pub(crate) async fn sweeps(
    conn: &mut Conn,
    after: SweepId,
    limit: u32,
) -> Result<Vec<SweepRow>, StoreError> {
    let rows = sqlx::query::<Db>(AFTER)
        .bind(after.0)
        .bind(i64::from(limit))
        .fetch_all(&mut *conn)
        .await?;
    with_tallies(conn, &rows).await
}

/// See [`Store::expanding`](super::super::super::Store::expanding).
pub(super) async fn expanding(conn: &mut Conn) -> Result<Vec<SweepRow>, StoreError> {
    let rows = sqlx::query::<Db>(EXPANDING).fetch_all(&mut *conn).await?;
    with_tallies(conn, &rows).await
}

/// Trials that sweeps at work have ready, from their counters; a trial that two sweeps share counts twice.
pub(super) async fn ready(conn: &mut Conn) -> Result<u64, StoreError> {
    let found = sqlx::query::<Db>(READY).fetch_one(conn).await?;
    row::unsigned(&found, "ready")
}

/// The rows with their counters.
async fn with_tallies(conn: &mut Conn, rows: &[Row]) -> Result<Vec<SweepRow>, StoreError> {
    let mut sweeps = rows.iter().map(sweep_row).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<i64> = sweeps.iter().map(|sweep| sweep.id.0).collect();
    let tallies = sqlx::query::<Db>(TALLY)
        .bind(row::list(&ids))
        .fetch_all(conn)
        .await?;
    let places: HashMap<i64, usize> = ids.into_iter().zip(0..).collect();
    for tally in &tallies {
        let sweep = &mut sweeps[places[&row::int(tally, "sweep_id")?]];
        let state = row::word(tally, "state", TrialState::from_word)?;
        sweep.counts.insert(state, row::unsigned(tally, "trials")?);
        if state.is_terminal() {
            sweep.cost_done += row::real(tally, "cost")?;
        }
    }
    Ok(sweeps)
}

fn sweep_row(found: &Row) -> Result<SweepRow, StoreError> {
    Ok(SweepRow {
        id: SweepId(row::int(found, "id")?),
        name: row::text(found, "name")?,
        experiment: row::text(found, "experiment")?,
        source: row::text(found, "source")?,
        data: row::text(found, "data")?,
        edition: row::unsigned(found, "edition")?,
        state: row::word(found, "state", SweepState::from_word)?,
        priority: row::int(found, "priority")?,
        points: row::unsigned(found, "points")?,
        cursor: row::unsigned(found, "position")?,
        counts: BTreeMap::new(),
        cost_total: row::real(found, "cost_total")?,
        cost_done: 0.0,
        created_at: Timestamp(row::int(found, "created_at")?),
        finished_at: row::int_or_none(found, "finished_at")?.map(Timestamp),
        workers: row::unsigned(found, "workers")?,
        first_failure: row::text_or_none(found, "first_failure")?,
        pause_reason: row::text_or_none(found, "pause_reason")?,
    })
}

/// A sweep's row number and its view, by its name.
pub(super) async fn locate(conn: &mut Conn, name: &str) -> Result<(SweepId, String), StoreError> {
    let found = sqlx::query::<Db>(LOCATE)
        .bind(name)
        .fetch_optional(conn)
        .await?;
    let found = found.ok_or_else(|| naming::no_sweep(name))?;
    Ok((
        SweepId(row::int(&found, "id")?),
        row::text(&found, "view_name")?,
    ))
}

/// See [`Store::steer`](super::super::super::Store::steer).
pub(super) async fn steer(
    conn: &mut Conn,
    request: RequestId,
    name: &str,
    steer: Steer,
    now: Timestamp,
) -> Result<SweepRow, StoreError> {
    let found = sqlx::query::<Db>(LOCATE)
        .bind(name)
        .fetch_optional(&mut *conn)
        .await?;
    let found = found.ok_or_else(|| naming::no_sweep(name))?;
    let id = SweepId(row::int(&found, "id")?);
    let call = naming::call(steer.word(), name);
    if log::recall::<()>(conn, request, &call).await?.is_none() {
        let state = row::word(&found, "state", SweepState::from_word)?;
        let expanded = row::int(&found, "expanded")? == 1;
        if let Some(state) = naming::steered(name, state, expanded, steer)? {
            sqlx::query::<Db>(STEER)
                .bind(id.0)
                .bind(state.word())
                .bind((steer == Steer::Cancel).then_some(now.0))
                .execute(&mut *conn)
                .await?;
            if steer == Steer::Cancel {
                remove::cancel(conn, id, now).await?;
            } else {
                refresh(conn, id).await?;
            }
            settle(conn, now).await?;
        }
        log::remember(conn, request, &call, &(), now).await?;
    }
    sweep(conn, name)
        .await?
        .ok_or_else(|| naming::no_sweep(name))
}

/// See [`Store::rerun`](super::super::super::Store::rerun).
pub(super) async fn rerun(
    conn: &mut Conn,
    request: RequestId,
    name: &str,
    which: Rerun,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let call = naming::call(which.word(), name);
    if let Some(trials) = log::recall(conn, request, &call).await? {
        return Ok(trials);
    }
    let (id, _) = locate(conn, name).await?;
    sqlx::query::<Db>(LOCK_TRIALS)
        .bind(id.0)
        .fetch_all(&mut *conn)
        .await?;
    let revive = match which {
        Rerun::Failed => REVIVE_FAILED,
        Rerun::Missing => REVIVE_MISSING,
    };
    let revived = sqlx::query::<Db>(revive)
        .bind(id.0)
        .execute(&mut *conn)
        .await?;
    let trials = revived.rows_affected();
    sqlx::query::<Db>(TAKE_UP)
        .bind(id.0)
        .execute(&mut *conn)
        .await?;
    refresh(conn, id).await?;
    settle(conn, now).await?;
    log::remember(conn, request, &call, &trials, now).await?;
    Ok(trials)
}

/// See [`Store::finished`](super::super::super::Store::finished).
pub(crate) async fn finished(
    conn: &mut Conn,
    identities: &[Identity],
) -> Result<Vec<Identity>, StoreError> {
    /// Few enough that a list stays small, enough that round trips do not count.
    const AT_ONCE: usize = 10_000;
    let mut finished = Vec::new();
    for some in identities.chunks(AT_ONCE) {
        let rows = sqlx::query::<Db>(FINISHED)
            .bind(row::list(some))
            .fetch_all(&mut *conn)
            .await?;
        let mut found: std::collections::HashSet<Identity> = std::collections::HashSet::new();
        for identity in &rows {
            found.insert(row::digest(identity, "identity")?);
        }
        finished.extend(some.iter().filter(|identity| found.contains(identity)));
    }
    Ok(finished)
}
