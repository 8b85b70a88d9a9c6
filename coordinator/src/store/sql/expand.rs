//! Expansion: a slice of points becomes trials, set by set.

use std::collections::BTreeSet;

use descent_spec::id::{Identity, Timestamp};
use serde_json::json;

use super::super::super::{NewTrial, Slice, StoreError, naming};
use super::settle::settle;
use super::{Conn, Db, dialect, row, statements};

statements! {
    CURSOR = concat!("SELECT position, state, edition, priority FROM sweep WHERE id = $1",
        dialect::for_update!("sweep"));
    KNOWN = concat!("SELECT identity FROM trial WHERE identity IN ", dialect::texts!("$1"));
    INTERN = concat!("INSERT INTO class (pack_key, data, device, instruction_set, data_memory)
        SELECT r.value ->> 'pack', r.value ->> 'data', r.value ->> 'device', r.value ->> 'isa',
            MAX(CAST(r.value ->> 'data_memory' AS BIGINT))
        FROM ", dialect::rows!("$1"), " WHERE true
        GROUP BY r.value ->> 'pack', r.value ->> 'data', r.value ->> 'device', r.value ->> 'isa'
        ON CONFLICT (pack_key, data, device, instruction_set) DO NOTHING");
    /// New trials start out as skipped, and are revived below like those that were given up before.
    INSERT = concat!("INSERT INTO trial (identity, class_id, state, priority, ord, cost, memory)
        SELECT r.value ->> 'identity', class.id, 'skipped', CAST($2 AS BIGINT),
            CAST(r.value ->> 'ord' AS BIGINT), CAST(r.value ->> 'cost' AS DOUBLE PRECISION),
            CAST(r.value ->> 'memory' AS BIGINT)
        FROM ", dialect::rows!("$1"), "
        JOIN class ON class.pack_key = r.value ->> 'pack' AND class.data = r.value ->> 'data'
            AND class.device = r.value ->> 'device' AND class.instruction_set = r.value ->> 'isa'
        WHERE true
        ORDER BY r.key
        ON CONFLICT (identity) DO NOTHING");
    PARENTS = concat!("UPDATE trial SET parent_id = parent.id
        FROM ", dialect::rows!("$1"), "
        JOIN trial AS parent ON parent.identity = r.value ->> 'parent'
        WHERE trial.identity = r.value ->> 'identity' AND trial.parent_id IS NULL");
    /// The slice's trials, in the order in which everybody locks.
    LOCK = concat!("SELECT id FROM trial WHERE identity IN ", dialect::texts!("$1"),
        " ORDER BY id", dialect::for_update!("trial"));
    SPECS = concat!("INSERT INTO trial_spec (trial_id, params, width, depth, parameters, samples,
            outputs, label_noise, ridge, weight_decay, epochs, seed, time_limit_ms, max_failures,
            checkpoint_ms, checkpoint_epochs, keep_weights, model, subspace_dim, projection, density, stall_ms)
        SELECT trial.id, r.value ->> 'params',
            CAST(r.value ->> 'width' AS BIGINT), CAST(r.value ->> 'depth' AS BIGINT),
            CAST(r.value ->> 'parameters' AS BIGINT), CAST(r.value ->> 'samples' AS BIGINT),
            CAST(r.value ->> 'outputs' AS BIGINT),
            CAST(r.value ->> 'label_noise' AS DOUBLE PRECISION),
            CAST(r.value ->> 'ridge' AS DOUBLE PRECISION),
            CAST(r.value ->> 'weight_decay' AS DOUBLE PRECISION),
            CAST(r.value ->> 'epochs' AS BIGINT), CAST(r.value ->> 'seed' AS BIGINT),
            CAST(r.value ->> 'time_limit_ms' AS BIGINT), CAST(r.value ->> 'max_failures' AS BIGINT),
            CAST(r.value ->> 'checkpoint_ms' AS BIGINT),
            CAST(r.value ->> 'checkpoint_epochs' AS BIGINT),
            CAST(r.value ->> 'keep_weights' AS BIGINT),
            r.value ->> 'model', CAST(r.value ->> 'subspace_dim' AS BIGINT),
            r.value ->> 'projection', CAST(r.value ->> 'density' AS DOUBLE PRECISION),
            CAST(r.value ->> 'stall_ms' AS BIGINT)
        FROM ", dialect::rows!("$1"), " JOIN trial ON trial.identity = r.value ->> 'identity'
        WHERE true
        ON CONFLICT (trial_id) DO UPDATE SET
            time_limit_ms = excluded.time_limit_ms, max_failures = excluded.max_failures,
            checkpoint_ms = excluded.checkpoint_ms, checkpoint_epochs = excluded.checkpoint_epochs,
            stall_ms = excluded.stall_ms,
            keep_weights = CASE WHEN trial_spec.keep_weights = 1 THEN 1 ELSE excluded.keep_weights END
        WHERE trial_spec.time_limit_ms <> excluded.time_limit_ms
            OR trial_spec.max_failures <> excluded.max_failures
            OR trial_spec.checkpoint_ms <> excluded.checkpoint_ms
            OR trial_spec.checkpoint_epochs <> excluded.checkpoint_epochs
            OR trial_spec.stall_ms <> excluded.stall_ms
            OR trial_spec.keep_weights < excluded.keep_weights");
    /// Those of the slice that are given up, unless their parents cannot succeed.
    REVIVE = concat!("WITH RECURSIVE slice (id, parent_id) AS (
            SELECT trial.id, trial.parent_id FROM trial
            WHERE trial.state IN ('cancelled', 'skipped') AND trial.id IN ", dialect::ints!("$1"), "
        ), revived (id, state) AS (
            SELECT slice.id, CASE WHEN slice.parent_id IS NULL OR parent.state = 'succeeded'
                THEN 'ready' ELSE 'blocked' END
            FROM slice LEFT JOIN trial AS parent ON parent.id = slice.parent_id
            WHERE slice.parent_id IS NULL
                OR parent.state IN ('succeeded', 'blocked', 'ready', 'leased', 'delayed')
            UNION ALL
            SELECT slice.id, 'blocked' FROM slice JOIN revived ON slice.parent_id = revived.id
        )
        UPDATE trial SET state = revived.state, failures = 0, crashes = 0
        FROM revived WHERE trial.id = revived.id");
    LINK = concat!("INSERT INTO sweep_trial (sweep_id, trial_id, point, axes, edition)
        SELECT CAST($2 AS BIGINT), trial.id, CAST(r.value ->> 'point' AS BIGINT),
            r.value ->> 'axes', CAST($3 AS BIGINT)
        FROM ", dialect::rows!("$1"), " JOIN trial ON trial.identity = r.value ->> 'identity'
        WHERE true
        ON CONFLICT (sweep_id, trial_id) DO UPDATE
            SET point = excluded.point, axes = excluded.axes, edition = excluded.edition
            WHERE sweep_trial.edition <> excluded.edition");
    /// Only trials that this sweep did not make alone need a second look.
    REFRESH = concat!("UPDATE trial SET
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
            AND (held = 1 OR priority <> $2)
            AND id IN ", dialect::ints!("$1"));
    ADVANCE = "UPDATE sweep SET position = $2, expanded = $3, state = $4 WHERE id = $1";
}

/// See [`Store::expand`](super::super::super::Store::expand).
pub(super) async fn expand(
    conn: &mut Conn,
    slice: &Slice,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sweep = slice.sweep.0;
    let found = sqlx::query::<Db>(CURSOR)
        .bind(sweep)
        .fetch_optional(&mut *conn)
        .await?;
    let found = found.ok_or_else(|| naming::no_sweep(&sweep.to_string()))?;
    let position: u64 = row::unsigned(&found, "position")?;
    let edition: u64 = row::unsigned(&found, "edition")?;
    let current = edition == slice.edition && position == slice.from;
    if !current || row::text(&found, "state")? != "expanding" {
        return Ok(());
    }
    let edition = row::signed(edition);
    let priority = row::int(&found, "priority")?;
    if !slice.trials.is_empty() {
        require_parents(conn, &slice.trials).await?;
        insert(conn, slice, edition, priority).await?;
    }
    sqlx::query::<Db>(ADVANCE)
        .bind(sweep)
        .bind(row::signed(slice.to))
        .bind(i64::from(slice.last))
        .bind(if slice.last { "running" } else { "expanding" })
        .execute(&mut *conn)
        .await?;
    settle(conn, now).await?;
    Ok(())
}

/// Refuses a slice of which a trial starts from one that is not there.
async fn require_parents(conn: &mut Conn, trials: &[NewTrial]) -> Result<(), StoreError> {
    let mut earlier: BTreeSet<Identity> = BTreeSet::new();
    let mut outside: Vec<(Identity, Identity)> = Vec::new();
    for trial in trials {
        if let Some(parent) = trial.parent.filter(|parent| !earlier.contains(parent)) {
            outside.push((trial.identity, parent));
        }
        earlier.insert(trial.identity);
    }
    if outside.is_empty() {
        return Ok(());
    }
    let parents: Vec<String> = outside
        .iter()
        .map(|(_, parent)| parent.to_string())
        .collect();
    let rows = sqlx::query::<Db>(KNOWN)
        .bind(row::list(&parents))
        .fetch_all(conn)
        .await?;
    let mut known: BTreeSet<Identity> = BTreeSet::new();
    for found in &rows {
        known.insert(row::digest(found, "identity")?);
    }
    match outside.iter().find(|(_, parent)| !known.contains(parent)) {
        Some((trial, parent)) => Err(naming::no_parent(*trial, *parent)),
        None => Ok(()),
    }
}

async fn insert(
    conn: &mut Conn,
    slice: &Slice,
    edition: i64,
    priority: i64,
) -> Result<(), StoreError> {
    // A statement may touch a row once only, so the first of equal points stands for all of them.
    let mut seen = BTreeSet::new();
    let distinct = || slice.trials.iter();
    let trials: Vec<&NewTrial> = distinct()
        .filter(|trial| seen.insert(trial.identity))
        .collect();
    let identities: Vec<String> = trials
        .iter()
        .map(|trial| trial.identity.to_string())
        .collect();
    let rows: Vec<serde_json::Value> = trials.iter().map(|trial| as_json(trial)).collect();
    let rows = row::list(&rows);
    sqlx::query::<Db>(INTERN)
        .bind(&rows)
        .execute(&mut *conn)
        .await?;
    sqlx::query::<Db>(INSERT)
        .bind(&rows)
        .bind(priority)
        .execute(&mut *conn)
        .await?;
    if trials.iter().any(|trial| trial.parent.is_some()) {
        sqlx::query::<Db>(PARENTS)
            .bind(&rows)
            .execute(&mut *conn)
            .await?;
    }
    let ids = sqlx::query::<Db>(LOCK)
        .bind(row::list(&identities))
        .fetch_all(&mut *conn)
        .await?;
    let ids: Vec<i64> = ids
        .iter()
        .map(|found| row::int(found, "id"))
        .collect::<Result<_, _>>()?;
    let ids = row::list(&ids);
    sqlx::query::<Db>(SPECS)
        .bind(&rows)
        .execute(&mut *conn)
        .await?;
    sqlx::query::<Db>(REVIVE)
        .bind(&ids)
        .execute(&mut *conn)
        .await?;
    sqlx::query::<Db>(LINK)
        .bind(&rows)
        .bind(slice.sweep.0)
        .bind(edition)
        .execute(&mut *conn)
        .await?;
    sqlx::query::<Db>(REFRESH)
        .bind(&ids)
        .bind(priority)
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// A trial as the statements take it.
fn as_json(trial: &NewTrial) -> serde_json::Value {
    let columns = &trial.columns;
    json!({
        "identity": trial.identity,
        "pack": trial.pack_key,
        "data": trial.data,
        "data_memory": row::signed(trial.data_memory),
        "device": trial.device,
        "isa": trial.instruction_set,
        "parent": trial.parent,
        "point": row::signed(trial.point),
        "axes": trial.axes,
        "ord": trial.ord,
        "params": trial.params,
        "width": columns.width,
        "depth": columns.depth,
        "parameters": columns.parameters,
        "samples": columns.samples,
        "outputs": columns.outputs,
        "label_noise": columns.label_noise,
        "ridge": columns.ridge,
        "weight_decay": columns.weight_decay,
        "epochs": columns.epochs,
        "model": columns.model,
        "subspace_dim": columns.subspace_dim,
        "projection": columns.projection,
        "density": columns.density,
        "seed": columns.seed,
        "cost": columns.cost,
        "memory": row::signed(columns.memory),
        "time_limit_ms": row::signed(trial.time_limit_ms),
        "stall_ms": row::signed(trial.stall_ms),
        "max_failures": trial.max_failures,
        "checkpoint_ms": trial.checkpoint_ms,
        "checkpoint_epochs": trial.checkpoint_epochs,
        "keep_weights": i64::from(trial.keep_weights),
    })
}
