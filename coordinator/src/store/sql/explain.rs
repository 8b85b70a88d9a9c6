//! Why a trial is where it is, and which files are still needed.

use descent_spec::id::{AttemptNumber, ContentHash, Timestamp, TrialId};
use descent_spec::state::TrialState;

use super::super::super::{AttemptRow, Explanation, Needs, StoreError, naming};
use super::{Conn, Db, Row, row, statements};

statements! {
    BY_ID = "SELECT id FROM trial WHERE id = $1";
    BY_PREFIX = "SELECT id FROM trial WHERE identity >= $1 AND identity <= $2 ORDER BY identity LIMIT 2";
    TRIAL = "SELECT trial.identity, trial.state, CAST(trial.held AS BIGINT) AS held,
            CAST(trial.suspect AS BIGINT) AS suspect, trial.run_after, trial.priority, trial.ord,
            parent.identity AS parent, parent.state AS parent_state, spec.params,
            class.data, class.device, class.instruction_set,
            CAST(trial.memory AS BIGINT) + CAST(class.data_memory AS BIGINT) AS memory
        FROM trial
        JOIN class ON class.id = trial.class_id
        JOIN trial_spec AS spec ON spec.trial_id = trial.id
        LEFT JOIN trial AS parent ON parent.id = trial.parent_id
        WHERE trial.id = $1";
    AHEAD = "SELECT COUNT(*) AS ahead FROM trial
        WHERE state = 'ready' AND held = 0 AND (priority > $1
            OR (priority = $1 AND (ord < $2 OR (ord = $2 AND id < $3))))";
    ATTEMPTS = "SELECT attempt, worker, started_at, ended_at, outcome, failure, message
        FROM attempt WHERE trial_id = $1 ORDER BY attempt";
    SWEEPS = "SELECT sweep.name, sweep.pause_reason FROM sweep_trial AS link JOIN sweep ON sweep.id = link.sweep_id
        WHERE link.trial_id = $1 ORDER BY sweep.id";
    ARTIFACTS = "SELECT hash FROM artifact
        UNION SELECT weights FROM result WHERE weights IS NOT NULL ORDER BY 1";
}

/// See [`Store::explain`](super::super::super::Store::explain).
pub(super) async fn explain(conn: &mut Conn, name: &str) -> Result<Explanation, StoreError> {
    let id = find(conn, name).await?;
    let trial = sqlx::query::<Db>(TRIAL)
        .bind(id)
        .fetch_one(&mut *conn)
        .await?;
    let state = row::word(&trial, "state", TrialState::from_word)?;
    let ahead = if state == TrialState::Ready {
        let ahead = sqlx::query::<Db>(AHEAD)
            .bind(row::int(&trial, "priority")?)
            .bind(row::int(&trial, "ord")?)
            .bind(id)
            .fetch_one(&mut *conn)
            .await?;
        row::unsigned(&ahead, "ahead")?
    } else {
        0
    };
    let attempts = sqlx::query::<Db>(ATTEMPTS)
        .bind(id)
        .fetch_all(&mut *conn)
        .await?;
    let sweeps = sqlx::query::<Db>(SWEEPS)
        .bind(id)
        .fetch_all(&mut *conn)
        .await?;
    let pauses: Vec<Option<String>> = sweeps
        .iter()
        .map(|sweep| row::text_or_none(sweep, "pause_reason"))
        .collect::<Result<_, _>>()?;
    let parent = match row::digest_or_none(&trial, "parent")? {
        None => None,
        Some(parent) => Some((
            parent,
            row::word(&trial, "parent_state", TrialState::from_word)?,
        )),
    };
    Ok(Explanation {
        trial: TrialId(id),
        identity: row::digest(&trial, "identity")?,
        state,
        held_back: row::int(&trial, "held")? == 1 && !state.is_terminal(),
        suspect: row::int(&trial, "suspect")? == 1,
        run_after: row::int_or_none(&trial, "run_after")?.map(Timestamp),
        parent,
        params: row::text(&trial, "params")?,
        ahead,
        attempts: attempts.iter().map(attempt).collect::<Result<_, _>>()?,
        sweeps: sweeps
            .iter()
            .map(|sweep| row::text(sweep, "name"))
            .collect::<Result<_, _>>()?,
        pauses: pauses.into_iter().flatten().collect(),
        needs: Needs {
            data: row::digest(&trial, "data")?,
            device: row::text(&trial, "device")?,
            instruction_set: row::text(&trial, "instruction_set")?,
            memory: row::unsigned(&trial, "memory")?,
        },
    })
}

fn attempt(found: &Row) -> Result<AttemptRow, StoreError> {
    Ok(AttemptRow {
        attempt: AttemptNumber(row::int(found, "attempt")?),
        worker: row::text(found, "worker")?,
        started_at: Timestamp(row::int(found, "started_at")?),
        ended_at: row::int_or_none(found, "ended_at")?.map(Timestamp),
        outcome: row::text(found, "outcome")?,
        failure: row::text_or_none(found, "failure")?,
        message: row::text_or_none(found, "message")?,
    })
}

/// The row number that a row number, an identity or a unique beginning of one means.
async fn find(conn: &mut Conn, name: &str) -> Result<i64, StoreError> {
    if let Ok(id) = name.parse::<i64>() {
        let found = sqlx::query::<Db>(BY_ID)
            .bind(id)
            .fetch_optional(&mut *conn)
            .await?;
        if found.is_some() {
            return Ok(id);
        }
    }
    let prefix = naming::identity_prefix(name)?;
    // In any collation, `g` comes after every hexadecimal digit.
    let found = sqlx::query::<Db>(BY_PREFIX)
        .bind(&prefix)
        .bind(format!("{prefix}g"))
        .fetch_all(conn)
        .await?;
    match found.as_slice() {
        [] => Err(naming::no_trial(name)),
        [one] => row::int(one, "id"),
        _ => Err(naming::ambiguous(name)),
    }
}

/// See [`Store::artifacts_in_use`](super::super::super::Store::artifacts_in_use).
pub(super) async fn artifacts_in_use(conn: &mut Conn) -> Result<Vec<ContentHash>, StoreError> {
    let rows = sqlx::query::<Db>(ARTIFACTS).fetch_all(conn).await?;
    rows.iter()
        .map(|found| row::digest(found, "hash"))
        .collect()
}
