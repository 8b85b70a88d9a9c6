//! Expansion: a slice of points becomes trials, set by set.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use descent_spec::id::{ContentHash, Identity, PackKey, Timestamp};
use serde_json::{Value, json};

use super::super::super::{NewTrial, Slice, StoreError, naming};
use super::batch::Batch;
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
    CLASSES = concat!("SELECT class.id, r.key FROM ", dialect::rows!("$1"), "
        JOIN class ON class.pack_key = r.value ->> 'pack' AND class.data = r.value ->> 'data'
            AND class.device = r.value ->> 'device' AND class.instruction_set = r.value ->> 'isa'
        WHERE true
        ORDER BY r.key");
    PARENTS = concat!("UPDATE trial SET parent_id = parent.id
        FROM ", dialect::rows!("$1"), "
        JOIN trial AS parent ON parent.identity = r.value ->> 'parent'
        WHERE trial.identity = r.value ->> 'identity' AND trial.parent_id IS NULL");
    /// The slice's trials, in the order in which everybody locks.
    LOCK = concat!("SELECT id, identity FROM trial WHERE identity IN ", dialect::texts!("$1"),
        " ORDER BY id", dialect::for_update!("trial"));
    /// Those of the slice that are given up and start from nothing.
    REVIVE_ROOTS = concat!("UPDATE trial SET state = 'ready', failures = 0, crashes = 0
        WHERE parent_id IS NULL AND state IN ('cancelled', 'skipped') AND id IN ", dialect::ints!("$1"));
    /// The others that are given up, unless their parents cannot succeed. Only where there are any: PostgreSQL, which cannot
    /// know how many rows a recursion has, compares each with each.
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

/// New trials start out as skipped, and are revived like those that were given up before.
static INSERT: LazyLock<Batch> = LazyLock::new(|| {
    Batch::new(
        "INSERT INTO trial (identity, class_id, state, priority, ord, cost, memory)",
        7,
        "ON CONFLICT (identity) DO NOTHING",
    )
});

static SPECS: LazyLock<Batch> = LazyLock::new(|| {
    Batch::new(
        "INSERT INTO trial_spec (trial_id, params, width, depth, parameters, samples,
            outputs, label_noise, ridge, weight_decay, epochs, seed, time_limit_ms, max_failures,
            checkpoint_ms, checkpoint_epochs, keep_weights, model, subspace_dim, projection, density, stall_ms)",
        22,
        "ON CONFLICT (trial_id) DO UPDATE SET
            time_limit_ms = excluded.time_limit_ms, max_failures = excluded.max_failures,
            checkpoint_ms = excluded.checkpoint_ms, checkpoint_epochs = excluded.checkpoint_epochs,
            stall_ms = excluded.stall_ms,
            keep_weights = CASE WHEN trial_spec.keep_weights = 1 THEN 1 ELSE excluded.keep_weights END
        WHERE trial_spec.time_limit_ms <> excluded.time_limit_ms
            OR trial_spec.max_failures <> excluded.max_failures
            OR trial_spec.checkpoint_ms <> excluded.checkpoint_ms
            OR trial_spec.checkpoint_epochs <> excluded.checkpoint_epochs
            OR trial_spec.stall_ms <> excluded.stall_ms
            OR trial_spec.keep_weights < excluded.keep_weights",
    )
});

static LINK: LazyLock<Batch> = LazyLock::new(|| {
    Batch::new(
        "INSERT INTO sweep_trial (sweep_id, trial_id, point, axes, edition)",
        5,
        "ON CONFLICT (sweep_id, trial_id) DO UPDATE
            SET point = excluded.point, axes = excluded.axes, edition = excluded.edition
            WHERE sweep_trial.edition <> excluded.edition",
    )
});

/// The batches' statements, for the test that has all described.
#[cfg(test)]
pub(super) fn batches() -> impl Iterator<Item = (&'static str, &'static str)> {
    let insert = INSERT.all().map(|sql| ("INSERT", sql));
    let specs = SPECS.all().map(|sql| ("SPECS", sql));
    insert
        .chain(specs)
        .chain(LINK.all().map(|sql| ("LINK", sql)))
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
    let classes = classes(conn, &trials).await?;
    for (statement, rows) in INSERT.cut(&trials) {
        let mut query = sqlx::query::<Db>(statement);
        for trial in rows {
            query = query
                .bind(trial.identity.to_string())
                .bind(classes[&class_of(trial)])
                .bind("skipped")
                .bind(priority)
                .bind(trial.ord)
                .bind(trial.columns.cost)
                .bind(row::signed(trial.columns.memory));
        }
        query.execute(&mut *conn).await?;
    }
    let children: Vec<Value> = trials
        .iter()
        .filter(|trial| trial.parent.is_some())
        .map(|trial| json!({ "identity": trial.identity, "parent": trial.parent }))
        .collect();
    if !children.is_empty() {
        sqlx::query::<Db>(PARENTS)
            .bind(row::list(&children))
            .execute(&mut *conn)
            .await?;
    }
    let known = lock(conn, &trials).await?;
    let ids: Vec<i64> = trials.iter().map(|trial| known[&trial.identity]).collect();
    let numbered: Vec<(i64, &NewTrial)> = ids.iter().copied().zip(trials).collect();
    specs(conn, &numbered).await?;
    let ids = row::list(&ids);
    sqlx::query::<Db>(REVIVE_ROOTS)
        .bind(&ids)
        .execute(&mut *conn)
        .await?;
    if !children.is_empty() {
        sqlx::query::<Db>(REVIVE)
            .bind(&ids)
            .execute(&mut *conn)
            .await?;
    }
    for (statement, rows) in LINK.cut(&numbered) {
        let mut query = sqlx::query::<Db>(statement);
        for (id, trial) in rows {
            query = query
                .bind(slice.sweep.0)
                .bind(id)
                .bind(row::signed(trial.point))
                .bind(&trial.axes)
                .bind(edition);
        }
        query.execute(&mut *conn).await?;
    }
    sqlx::query::<Db>(REFRESH)
        .bind(&ids)
        .bind(priority)
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// What a class is known by.
type Class<'t> = (PackKey, ContentHash, &'t str, &'t str);

fn class_of(trial: &NewTrial) -> Class<'_> {
    (
        trial.pack_key,
        trial.data,
        &trial.device,
        &trial.instruction_set,
    )
}

/// The row numbers of the trials' classes, which are made where they are new.
async fn classes<'t>(
    conn: &mut Conn,
    trials: &[&'t NewTrial],
) -> Result<BTreeMap<Class<'t>, i64>, StoreError> {
    let mut memory: BTreeMap<Class<'t>, i64> = BTreeMap::new();
    for trial in trials {
        let most = memory.entry(class_of(trial)).or_default();
        *most = row::signed(trial.data_memory).max(*most);
    }
    let rows: Vec<Value> = memory
        .iter()
        .map(|((pack, data, device, isa), data_memory)| {
            json!({ "pack": pack, "data": data, "device": device, "isa": isa, "data_memory": data_memory })
        })
        .collect();
    let rows = row::list(&rows);
    sqlx::query::<Db>(INTERN)
        .bind(&rows)
        .execute(&mut *conn)
        .await?;
    let found = sqlx::query::<Db>(CLASSES)
        .bind(&rows)
        .fetch_all(conn)
        .await?;
    let ids: Vec<i64> = found
        .iter()
        .map(|found| row::int(found, "id"))
        .collect::<Result<_, _>>()?;
    if ids.len() != memory.len() {
        return Err(StoreError::Database(
            "classes vanished while trials of them were made".to_owned(),
        ));
    }
    Ok(memory.into_keys().zip(ids).collect())
}

/// Locks the trials; answers their row numbers.
async fn lock(conn: &mut Conn, trials: &[&NewTrial]) -> Result<HashMap<Identity, i64>, StoreError> {
    let identities: Vec<String> = trials
        .iter()
        .map(|trial| trial.identity.to_string())
        .collect();
    let rows = sqlx::query::<Db>(LOCK)
        .bind(row::list(&identities))
        .fetch_all(conn)
        .await?;
    let mut known = HashMap::with_capacity(rows.len());
    for found in &rows {
        known.insert(row::digest(found, "identity")?, row::int(found, "id")?);
    }
    if known.len() != trials.len() {
        return Err(StoreError::Contention(
            "trials vanished while they were made".to_owned(),
        ));
    }
    Ok(known)
}

/// What each trial is, and how it is run.
async fn specs(conn: &mut Conn, trials: &[(i64, &NewTrial)]) -> Result<(), StoreError> {
    for (statement, rows) in SPECS.cut(trials) {
        let mut query = sqlx::query::<Db>(statement);
        for (id, trial) in rows {
            let columns = &trial.columns;
            query = query
                .bind(id)
                .bind(&trial.params)
                .bind(columns.width)
                .bind(columns.depth)
                .bind(columns.parameters)
                .bind(columns.samples)
                .bind(columns.outputs)
                .bind(columns.label_noise)
                .bind(columns.ridge)
                .bind(columns.weight_decay)
                .bind(columns.epochs)
                .bind(columns.seed)
                .bind(row::signed(trial.time_limit_ms))
                .bind(i64::from(trial.max_failures))
                .bind(i64::from(trial.checkpoint_ms))
                .bind(i64::from(trial.checkpoint_epochs))
                .bind(i64::from(trial.keep_weights))
                .bind(columns.model)
                .bind(columns.subspace_dim)
                .bind(columns.projection)
                .bind(columns.density)
                .bind(row::signed(trial.stall_ms));
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}
