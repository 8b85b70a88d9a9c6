//! Calls that may be repeated: what they were answered with.

use descent_spec::id::{RequestId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::super::{StoreError, naming};
use super::{Conn, Db, row, statements};

statements! {
    RECALL = "SELECT answer FROM request_log WHERE request = $1";
    REMEMBER = "INSERT INTO request_log (request, answer, answered_at) VALUES ($1, $2, $3)";
}

/// What this call was answered with before.
///
/// # Errors
/// When another call had this id.
pub(super) async fn recall<T: DeserializeOwned>(
    conn: &mut Conn,
    request: RequestId,
    call: &str,
) -> Result<Option<T>, StoreError> {
    let found = sqlx::query::<Db>(RECALL)
        .bind(request.to_string())
        .fetch_optional(conn)
        .await?;
    let Some(found) = found else { return Ok(None) };
    let kept = row::text(&found, "answer")?;
    let taken = |_| naming::another_call(request, "unknown");
    match serde_json::from_str::<(String, serde_json::Value)>(&kept) {
        Ok((whose, _)) if whose != call => Err(naming::another_call(request, &whose)),
        Ok((_, answer)) => serde_json::from_value(answer).map(Some).map_err(taken),
        // Of a version that did not note whose it was.
        Err(_) => serde_json::from_str(&kept).map(Some).map_err(taken),
    }
}

/// Keeps what a call is answered with.
pub(super) async fn remember<T: Serialize + Sync>(
    conn: &mut Conn,
    request: RequestId,
    call: &str,
    answer: &T,
    now: Timestamp,
) -> Result<(), StoreError> {
    let answer = serde_json::to_string(&(call, answer)).expect("answers always serialise");
    sqlx::query::<Db>(REMEMBER)
        .bind(request.to_string())
        .bind(answer)
        .bind(now.0)
        .execute(conn)
        .await?;
    Ok(())
}
