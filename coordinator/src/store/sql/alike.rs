//! Failures that are alike: remembered by the sweep, which pauses when too many trials in a row have them.

use descent_spec::id::{SweepId, TrialId};
use descent_spec::outcome::Failure;

use super::super::super::{StoreError, naming};
use super::{Conn, Db, dialect, row, statements, sweeps};
use crate::core::breaker;

statements! {
    /// The sweeps that a failure may pause: those at work, of which something is still to be done.
    SWEEPS = concat!("SELECT sweep.id, sweep.name, sweep.max_alike, sweep.alike,
            CAST(COALESCE((
                SELECT SUM(tally.trials) FROM sweep_tally AS tally
                WHERE tally.sweep_id = sweep.id AND tally.state = 'succeeded'
            ), 0) AS BIGINT) AS results
        FROM sweep
        WHERE sweep.state IN ('expanding', 'running') AND sweep.max_alike > 0
            AND sweep.id IN (SELECT sweep_id FROM sweep_trial WHERE trial_id = $1)
            AND (sweep.expanded = 0 OR COALESCE((
                SELECT SUM(tally.trials) FROM sweep_tally AS tally
                WHERE tally.sweep_id = sweep.id AND tally.state IN ('blocked', 'ready', 'leased', 'delayed')
            ), 0) > 0)
        ORDER BY sweep.id", dialect::for_update!("sweep"));
    REMEMBER = "UPDATE sweep SET alike = $2 WHERE id = $1";
    PAUSE = "UPDATE sweep SET state = 'paused', alike = NULL, pause_reason = $2 WHERE id = $1";
}

/// Counts a failure that was just written.
pub(super) async fn count(
    conn: &mut Conn,
    trial: TrialId,
    failure: &Failure,
) -> Result<(), StoreError> {
    let sweeps = sqlx::query::<Db>(SWEEPS)
        .bind(trial.0)
        .fetch_all(&mut *conn)
        .await?;
    for sweep in &sweeps {
        let id = SweepId(row::int(sweep, "id")?);
        let before = row::json_or_none(sweep, "alike", |text| serde_json::from_str(text))?;
        let results = row::unsigned(sweep, "results")?;
        let limit = row::unsigned(sweep, "max_alike")?;
        let (after, tripped) = breaker::after_failure(before, failure, trial, results, limit);
        if let Some(reason) = tripped {
            naming::paused(&row::text(sweep, "name")?, &reason);
            sqlx::query::<Db>(PAUSE)
                .bind(id.0)
                .bind(reason)
                .execute(&mut *conn)
                .await?;
            sweeps::refresh(conn, id).await?;
        } else {
            let after = after.map(|row| {
                serde_json::to_string(&row).expect("texts and numbers always serialise")
            });
            sqlx::query::<Db>(REMEMBER)
                .bind(id.0)
                .bind(after)
                .execute(&mut *conn)
                .await?;
        }
    }
    Ok(())
}
