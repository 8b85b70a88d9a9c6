//! Claims: the most urgent class that fits, then trials of it through the claim index.

use std::collections::HashMap;

use descent_spec::id::{AttemptNumber, ContentHash, Timestamp, TrialId};

use super::super::super::{Artifact, Ask, Claim, Claimed, StoreError};
use super::{Conn, Db, Row, dialect, log, row, statements, sweeps};
use crate::core::share::{self, Candidate, Room};

/// A statement with its parameters.
type Query<'q> = sqlx::query::Query<'q, Db, <Db as sqlx::Database>::Arguments>;

/// How many trials a claim looks at before it looks for the classes that they are of.
macro_rules! front {
    () => {
        "64"
    };
}

/// The classes that have a ready trial, each found by a probe of the claim index; the last one is NULL.
macro_rules! live {
    () => {
        "SELECT (
            SELECT class_id FROM trial WHERE state = 'ready' AND held = 0 ORDER BY class_id LIMIT 1
        )
        UNION ALL
        SELECT (
            SELECT trial.class_id FROM trial
            WHERE trial.state = 'ready' AND trial.held = 0 AND trial.class_id > live.id
            ORDER BY trial.class_id LIMIT 1
        ) FROM live WHERE live.id IS NOT NULL"
    };
}

statements! {
    SESSION = "SELECT state, device, device_kind, instruction_set FROM session WHERE id = $1";
    /// The class of the most urgent trial that fits, if it is among the first few.
    FRONT = concat!("SELECT front.class_id AS id FROM (
            SELECT class_id, priority, ord, id FROM trial WHERE state = 'ready' AND held = 0
            ORDER BY priority DESC, ord, id LIMIT ", front!(), "
        ) AS front
        JOIN class ON class.id = front.class_id
        WHERE class.device IN ('', $1, $2) AND class.instruction_set IN ('', $3)
            AND class.data IN ", dialect::texts!("$4"), "
        ORDER BY front.priority DESC, front.ord, front.id LIMIT 1");
    /// The same, however many go before it that do not fit: one probe of the claim index for each class that has a ready
    /// trial, from one to the next, then the most urgent of the firsts.
    PICK = concat!("WITH RECURSIVE live (id) AS (", live!(), ")
        SELECT class.id FROM live
        JOIN class ON class.id = live.id
        JOIN trial ON trial.id = (
            SELECT first.id FROM trial AS first
            WHERE first.class_id = class.id AND first.state = 'ready' AND first.held = 0
            ORDER BY first.priority DESC, first.ord, first.id LIMIT 1
        )
        WHERE class.device IN ('', $1, $2) AND class.instruction_set IN ('', $3)
            AND class.data IN ", dialect::texts!("$4"), "
        ORDER BY trial.priority DESC, trial.ord, trial.id LIMIT 1");
    /// Of the workers at hand that the class fits: how many packs they train side by side, and the most memory that one has.
    SLOTS = "SELECT CAST(COALESCE(SUM(session.slots), 0) AS BIGINT) AS slots,
            CAST(COALESCE(MAX(session.memory), 0) AS BIGINT) AS memory
        FROM session JOIN class ON class.id = $1
        WHERE session.state = 'open'
            AND class.device IN ('', session.device, session.device_kind)
            AND class.instruction_set IN ('', session.instruction_set)";
    /// What a claim near the end weighs.
    NEAR_END = concat!("SELECT front.id, front.class_id, front.priority, front.cost, front.memory FROM (
            SELECT id, class_id, priority, ord, cost, memory FROM trial WHERE state = 'ready' AND held = 0
            ORDER BY priority DESC, ord, id LIMIT $5
        ) AS front
        JOIN class ON class.id = front.class_id
        WHERE class.device IN ('', $1, $2) AND class.instruction_set IN ('', $3)
            AND class.data IN ", dialect::texts!("$4"), "
        ORDER BY front.priority DESC, front.ord, front.id");
    MISSING = concat!("WITH RECURSIVE live (id) AS (", live!(), ")
        SELECT DISTINCT class.data FROM live
        JOIN class ON class.id = live.id
        WHERE class.device IN ('', $1, $2) AND class.instruction_set IN ('', $3)
        ORDER BY class.data");
    FIRST = concat!("SELECT id, priority, cost, memory FROM trial
        WHERE class_id = $1 AND state = 'ready' AND held = 0
        ORDER BY priority DESC, ord, id LIMIT $2", dialect::skip_locked!());
    /// Of these trials of one priority, the costliest that nobody is about to take.
    COSTLIEST = concat!("SELECT id, priority, cost, memory FROM trial
        WHERE state = 'ready' AND held = 0 AND id IN ", dialect::ints!("$1"), "
        ORDER BY cost DESC, ord, id LIMIT $2", dialect::skip_locked!());
    /// Only here is an expired lease revoked, and charged.
    LOSE = concat!("UPDATE attempt SET outcome = 'lost', ended_at = $2
        WHERE outcome = 'suspect' AND trial_id IN ", dialect::ints!("$1"));
    TAKE = concat!("UPDATE trial SET state = 'leased', attempt = attempt + 1,
            crashes = crashes + suspect, suspect = 0, session = $2, leased_at = $3
        WHERE state = 'ready' AND id IN ", dialect::ints!("$1"));
    START = concat!("INSERT INTO attempt (trial_id, attempt, session, worker, started_at, outcome)
        SELECT trial.id, trial.attempt, session.id, session.worker, $3, 'active'
        FROM trial JOIN session ON session.id = $2
        WHERE trial.id IN ", dialect::ints!("$1"));
    DETAILS = concat!("SELECT trial.id, trial.identity, trial.attempt, class.pack_key, class.data, spec.params,
            checkpoint.hash AS checkpoint, checkpoint.bytes AS checkpoint_bytes,
            weights.hash AS weights, weights.bytes AS weights_bytes,
            spec.time_limit_ms, spec.checkpoint_ms, spec.checkpoint_epochs,
            CAST(CASE WHEN spec.keep_weights = 1
                OR EXISTS (SELECT 1 FROM trial AS child WHERE child.parent_id = trial.id)
                THEN 1 ELSE 0 END AS BIGINT) AS keep_weights,
            COALESCE((
                SELECT sweep.name FROM sweep_trial AS link JOIN sweep ON sweep.id = link.sweep_id
                WHERE link.trial_id = trial.id
                ORDER BY CASE WHEN sweep.state IN ('cancelled', 'paused') THEN 1 ELSE 0 END, sweep.id
                LIMIT 1
            ), '') AS sweep
        FROM trial
        JOIN class ON class.id = trial.class_id
        JOIN trial_spec AS spec ON spec.trial_id = trial.id
        LEFT JOIN artifact AS checkpoint
            ON checkpoint.trial_id = trial.id AND checkpoint.purpose = 'checkpoint'
        LEFT JOIN artifact AS weights
            ON weights.trial_id = trial.parent_id AND weights.purpose = 'weights'
        WHERE trial.id IN ", dialect::ints!("$1"));
}

/// See [`Store::claim`](super::super::super::Store::claim).
pub(super) async fn claim(conn: &mut Conn, ask: &Ask, now: Timestamp) -> Result<Claim, StoreError> {
    if let Some(grants) = log::recall::<Vec<(i64, i64)>>(conn, ask.request).await? {
        return Ok(Claim {
            claimed: details(conn, &grants).await?,
            missing_data: Vec::new(),
        });
    }
    let closed = || StoreError::SessionClosed(ask.session);
    let id = ask.session.to_string();
    let session = sqlx::query::<Db>(SESSION)
        .bind(&id)
        .fetch_optional(&mut *conn)
        .await?;
    let session = session.ok_or_else(closed)?;
    match row::text(&session, "state")?.as_str() {
        "open" => {}
        // Its next beat brings it back; until then nobody would notice if it died with new trials.
        "expired" => return Ok(Claim::default()),
        _ => return Err(closed()),
    }
    let asker = Asker {
        device: row::text(&session, "device")?,
        kind: row::text(&session, "device_kind")?,
        instruction_set: row::text(&session, "instruction_set")?,
        data: row::list(&ask.data.iter().map(ToString::to_string).collect::<Vec<_>>()),
    };
    let Some(class) = pick(conn, &asker).await? else {
        return Ok(Claim {
            claimed: Vec::new(),
            missing_data: missing(conn, &asker).await?,
        });
    };
    let trials = choose(conn, &asker, class, ask).await?;
    if trials.is_empty() {
        return Ok(Claim::default());
    }
    take(conn, &trials, &id, now).await?;
    let grants: Vec<(i64, i64)> = trials.iter().map(|&trial| (trial, 0)).collect();
    let claimed = details(conn, &grants).await?;
    let grants: Vec<(i64, i64)> = claimed
        .iter()
        .map(|claimed| (claimed.trial.0, claimed.attempt.0))
        .collect();
    log::remember(conn, ask.request, &grants, now).await?;
    Ok(Claim {
        claimed,
        missing_data: Vec::new(),
    })
}

/// What decides which classes fit a worker.
struct Asker {
    device: String,
    kind: String,
    instruction_set: String,
    /// Hashes of its data sets, as a list.
    data: String,
}

impl Asker {
    /// A statement that begins with what the worker is and has.
    fn query<'q>(&'q self, statement: &'static str) -> Query<'q> {
        sqlx::query::<Db>(statement)
            .bind(&self.device)
            .bind(&self.kind)
            .bind(&self.instruction_set)
            .bind(&self.data)
    }
}

/// The class of the most urgent trial that fits.
async fn pick(conn: &mut Conn, asker: &Asker) -> Result<Option<i64>, StoreError> {
    for statement in [FRONT, PICK] {
        let class = asker.query(statement).fetch_optional(&mut *conn).await?;
        if let Some(class) = class {
            return Ok(Some(row::int(&class, "id")?));
        }
    }
    Ok(None)
}

/// Data sets of the trials that fit otherwise.
async fn missing(conn: &mut Conn, asker: &Asker) -> Result<Vec<ContentHash>, StoreError> {
    let missing = sqlx::query::<Db>(MISSING)
        .bind(&asker.device)
        .bind(&asker.kind)
        .bind(&asker.instruction_set)
        .fetch_all(conn)
        .await?;
    missing
        .iter()
        .map(|found| row::digest(found, "data"))
        .collect()
}

/// The trials of a class that one claim takes; others may not take them any more in this moment.
async fn choose(
    conn: &mut Conn,
    asker: &Asker,
    class: i64,
    ask: &Ask,
) -> Result<Vec<i64>, StoreError> {
    let others = sqlx::query::<Db>(SLOTS)
        .bind(class)
        .fetch_one(&mut *conn)
        .await?;
    let slots = row::unsigned(&others, "slots")?;
    let room = Room {
        trials: ask.max_trials,
        memory: ask.memory,
        most: row::unsigned::<u64>(&others, "memory")? <= ask.memory,
    };
    let ready = sweeps::ready(conn).await?;
    if !share::is_near_end(ready, room.trials, slots) {
        let first = sqlx::query::<Db>(FIRST)
            .bind(class)
            .bind(i64::from(room.trials))
            .fetch_all(conn)
            .await?;
        return Ok(share::fitting(&candidates(&first)?, room));
    }
    let front = asker
        .query(NEAR_END)
        .bind(i64::from(share::FRONT_MOST))
        .fetch_all(&mut *conn)
        .await?;
    let all = candidates(&front)?;
    let (trials, work) = share::all_work(all.iter().map(|candidate| candidate.cost), ready);
    let mut alike = Vec::new();
    for (found, candidate) in front.iter().zip(all) {
        if row::int(found, "class_id")? == class {
            alike.push(candidate);
        }
    }
    let costliest = share::costliest_first(alike);
    let room = Room {
        trials: share::share(&costliest, trials, work, slots).min(room.trials),
        ..room
    };
    let wanted = share::fitting(&costliest, room).len();
    let fits = |candidate: &&Candidate| room.most || candidate.memory <= room.memory;
    let ids = costliest
        .iter()
        .filter(fits)
        .map(|candidate| candidate.trial);
    // No more than wanted are locked: others who claim now pass over those, and find the next.
    let locked = sqlx::query::<Db>(COSTLIEST)
        .bind(row::list(&ids.collect::<Vec<_>>()))
        .bind(i64::try_from(wanted).unwrap_or(i64::MAX))
        .fetch_all(conn)
        .await?;
    Ok(share::fitting(&candidates(&locked)?, room))
}

fn candidates(rows: &[Row]) -> Result<Vec<Candidate>, StoreError> {
    let candidate = |found| {
        Ok(Candidate {
            trial: row::int(found, "id")?,
            priority: row::int(found, "priority")?,
            cost: row::real(found, "cost")?,
            memory: row::unsigned(found, "memory")?,
        })
    };
    rows.iter().map(candidate).collect()
}

/// Gives trials to a session: each its next attempt.
async fn take(
    conn: &mut Conn,
    trials: &[i64],
    session: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids = row::list(trials);
    sqlx::query::<Db>(LOSE)
        .bind(&ids)
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
    for statement in [TAKE, START] {
        sqlx::query::<Db>(statement)
            .bind(&ids)
            .bind(session)
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// What the holder of each trial needs, in the same order. Attempt 0 stands for the current one.
async fn details(conn: &mut Conn, grants: &[(i64, i64)]) -> Result<Vec<Claimed>, StoreError> {
    let ids: Vec<i64> = grants.iter().map(|(trial, _)| *trial).collect();
    let rows = sqlx::query::<Db>(DETAILS)
        .bind(row::list(&ids))
        .fetch_all(&mut *conn)
        .await?;
    let mut found = HashMap::new();
    for trial in &rows {
        let claimed = claimed(trial)?;
        found.insert(claimed.trial.0, claimed);
    }
    let claimed = grants.iter().filter_map(|&(trial, attempt)| {
        let mut claimed = found.remove(&trial)?;
        if attempt > 0 {
            claimed.attempt = AttemptNumber(attempt);
        }
        Some(claimed)
    });
    Ok(claimed.collect())
}

fn claimed(trial: &Row) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        trial: TrialId(row::int(trial, "id")?),
        attempt: AttemptNumber(row::int(trial, "attempt")?),
        identity: row::digest(trial, "identity")?,
        pack_key: row::digest(trial, "pack_key")?,
        data: row::digest(trial, "data")?,
        params: row::text(trial, "params")?,
        checkpoint: artifact(trial, "checkpoint", "checkpoint_bytes")?,
        parent_weights: artifact(trial, "weights", "weights_bytes")?,
        time_limit_ms: row::unsigned(trial, "time_limit_ms")?,
        checkpoint_ms: row::unsigned(trial, "checkpoint_ms")?,
        checkpoint_epochs: row::unsigned(trial, "checkpoint_epochs")?,
        keep_weights: row::int(trial, "keep_weights")? == 1,
        sweep: row::text(trial, "sweep")?,
    })
}

fn artifact(trial: &Row, hash: &str, bytes: &str) -> Result<Option<Artifact>, StoreError> {
    let Some(hash) = row::digest_or_none(trial, hash)? else {
        return Ok(None);
    };
    let bytes = row::unsigned(trial, bytes)?;
    Ok(Some(Artifact { hash, bytes }))
}
