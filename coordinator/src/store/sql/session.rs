//! Sessions: a worker process's life, and what it says of the trials that it holds.

use std::collections::{HashMap, HashSet};

use descent_spec::id::{ContentHash, SessionId, Timestamp};
use descent_spec::state::TrialState;

use super::super::super::{Directive, Held, NewSession, StoreError};
use super::{Conn, Db, Row, dialect, row, statements};
use crate::core::lease;

statements! {
    OPEN = "INSERT INTO session (id, worker, version, device, device_kind, instruction_set, state, opened_at, lease_until, slots, memory, data)
        VALUES ($1, $2, $3, $4, $5, $6, 'open', $7, $8, $9, $10, $11)
        ON CONFLICT (id) DO UPDATE SET state = 'open', lease_until = excluded.lease_until,
            slots = excluded.slots, memory = excluded.memory, data = excluded.data
        WHERE session.state <> 'closed'";
    BEAT = "UPDATE session SET state = 'open', lease_until = $2 WHERE id = $1 AND state <> 'closed'";
    /// What the session says that it holds, and what it holds.
    HELD = concat!("SELECT trial.id, trial.state, trial.attempt, trial.session, trial.leased_at,
            attempt.session AS attempt_session, CAST(trial.suspect AS BIGINT) AS suspect,
            CAST(trial.held AS BIGINT) AS held
        FROM trial
        LEFT JOIN attempt ON attempt.trial_id = trial.id AND attempt.attempt = trial.attempt
        WHERE trial.id IN (
            SELECT id FROM trial WHERE session = $2 UNION ", dialect::listed!("$1"), ")");
    /// Those of the suspects that nobody has claimed since they were looked at. Locked, so that nobody does before they are leased.
    STILL_HELD = concat!("SELECT id, attempt FROM trial WHERE session = $1 AND suspect = 1 AND id IN ", dialect::ints!("$2"),
        " ORDER BY id", dialect::for_update!("trial"));
    RESUME = concat!("UPDATE trial SET state = 'leased', suspect = 0
        WHERE session = $1 AND suspect = 1 AND id IN ", dialect::ints!("$2"));
    RESUME_ATTEMPTS = concat!("UPDATE attempt SET outcome = 'active'
        WHERE session = $1 AND outcome = 'suspect' AND trial_id IN ", dialect::ints!("$2"));
    LONG_HELD = "SELECT id FROM trial WHERE session = $1 AND leased_at <= $2 ORDER BY id";
    LOCK_HELD = concat!("SELECT id FROM trial WHERE session = $1 AND id IN ", dialect::ints!("$2"),
        " ORDER BY id", dialect::for_update!("trial"));
    RELEASE_ATTEMPTS = concat!("UPDATE attempt SET outcome = 'released', ended_at = $3
        WHERE session = $1 AND ended_at IS NULL AND trial_id IN ", dialect::ints!("$2"));
    RELEASE = concat!("UPDATE trial
        SET state = 'ready', suspect = 0, session = NULL, leased_at = NULL, releases = releases + 1
        WHERE session = $1 AND id IN ", dialect::ints!("$2"));
    CLOSE = "UPDATE session SET state = 'closed' WHERE id = $1";
    /// A worker that was stopped in order comes back with a clean record: somebody has looked at it.
    ABSOLVE = "DELETE FROM quarantine WHERE worker IN (SELECT worker FROM session WHERE id = $1 AND state <> 'closed')";
}

/// Data sets as sessions list them.
pub(super) fn hashes(data: &[ContentHash]) -> String {
    let mut data: Vec<String> = data.iter().map(ToString::to_string).collect();
    data.sort_unstable();
    row::list(&data)
}

/// See [`Store::open_session`](super::super::super::Store::open_session).
pub(super) async fn open(
    conn: &mut Conn,
    session: &NewSession,
    now: Timestamp,
) -> Result<(), StoreError> {
    let kind = session.device.split(':').next().unwrap_or_default();
    let opened = sqlx::query::<Db>(OPEN)
        .bind(session.id.to_string())
        .bind(&session.worker)
        .bind(&session.version)
        .bind(&session.device)
        .bind(kind)
        .bind(&session.instruction_set)
        .bind(now.0)
        .bind(session.lease_until.0)
        .bind(i64::from(session.slots))
        .bind(row::signed(session.memory))
        .bind(hashes(&session.data))
        .execute(conn)
        .await?;
    match opened.rows_affected() {
        0 => Err(StoreError::SessionClosed(session.id)),
        _ => Ok(()),
    }
}

/// See [`Store::heartbeat`](super::super::super::Store::heartbeat).
pub(super) async fn heartbeat(
    conn: &mut Conn,
    session: SessionId,
    held: &[Held],
    lease_until: Timestamp,
    grace_ms: i64,
    now: Timestamp,
) -> Result<Vec<Directive>, StoreError> {
    let beat = sqlx::query::<Db>(BEAT)
        .bind(session.to_string())
        .bind(lease_until.0)
        .execute(&mut *conn)
        .await?;
    if beat.rows_affected() == 0 {
        return Err(StoreError::SessionClosed(session));
    }
    let rows = held_rows(conn, session, held).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for trial in &rows {
        found.insert(row::int(trial, "id")?, trial);
    }
    let directives = directives(conn, session, held, &found).await?;
    let listed: HashSet<i64> = held.iter().map(|held| held.trial.0).collect();
    let mut lost = Vec::new();
    for (&id, trial) in &found {
        let leased_at = row::int_or_none(trial, "leased_at")?.map(Timestamp);
        let was_lost = leased_at.is_some_and(|at| lease::was_lost(at, grace_ms, now));
        let holder: Option<SessionId> = row::digest_or_none(trial, "session")?;
        if was_lost && holder == Some(session) && !listed.contains(&id) {
            lost.push(id);
        }
    }
    lost.sort_unstable();
    hand_back(conn, session, &lost, now).await?;
    Ok(directives)
}

async fn held_rows(
    conn: &mut Conn,
    session: SessionId,
    held: &[Held],
) -> Result<Vec<Row>, StoreError> {
    let listed: Vec<i64> = held.iter().map(|held| held.trial.0).collect();
    let held = sqlx::query::<Db>(HELD)
        .bind(row::list(&listed))
        .bind(session.to_string());
    Ok(held.fetch_all(conn).await?)
}

/// What to do with each trial listed; suspect ones are leased again, unless somebody else claims them in this moment.
async fn directives(
    conn: &mut Conn,
    session: SessionId,
    held: &[Held],
    found: &HashMap<i64, &Row>,
) -> Result<Vec<Directive>, StoreError> {
    let mut directives = Vec::with_capacity(held.len());
    let mut suspects = Vec::new();
    for held in held {
        let Some(trial) = found.get(&held.trial.0) else {
            directives.push(Directive::Cancel);
            continue;
        };
        let (directive, suspect) = directive(trial, session, held)?;
        if suspect {
            suspects.push((directives.len(), held));
        }
        directives.push(directive);
    }
    if !suspects.is_empty() {
        let listed: Vec<i64> = suspects.iter().map(|(_, held)| held.trial.0).collect();
        let resumed = resume(conn, session, &listed).await?;
        for (at, held) in suspects {
            if resumed.get(&held.trial.0) != Some(&held.attempt.0) {
                directives[at] = Directive::Fenced;
            }
        }
    }
    Ok(directives)
}

/// Leases suspects again that are still the session's; answers which, with their attempts.
async fn resume(
    conn: &mut Conn,
    session: SessionId,
    suspects: &[i64],
) -> Result<HashMap<i64, i64>, StoreError> {
    let session = session.to_string();
    let still = sqlx::query::<Db>(STILL_HELD)
        .bind(&session)
        .bind(row::list(suspects))
        .fetch_all(&mut *conn)
        .await?;
    let attempts: HashMap<i64, i64> = still
        .iter()
        .map(|trial| Ok((row::int(trial, "id")?, row::int(trial, "attempt")?)))
        .collect::<Result<_, StoreError>>()?;
    let ids: Vec<i64> = attempts.keys().copied().collect();
    for statement in [RESUME, RESUME_ATTEMPTS] {
        sqlx::query::<Db>(statement)
            .bind(&session)
            .bind(row::list(&ids))
            .execute(&mut *conn)
            .await?;
    }
    Ok(attempts)
}

/// What to do with one trial, and whether it is suspect.
fn directive(
    trial: &Row,
    session: SessionId,
    held: &Held,
) -> Result<(Directive, bool), StoreError> {
    let current = row::int(trial, "attempt")? == held.attempt.0;
    let holder: Option<SessionId> = row::digest_or_none(trial, "session")?;
    let attempted_by: Option<SessionId> = row::digest_or_none(trial, "attempt_session")?;
    let state = row::word(trial, "state", TrialState::from_word)?;
    Ok(if current && holder == Some(session) {
        let paused = row::int(trial, "held")? == 1;
        let directive = if paused {
            Directive::Release
        } else {
            Directive::Continue
        };
        (directive, row::int(trial, "suspect")? == 1)
    } else if current && attempted_by == Some(session) && state == TrialState::Cancelled {
        (Directive::Cancel, false)
    } else {
        (Directive::Fenced, false)
    })
}

/// Takes trials back from a session without charge.
pub(super) async fn hand_back(
    conn: &mut Conn,
    session: SessionId,
    trials: &[i64],
    now: Timestamp,
) -> Result<(), StoreError> {
    if trials.is_empty() {
        return Ok(());
    }
    let ids = row::list(trials);
    let session = session.to_string();
    sqlx::query::<Db>(LOCK_HELD)
        .bind(&session)
        .bind(&ids)
        .fetch_all(&mut *conn)
        .await?;
    sqlx::query::<Db>(RELEASE_ATTEMPTS)
        .bind(&session)
        .bind(&ids)
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
    sqlx::query::<Db>(RELEASE)
        .bind(&session)
        .bind(&ids)
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// See [`Store::close_session`](super::super::super::Store::close_session).
pub(super) async fn close(
    conn: &mut Conn,
    session: SessionId,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Closed first: a claim of this session that is under way ends before, and what it took is handed back with the rest; the next
    // one finds the session closed. What only an open one may do comes before that.
    for statement in [ABSOLVE, CLOSE] {
        sqlx::query::<Db>(statement)
            .bind(session.to_string())
            .execute(&mut *conn)
            .await?;
    }
    let held = sqlx::query::<Db>(LONG_HELD)
        .bind(session.to_string())
        .bind(i64::MAX)
        .fetch_all(&mut *conn)
        .await?;
    let held: Vec<i64> = held
        .iter()
        .map(|found| row::int(found, "id"))
        .collect::<Result<_, _>>()?;
    hand_back(conn, session, &held, now).await
}
