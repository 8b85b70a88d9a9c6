//! Claims: trials chosen, revoked from whoever lost them, and given to a session.

use std::collections::HashMap;

use descent_spec::id::{AttemptNumber, Timestamp, TrialId};

use super::super::super::{Artifact, Ask, Claim, Claimed, StoreError};
use super::choose::{Asker, Chosen, choose};
use super::{Conn, Db, Row, dialect, log, revoke, row, statements};

statements! {
    /// Locked: a session that closes meanwhile waits, and then finds what was claimed for it.
    SESSION = concat!("SELECT session.state, session.device, session.device_kind, session.instruction_set, session.data,
            CAST(session.draining AS BIGINT) AS draining, COALESCE(quarantine.until_at, 0) AS quarantined_until
        FROM session LEFT JOIN quarantine ON quarantine.worker = session.worker
        WHERE session.id = $1", dialect::for_update!("session"));
    TELL_DATA = "UPDATE session SET data = $2 WHERE id = $1";
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

/// How a claim is told from other calls.
const CALL: &str = "claim";

/// See [`Store::claim`](super::super::super::Store::claim).
pub(super) async fn claim(conn: &mut Conn, ask: &Ask, now: Timestamp) -> Result<Claim, StoreError> {
    if let Some(grants) = log::recall::<Vec<(i64, i64)>>(conn, ask.request, CALL).await? {
        return Ok(Claim {
            claimed: details(conn, &grants).await?,
            ..Claim::default()
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
    // It is told so by its next beat.
    if row::int(&session, "draining")? == 1 || row::int(&session, "quarantined_until")? > now.0 {
        return Ok(Claim::default());
    }
    let asker = Asker::new(&session, ask)?;
    // What others share out counts on who has which data, and a session may get some in its life.
    if row::text_or_none(&session, "data")?.as_ref() != Some(&asker.data) {
        sqlx::query::<Db>(TELL_DATA)
            .bind(&id)
            .bind(&asker.data)
            .execute(&mut *conn)
            .await?;
    }
    let trials = match choose(conn, &asker, ask, now).await? {
        Chosen::Trials(trials) => trials,
        Chosen::Missing(missing_data) => {
            return Ok(Claim {
                missing_data,
                ..Claim::default()
            });
        }
    };
    let (trials, lost) = revoke::revoke(conn, trials, now).await?;
    if trials.is_empty() {
        return Ok(Claim {
            lost,
            ..Claim::default()
        });
    }
    take(conn, &trials, &id, now).await?;
    let grants: Vec<(i64, i64)> = trials.iter().map(|&trial| (trial, 0)).collect();
    let claimed = details(conn, &grants).await?;
    let grants: Vec<(i64, i64)> = claimed
        .iter()
        .map(|claimed| (claimed.trial.0, claimed.attempt.0))
        .collect();
    log::remember(conn, ask.request, CALL, &grants, now).await?;
    Ok(Claim {
        claimed,
        lost,
        ..Claim::default()
    })
}

/// Gives trials to a session: each its next attempt.
async fn take(
    conn: &mut Conn,
    trials: &[i64],
    session: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids = row::list(trials);
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
