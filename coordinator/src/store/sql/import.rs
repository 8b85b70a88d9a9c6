//! Results from another database, taken in by the trials' names.

use std::collections::HashMap;

use descent_spec::details::Details;
use descent_spec::id::Timestamp;
use descent_spec::outcome::{Measurement, StopReason, TrialResult};

use super::super::super::StoreError;
use super::super::super::import::{Imported, ImportedResult, same};
use super::settle::settle;
use super::{Conn, Db, Row, dialect, record, row, statements};

statements! {
    FIND = concat!("SELECT trial.id, trial.identity, trial.session, trial.attempt, spec.params
        FROM trial JOIN trial_spec AS spec ON spec.trial_id = trial.id
        WHERE trial.identity IN ", dialect::texts!("$1"), " ORDER BY trial.id", dialect::for_update!("trial"));
    RESULT = "SELECT stop, epoch, train_loss, train_error, validation_loss, validation_error, test_loss, test_error,
            dead_units, coefficient_norm, diverged, parameters, weights, device, instruction_set, train_ms, details
        FROM result WHERE trial_id = $1";
    WAITING = "SELECT COUNT(*) AS waiting FROM trial
        WHERE parent_id = $1 AND state IN ('blocked', 'ready', 'leased', 'delayed')";
    TAKE = "UPDATE trial SET state = 'succeeded', run_after = NULL, suspect = 0, session = NULL, leased_at = NULL
        WHERE id = $1";
    MEASURED = "SELECT COUNT(*) AS epochs FROM (SELECT 1 AS one FROM metric WHERE trial_id = $1 LIMIT 1) AS first";
    DROP_METRICS = "DELETE FROM metric WHERE trial_id = $1";
    DROP_CHECKPOINT = "DELETE FROM artifact WHERE trial_id = $1 AND purpose = 'checkpoint'";
    NAME_WEIGHTS = "INSERT INTO artifact (trial_id, purpose, hash, bytes, attempt, epoch, step, committed_at)
        VALUES ($1, 'weights', $2, 0, $3, $4, 0, $5)
        ON CONFLICT (trial_id, purpose) DO UPDATE SET hash = excluded.hash, bytes = excluded.bytes";
}

/// See [`Store::import_results`](super::super::super::Store::import_results).
pub(super) async fn import_results(
    conn: &mut Conn,
    results: &[ImportedResult],
    now: Timestamp,
) -> Result<Vec<Imported>, StoreError> {
    let identities: Vec<String> = results.iter().map(|r| r.identity.to_string()).collect();
    let rows = sqlx::query::<Db>(FIND)
        .bind(row::list(&identities))
        .fetch_all(&mut *conn)
        .await?;
    let mut found = HashMap::new();
    for trial in rows {
        found.insert(row::text(&trial, "identity")?, trial);
    }
    let mut outcomes = Vec::with_capacity(results.len());
    for (result, identity) in results.iter().zip(&identities) {
        outcomes.push(match found.get(identity) {
            None => Imported::Unknown,
            Some(trial) => import_one(conn, trial, result, now).await?,
        });
    }
    settle(conn, now).await?;
    Ok(outcomes)
}

async fn import_one(
    conn: &mut Conn,
    trial: &Row,
    imported: &ImportedResult,
    now: Timestamp,
) -> Result<Imported, StoreError> {
    let id = row::int(trial, "id")?;
    // No attempt here brought it.
    let attempt = 0;
    let result = &imported.result;
    // Read again, not from `trial`: the same identity may come twice in one call.
    if let Some(ours) = sqlx::query::<Db>(RESULT)
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?
    {
        if !same(&read(&ours)?, result) {
            return Ok(Imported::Different);
        }
        // It may have been imported before without them.
        let measured = sqlx::query::<Db>(MEASURED)
            .bind(id)
            .fetch_one(&mut *conn)
            .await?;
        if row::int(&measured, "epochs")? == 0 {
            record::insert_measurements(conn, (id, attempt), &imported.measurements).await?;
        }
        return Ok(Imported::Same);
    }
    // Leased, or its lease ran out and nobody has taken it since: the worker may still come back with a result.
    if row::text_or_none(trial, "session")?.is_some() {
        return Ok(Imported::Leased);
    }
    let waiting = sqlx::query::<Db>(WAITING)
        .bind(id)
        .fetch_one(&mut *conn)
        .await?;
    if row::int(&waiting, "waiting")? > 0 {
        return Ok(Imported::Needed);
    }
    record::insert_results(conn, &[(id, attempt, result)], now).await?;
    for statement in [TAKE, DROP_METRICS, DROP_CHECKPOINT] {
        sqlx::query::<Db>(statement)
            .bind(id)
            .execute(&mut *conn)
            .await?;
    }
    record::insert_measurements(conn, (id, attempt), &imported.measurements).await?;
    // A network that is added later and starts from these weights must fail for want of them, not start from none.
    if let Some(weights) = result.weights.filter(|_| reuses(trial)) {
        sqlx::query::<Db>(NAME_WEIGHTS)
            .bind(id)
            .bind(weights.to_string())
            .bind(attempt)
            .bind(i64::from(result.last.epoch))
            .bind(now.0)
            .execute(&mut *conn)
            .await?;
    }
    Ok(Imported::Added)
}

/// Whether networks of this trial's kind start from one another's weights.
fn reuses(trial: &Row) -> bool {
    row::text(trial, "params").is_ok_and(|params| params.contains("\"train.weight_reuse\""))
}

fn read(found: &Row) -> Result<TrialResult, StoreError> {
    use sqlx::Row as _;
    let number = |column: &str| -> Result<Option<f64>, StoreError> { Ok(found.try_get(column)?) };
    let dead_units = row::int_or_none(found, "dead_units")?;
    Ok(TrialResult {
        stop: row::word(found, "stop", StopReason::from_word)?,
        last: Measurement {
            epoch: row::unsigned(found, "epoch")?,
            train_loss: number("train_loss")?,
            train_error: number("train_error")?,
            validation_loss: number("validation_loss")?,
            validation_error: number("validation_error")?,
            test_loss: number("test_loss")?,
            test_error: number("test_error")?,
            dead_units: dead_units.and_then(|units| u32::try_from(units).ok()),
        },
        diverged: row::int(found, "diverged")? != 0,
        coefficient_norm: number("coefficient_norm")?,
        parameters: row::unsigned(found, "parameters")?,
        details: row::json_or_none(found, "details", Details::from_json)?,
        weights: row::digest_or_none(found, "weights")?,
        device: row::text(found, "device")?,
        instruction_set: row::text(found, "instruction_set")?,
        train_ms: row::unsigned(found, "train_ms")?,
    })
}
