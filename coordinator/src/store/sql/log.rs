//! Calls that may be repeated: what they were answered with.

use descent_spec::id::{RequestId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::super::StoreError;
use super::{Conn, Db, row, statements};

statements! {
    RECALL = "SELECT answer FROM request_log WHERE request = $1";
    REMEMBER = "INSERT INTO request_log (request, answer, answered_at) VALUES ($1, $2, $3)";
}

/// What this call was answered with before.
pub(super) async fn recall<T: DeserializeOwned>(
    conn: &mut Conn,
    request: RequestId,
) -> Result<Option<T>, StoreError> {
    let found = sqlx::query::<Db>(RECALL)
        .bind(request.to_string())
        .fetch_optional(conn)
        .await?;
    let Some(found) = found else { return Ok(None) };
    let answer = row::text(&found, "answer")?;
    let taken = |_| StoreError::Conflict(format!("request {request} was another call's"));
    serde_json::from_str(&answer).map(Some).map_err(taken)
}

/// Keeps what a call is answered with.
pub(super) async fn remember<T: Serialize + Sync>(
    conn: &mut Conn,
    request: RequestId,
    answer: &T,
    now: Timestamp,
) -> Result<(), StoreError> {
    let answer = serde_json::to_string(answer).expect("answers always serialise");
    sqlx::query::<Db>(REMEMBER)
        .bind(request.to_string())
        .bind(answer)
        .bind(now.0)
        .execute(conn)
        .await?;
    Ok(())
}
