//! What follows from trials having moved: sweeps that finish, or are taken up again.

use descent_spec::id::Timestamp;

use super::super::super::StoreError;
use super::{Conn, Db, statements};

statements! {
    FINISH = "UPDATE sweep SET state = 'finished', finished_at = $1
        WHERE state = 'running' AND COALESCE((
            SELECT SUM(tally.trials) FROM sweep_tally AS tally
            WHERE tally.sweep_id = sweep.id
                AND tally.state IN ('blocked', 'ready', 'leased', 'delayed')
        ), 0) = 0";
    REOPEN = "UPDATE sweep SET state = 'running', finished_at = NULL
        WHERE state = 'finished' AND COALESCE((
            SELECT SUM(tally.trials) FROM sweep_tally AS tally
            WHERE tally.sweep_id = sweep.id
                AND tally.state IN ('blocked', 'ready', 'leased', 'delayed')
        ), 0) > 0";
}

/// Takes finished sweeps up again of which something is live, and finishes those of which nothing is; answers how many.
pub(super) async fn settle(conn: &mut Conn, now: Timestamp) -> Result<u64, StoreError> {
    sqlx::query::<Db>(REOPEN).execute(&mut *conn).await?;
    finish(conn, now).await
}

/// Finishes sweeps of which nothing is live: enough where trials can only have ended. Answers how many.
pub(super) async fn finish(conn: &mut Conn, now: Timestamp) -> Result<u64, StoreError> {
    let finished = sqlx::query::<Db>(FINISH).bind(now.0).execute(conn).await?;
    Ok(finished.rows_affected())
}
