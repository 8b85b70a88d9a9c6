//! What attempts leave: measurements and results, many rows in a statement.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use descent_spec::details::Details;
use descent_spec::id::Timestamp;
use descent_spec::outcome::{Measurement, TrialResult};

use super::super::super::{StoreError, number};
use super::batch::Batch;
use super::{Conn, Db, row};

/// Measurements; one of an epoch that an earlier attempt came by replaces that one's.
static MEASURE: LazyLock<Batch> = LazyLock::new(|| {
    Batch::new(
        "INSERT INTO metric (trial_id, epoch, attempt, train_loss, train_error,
            validation_loss, validation_error, test_loss, test_error, dead_units)",
        10,
        "ON CONFLICT (trial_id, epoch) DO UPDATE SET attempt = excluded.attempt,
            train_loss = excluded.train_loss, train_error = excluded.train_error,
            validation_loss = excluded.validation_loss, validation_error = excluded.validation_error,
            test_loss = excluded.test_loss, test_error = excluded.test_error,
            dead_units = excluded.dead_units",
    )
});

/// Results; the primary key refuses a second one of a trial.
static RESULT: LazyLock<Batch> = LazyLock::new(|| {
    Batch::new(
        "INSERT INTO result (trial_id, attempt, stop, epoch, train_loss, train_error,
            validation_loss, validation_error, test_loss, test_error, dead_units, coefficient_norm,
            diverged, parameters, weights, device, instruction_set, train_ms, finished_at, details)",
        20,
        "",
    )
});

/// The batches' statements, for the test that has all described.
#[cfg(test)]
pub(super) fn batches() -> impl Iterator<Item = (&'static str, &'static str)> {
    let measure = MEASURE.all().map(|sql| ("MEASURE", sql));
    measure.chain(RESULT.all().map(|sql| ("RESULT", sql)))
}

/// Keeps what an attempt of a trial measured; its fence holds.
pub(super) async fn insert_measurements(
    conn: &mut Conn,
    (trial, attempt): (i64, i64),
    measurements: &[Measurement],
) -> Result<(), StoreError> {
    // A statement may touch a row once only: of two measurements of one epoch the later one counts.
    let epochs: BTreeMap<u32, Measurement> = measurements
        .iter()
        .map(|measurement| (measurement.epoch, number::finite(measurement)))
        .collect();
    let rows: Vec<Measurement> = epochs.into_values().collect();
    for (statement, rows) in MEASURE.cut(&rows) {
        let mut query = sqlx::query::<Db>(statement);
        for measurement in rows {
            query = query
                .bind(trial)
                .bind(i64::from(measurement.epoch))
                .bind(attempt)
                .bind(measurement.train_loss)
                .bind(measurement.train_error)
                .bind(measurement.validation_loss)
                .bind(measurement.validation_error)
                .bind(measurement.test_loss)
                .bind(measurement.test_error)
                .bind(measurement.dead_units.map(i64::from));
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// Inserts the one result of each trial and attempt.
pub(super) async fn insert_results(
    conn: &mut Conn,
    results: &[(i64, i64, &TrialResult)],
    now: Timestamp,
) -> Result<(), StoreError> {
    for (statement, rows) in RESULT.cut(results) {
        let mut query = sqlx::query::<Db>(statement);
        for (trial, attempt, result) in rows {
            let last = number::finite(&result.last);
            query = query
                .bind(trial)
                .bind(attempt)
                .bind(result.stop.word())
                .bind(i64::from(last.epoch))
                .bind(last.train_loss)
                .bind(last.train_error)
                .bind(last.validation_loss)
                .bind(last.validation_error)
                .bind(last.test_loss)
                .bind(last.test_error)
                .bind(last.dead_units.map(i64::from))
                .bind(number::finite_only(result.coefficient_norm))
                .bind(i64::from(result.diverged))
                .bind(row::signed(result.parameters))
                .bind(result.weights.map(|hash| hash.to_string()))
                .bind(&result.device)
                .bind(&result.instruction_set)
                .bind(row::signed(result.train_ms))
                .bind(now.0)
                .bind(result.details.as_ref().map(Details::to_json));
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}
