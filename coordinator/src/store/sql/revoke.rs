//! What a claim takes from workers that fell silent: their attempts end here and nowhere else, and trials that took down too many
//! workers are given up.

use std::collections::BTreeSet;

use descent_spec::id::{Timestamp, TrialId};

use super::super::super::{Lost, StoreError};
use super::settle::settle;
use super::{Conn, Db, Row, attempts, dialect, row, statements};
use crate::core::poison::{self, Losses};
use crate::core::retry::RetryPolicy;

statements! {
    /// Of those chosen, the ones that lost a worker, now or before: none, most of the time.
    DOUBTFUL = concat!("SELECT trial.id, CAST(trial.suspect AS BIGINT) AS suspect, CAST(trial.crashes AS BIGINT) AS crashes,
            trial.session, attempt.worker
        FROM trial
        LEFT JOIN attempt ON attempt.trial_id = trial.id AND attempt.attempt = trial.attempt
        WHERE (trial.suspect = 1 OR trial.crashes > 0) AND trial.id IN ", dialect::ints!("$1"), "
        ORDER BY trial.id");
    LOSERS = "SELECT worker FROM attempt WHERE trial_id = $1 AND outcome IN ('lost', 'suspect')
        ORDER BY attempt DESC LIMIT $2";
    OTHERS = concat!("SELECT COUNT(*) AS others FROM session
        WHERE state = 'open' AND worker NOT IN ", dialect::texts!("$1"));
    LOSE = concat!("UPDATE attempt SET outcome = 'lost', ended_at = $2
        WHERE outcome = 'suspect' AND trial_id IN ", dialect::ints!("$1"));
    POISON = concat!("UPDATE trial SET state = 'poisoned', crashes = crashes + 1, suspect = 0, session = NULL,
            leased_at = NULL
        WHERE id IN ", dialect::ints!("$1"));
}

/// A chosen trial that lost a worker, now or before.
struct Doubtful {
    trial: i64,
    /// Lost attempts, the one that ends here included.
    crashes: u32,
    /// Set where one ends here.
    lost: Option<Lost>,
}

/// Ends the attempts of those chosen whose workers fell silent. Answers which of them are to be taken: not those that are given up
/// with it, and one that may be what kills workers only alone.
pub(super) async fn revoke(
    conn: &mut Conn,
    mut chosen: Vec<i64>,
    now: Timestamp,
) -> Result<(Vec<i64>, Vec<Lost>), StoreError> {
    let found = sqlx::query::<Db>(DOUBTFUL)
        .bind(row::list(&chosen))
        .fetch_all(&mut *conn)
        .await?;
    if found.is_empty() {
        return Ok((chosen, Vec::new()));
    }
    let mut doubtful = Vec::with_capacity(found.len());
    for trial in &found {
        doubtful.push(look(conn, trial).await?);
    }
    let given_up = |one: &Doubtful| one.lost.as_ref().is_some_and(|lost| lost.poisoned);
    let poisoned: Vec<i64> = doubtful
        .iter()
        .filter(|one| given_up(one))
        .map(|one| one.trial)
        .collect();
    let fragile: BTreeSet<i64> = doubtful
        .iter()
        .filter(|one| poison::ALONE_FROM <= one.crashes)
        .map(|one| one.trial)
        .collect();
    chosen.retain(|trial| !poisoned.contains(trial));
    poison::set_apart(&mut chosen, |trial| fragile.contains(trial));
    let ended: Vec<i64> = chosen.iter().chain(&poisoned).copied().collect();
    sqlx::query::<Db>(LOSE)
        .bind(row::list(&ended))
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
    if !poisoned.is_empty() {
        sqlx::query::<Db>(POISON)
            .bind(row::list(&poisoned))
            .execute(&mut *conn)
            .await?;
        attempts::skip_below(conn, &poisoned).await?;
        settle(conn, now).await?;
    }
    let lost = doubtful.into_iter().filter_map(|one| one.lost);
    let lost = lost.filter(|lost| ended.contains(&lost.trial.0));
    Ok((chosen, lost.collect()))
}

/// What is known of one of them.
async fn look(conn: &mut Conn, found: &Row) -> Result<Doubtful, StoreError> {
    let trial = row::int(found, "id")?;
    let suspect = row::int(found, "suspect")? == 1;
    let crashes = row::unsigned::<u32>(found, "crashes")?.saturating_add(suspect.into());
    let session = row::digest_or_none(found, "session")?;
    let worker = row::text_or_none(found, "worker")?;
    let (Some(session), Some(worker)) = (session, worker) else {
        return Ok(Doubtful {
            trial,
            crashes,
            lost: None,
        });
    };
    let losers = sqlx::query::<Db>(LOSERS)
        .bind(trial)
        .bind(i64::from(crashes))
        .fetch_all(&mut *conn)
        .await?;
    let workers: BTreeSet<String> = losers
        .iter()
        .map(|found| row::text(found, "worker"))
        .collect::<Result<_, _>>()?;
    let names: Vec<&String> = workers.iter().collect();
    let others = sqlx::query::<Db>(OTHERS)
        .bind(row::list(&names))
        .fetch_one(&mut *conn)
        .await?;
    let losses = Losses {
        crashes,
        workers: u32::try_from(workers.len()).unwrap_or(u32::MAX),
        others: row::int(&others, "others")? > 0,
    };
    Ok(Doubtful {
        trial,
        crashes,
        lost: Some(Lost {
            trial: TrialId(trial),
            session,
            worker,
            poisoned: poison::is_poisoned(losses, &RetryPolicy::default()),
        }),
    })
}
