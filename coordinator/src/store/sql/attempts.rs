//! Reports about attempts: measurements, files, results, failures, hand-backs. Each passes the fence first.

use std::collections::{HashMap, HashSet};

use descent_spec::id::{SessionId, Timestamp};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use descent_spec::state::TrialState;

use super::super::super::{AfterFailure, Artifact, Fence, Purpose, StoreError, Verdict};
use super::settle::{finish, settle};
use super::{Conn, Db, Row, alike, dialect, record, row, session, statements};

statements! {
    /// `session` is there only while the trial is leased or suspect, so comparing it is comparing the state.
    GUARD = concat!("SELECT id, attempt, session FROM trial WHERE id IN ", dialect::ints!("$1"),
        " ORDER BY id", dialect::for_update!("trial"));
    ENDED = "SELECT outcome, metric_seq FROM attempt WHERE trial_id = $1 AND attempt = $2 AND session = $3";
    SEQ = "UPDATE attempt SET metric_seq = $3 WHERE trial_id = $1 AND attempt = $2";
    COMMIT = "INSERT INTO artifact (trial_id, purpose, hash, bytes, attempt, epoch, step, committed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (trial_id, purpose) DO UPDATE SET hash = excluded.hash, bytes = excluded.bytes,
            attempt = excluded.attempt, epoch = excluded.epoch, step = excluded.step,
            committed_at = excluded.committed_at";
    SUCCEED_ATTEMPTS = concat!("UPDATE attempt SET outcome = 'succeeded', ended_at = $2
        WHERE ended_at IS NULL AND trial_id IN ", dialect::ints!("$1"));
    SUCCEED = concat!("UPDATE trial
        SET state = 'succeeded', suspect = 0, session = NULL, leased_at = NULL
        WHERE id IN ", dialect::ints!("$1"));
    UNBLOCK = concat!("UPDATE trial SET state = 'ready'
        WHERE state = 'blocked' AND parent_id IN ", dialect::ints!("$1"));
    /// A finished trial goes on from nowhere.
    DROP_CHECKPOINTS = concat!("DELETE FROM artifact
        WHERE purpose = 'checkpoint' AND trial_id IN ", dialect::ints!("$1"));
    /// What an earlier attempt measured later than this one ended is no part of the result.
    DROP_LATER_METRICS = concat!("DELETE FROM metric
        WHERE trial_id IN ", dialect::ints!("$1"), " AND EXISTS (
            SELECT 1 FROM result
            WHERE result.trial_id = metric.trial_id AND result.epoch < metric.epoch
                AND result.attempt <> metric.attempt
        )");
    BUDGET = "SELECT trial.attempt, trial.session, trial.failures, spec.max_failures
        FROM trial JOIN trial_spec AS spec ON spec.trial_id = trial.id WHERE trial.id = $1";
    FAIL_ATTEMPT = "UPDATE attempt SET outcome = 'failed', ended_at = $3, failure = $4, message = $5
        WHERE trial_id = $1 AND attempt = $2";
    FAIL = "UPDATE trial SET state = $2, run_after = $3, failures = failures + $4,
            suspect = 0, session = NULL, leased_at = NULL
        WHERE id = $1";
    FIRST_FAILURE = "UPDATE sweep SET first_failure = $2
        WHERE first_failure IS NULL
            AND id IN (SELECT sweep_id FROM sweep_trial WHERE trial_id = $1)";
    SKIP_BELOW = concat!("WITH RECURSIVE below (id) AS (
            SELECT id FROM trial WHERE state = 'blocked' AND parent_id IN ", dialect::ints!("$1"), "
            UNION
            SELECT child.id FROM trial AS child JOIN below ON child.parent_id = below.id
            WHERE child.state = 'blocked'
        )
        UPDATE trial SET state = 'skipped' WHERE id IN (SELECT id FROM below)");
    STATE = "SELECT state FROM trial WHERE id = $1";
}

/// Gives up all that waits for these trials.
pub(super) async fn skip_below(conn: &mut Conn, trials: &[i64]) -> Result<(), StoreError> {
    sqlx::query::<Db>(SKIP_BELOW)
        .bind(row::list(trials))
        .execute(conn)
        .await?;
    Ok(())
}

/// Which of these fences hold, with their trials locked until the transaction ends.
async fn guard(conn: &mut Conn, fences: &[Fence]) -> Result<Vec<bool>, StoreError> {
    let ids: Vec<i64> = fences.iter().map(|fence| fence.trial.0).collect();
    let rows = sqlx::query::<Db>(GUARD)
        .bind(row::list(&ids))
        .fetch_all(conn)
        .await?;
    let mut holders = HashMap::new();
    for trial in &rows {
        holders.insert(row::int(trial, "id")?, holder(trial)?);
    }
    let holds = |fence: &Fence| {
        let holder = holders.get(&fence.trial.0);
        holder == Some(&Some((fence.session, fence.attempt.0)))
    };
    Ok(fences.iter().map(holds).collect())
}

/// Who has the right to write about a trial, if anybody has.
fn holder(trial: &Row) -> Result<Option<(SessionId, i64)>, StoreError> {
    let session: Option<SessionId> = row::digest_or_none(trial, "session")?;
    let attempt = row::int(trial, "attempt")?;
    Ok(session.map(|session| (session, attempt)))
}

async fn guard_one(conn: &mut Conn, fence: Fence) -> Result<bool, StoreError> {
    Ok(guard(conn, &[fence]).await? == [true])
}

/// How the attempt that a fence names ended, and its last chunk of metrics. `None`: there was no such attempt.
async fn ended(conn: &mut Conn, fence: Fence) -> Result<Option<(String, u64)>, StoreError> {
    let attempt = sqlx::query::<Db>(ENDED)
        .bind(fence.trial.0)
        .bind(fence.attempt.0)
        .bind(fence.session.to_string())
        .fetch_optional(conn)
        .await?;
    let Some(attempt) = attempt else {
        return Ok(None);
    };
    Ok(Some((
        row::text(&attempt, "outcome")?,
        row::unsigned(&attempt, "metric_seq")?,
    )))
}

/// Whether the attempt that a fence names ended so.
async fn ended_as(conn: &mut Conn, fence: Fence, outcome: &str) -> Result<Verdict, StoreError> {
    let ended = ended(conn, fence).await?;
    let same = ended.is_some_and(|(found, _)| found == outcome);
    Ok(if same {
        Verdict::Accepted
    } else {
        Verdict::Fenced
    })
}

/// See [`Store::append_metrics`](super::super::super::Store::append_metrics).
pub(super) async fn append_metrics(
    conn: &mut Conn,
    fence: Fence,
    seq: u64,
    measurements: &[Measurement],
) -> Result<(Verdict, u64), StoreError> {
    let holds = guard_one(conn, fence).await?;
    let Some((outcome, last)) = ended(conn, fence).await? else {
        return Ok((Verdict::Fenced, 0));
    };
    if !holds {
        let replayed = outcome == "succeeded" && seq <= last;
        return Ok((
            if replayed {
                Verdict::Accepted
            } else {
                Verdict::Fenced
            },
            last,
        ));
    }
    if seq <= last {
        return Ok((Verdict::Accepted, last));
    }
    if seq != last + 1 {
        return Err(StoreError::MetricGap { last, found: seq });
    }
    sqlx::query::<Db>(SEQ)
        .bind(fence.trial.0)
        .bind(fence.attempt.0)
        .bind(row::signed(seq))
        .execute(&mut *conn)
        .await?;
    record::insert_measurements(conn, (fence.trial.0, fence.attempt.0), measurements).await?;
    Ok((Verdict::Accepted, seq))
}

/// See [`Store::commit_artifact`](super::super::super::Store::commit_artifact).
pub(super) async fn commit_artifact(
    conn: &mut Conn,
    fence: Fence,
    purpose: Purpose,
    artifact: Artifact,
    (epoch, step): (u32, u64),
    now: Timestamp,
) -> Result<Verdict, StoreError> {
    if !guard_one(conn, fence).await? {
        return Ok(Verdict::Fenced);
    }
    let purpose = match purpose {
        Purpose::Checkpoint => "checkpoint",
        Purpose::Weights => "weights",
    };
    sqlx::query::<Db>(COMMIT)
        .bind(fence.trial.0)
        .bind(purpose)
        .bind(artifact.hash.to_string())
        .bind(row::signed(artifact.bytes))
        .bind(fence.attempt.0)
        .bind(i64::from(epoch))
        .bind(row::signed(step))
        .bind(now.0)
        .execute(conn)
        .await?;
    Ok(Verdict::Accepted)
}

/// See [`Store::complete`](super::super::super::Store::complete).
pub(super) async fn complete(
    conn: &mut Conn,
    completions: &[(Fence, TrialResult)],
    now: Timestamp,
) -> Result<Vec<Verdict>, StoreError> {
    let fences: Vec<Fence> = completions.iter().map(|(fence, _)| *fence).collect();
    let holds = guard(conn, &fences).await?;
    let mut verdicts = Vec::with_capacity(completions.len());
    let mut done: Vec<i64> = Vec::new();
    let mut results: Vec<(i64, i64, &TrialResult)> = Vec::new();
    let mut seen = HashSet::new();
    for ((fence, result), holds) in completions.iter().zip(holds) {
        verdicts.push(if holds {
            // The same fence may come twice in one call.
            if seen.insert(fence.trial) {
                done.push(fence.trial.0);
                results.push((fence.trial.0, fence.attempt.0, result));
            }
            Verdict::Accepted
        } else {
            ended_as(conn, *fence, "succeeded").await?
        });
    }
    if done.is_empty() {
        return Ok(verdicts);
    }
    record::insert_results(conn, &results, now).await?;
    let ids = row::list(&done);
    sqlx::query::<Db>(SUCCEED_ATTEMPTS)
        .bind(&ids)
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
    for statement in [SUCCEED, UNBLOCK, DROP_CHECKPOINTS] {
        sqlx::query::<Db>(statement)
            .bind(&ids)
            .execute(&mut *conn)
            .await?;
    }
    if results.iter().any(|(_, attempt, _)| *attempt > 1) {
        sqlx::query::<Db>(DROP_LATER_METRICS)
            .bind(&ids)
            .execute(&mut *conn)
            .await?;
    }
    finish(conn, now).await?;
    Ok(verdicts)
}

/// See [`Store::budget`](super::super::super::Store::budget).
pub(super) async fn budget(
    conn: &mut Conn,
    fence: Fence,
) -> Result<Option<(u32, u32)>, StoreError> {
    let trial = sqlx::query::<Db>(BUDGET)
        .bind(fence.trial.0)
        .fetch_optional(conn)
        .await?;
    let Some(trial) = trial else { return Ok(None) };
    if holder(&trial)? != Some((fence.session, fence.attempt.0)) {
        return Ok(None);
    }
    Ok(Some((
        row::unsigned(&trial, "failures")?,
        row::unsigned(&trial, "max_failures")?,
    )))
}

/// See [`Store::fail`](super::super::super::Store::fail).
pub(super) async fn fail(
    conn: &mut Conn,
    fence: Fence,
    failure: &Failure,
    after: AfterFailure,
    now: Timestamp,
) -> Result<Option<TrialState>, StoreError> {
    if !guard_one(conn, fence).await? {
        return match ended_as(conn, fence, "failed").await? {
            Verdict::Fenced => Ok(None),
            Verdict::Accepted => {
                let trial = sqlx::query::<Db>(STATE)
                    .bind(fence.trial.0)
                    .fetch_one(conn)
                    .await?;
                row::word(&trial, "state", TrialState::from_word).map(Some)
            }
        };
    }
    let (state, run_after) = match after {
        AfterFailure::Retry { at } if at <= now => (TrialState::Ready, None),
        AfterFailure::Retry { at } => (TrialState::Delayed, Some(at.0)),
        AfterFailure::GiveUp => (TrialState::Failed, None),
        AfterFailure::Pardon => (TrialState::Ready, None),
    };
    let charge = i64::from(after != AfterFailure::Pardon);
    sqlx::query::<Db>(FAIL_ATTEMPT)
        .bind(fence.trial.0)
        .bind(fence.attempt.0)
        .bind(now.0)
        .bind(failure.kind.word())
        .bind(&failure.message)
        .execute(&mut *conn)
        .await?;
    sqlx::query::<Db>(FAIL)
        .bind(fence.trial.0)
        .bind(state.word())
        .bind(run_after)
        .bind(charge)
        .execute(&mut *conn)
        .await?;
    sqlx::query::<Db>(FIRST_FAILURE)
        .bind(fence.trial.0)
        .bind(&failure.message)
        .execute(&mut *conn)
        .await?;
    if state == TrialState::Failed {
        skip_below(conn, &[fence.trial.0]).await?;
    }
    if after != AfterFailure::Pardon {
        alike::count(conn, fence.trial, failure).await?;
    }
    if state == TrialState::Failed {
        settle(conn, now).await?;
    }
    Ok(Some(state))
}

/// See [`Store::release`](super::super::super::Store::release).
pub(super) async fn release(
    conn: &mut Conn,
    fences: &[Fence],
    now: Timestamp,
) -> Result<Vec<Verdict>, StoreError> {
    let holds = guard(conn, fences).await?;
    let mut verdicts = Vec::with_capacity(fences.len());
    let mut released: HashMap<SessionId, Vec<i64>> = HashMap::new();
    for (fence, holds) in fences.iter().zip(holds) {
        if holds {
            released
                .entry(fence.session)
                .or_default()
                .push(fence.trial.0);
            verdicts.push(Verdict::Accepted);
        } else {
            verdicts.push(ended_as(conn, *fence, "released").await?);
        }
    }
    for (holder, trials) in released {
        session::hand_back(conn, holder, &trials, now).await?;
    }
    Ok(verdicts)
}
