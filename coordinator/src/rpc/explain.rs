//! `Explain`: why a trial is where it is, in plain sentences.

use descent_proto::v1;
use descent_spec::id::Timestamp;
use descent_spec::state::TrialState;

use crate::store::{AttemptRow, Explanation};

/// The whole answer.
pub(super) fn answer(explanation: Explanation, now: Timestamp) -> v1::ExplainResponse {
    v1::ExplainResponse {
        trial: explanation.trial.0,
        identity: explanation.identity.0.to_vec(),
        state: v1::TrialState::from(explanation.state).into(),
        reason: reason(&explanation, now),
        params: explanation.params,
        attempts: explanation
            .attempts
            .into_iter()
            .map(|row| v1::Attempt {
                attempt: row.attempt.0,
                worker: row.worker,
                started_at_ms: row.started_at.0,
                ended_at_ms: row.ended_at.map(|at| at.0),
                outcome: row.outcome,
                message: row.message,
            })
            .collect(),
        sweeps: explanation.sweeps,
    }
}

/// One or two sentences: where it is, why, and what would change it.
fn reason(of: &Explanation, now: Timestamp) -> String {
    let last = of.attempts.last();
    let failed = of.attempts.iter().rev().find(|row| row.outcome == "failed");
    let mut text = match of.state {
        TrialState::Blocked => blocked(of),
        TrialState::Ready => ready(of, last, now),
        TrialState::Leased => match last {
            Some(row) => format!(
                "Attempt {} is being trained by {} since {} ago.",
                row.attempt,
                row.worker,
                span(now, row.started_at)
            ),
            None => "A worker trains it.".to_owned(),
        },
        TrialState::Delayed => {
            let wait = match of.run_after {
                Some(at) if at > now => format!("in {}", span(at, now)),
                _ => "in a moment".to_owned(),
            };
            format!("It is tried again {wait}, because {}.", why(failed))
        }
        TrialState::Succeeded => match last {
            Some(row) => format!("Attempt {} on {} ended with its result.", row.attempt, row.worker),
            None => "Its result was imported.".to_owned(),
        },
        TrialState::Failed => format!(
            "It was given up after {}, because {}. `descent rerun SWEEP --failed` tries it again.",
            attempts(of.attempts.len()),
            why(failed)
        ),
        TrialState::Poisoned => format!(
            "It was given up because {} ended with the worker's death; look at the workers' logs before \
             `descent rerun SWEEP --failed`.",
            attempts(of.attempts.iter().filter(|row| row.outcome == "lost").count())
        ),
        TrialState::Cancelled => {
            "Every sweep that wanted it was cancelled. `descent rerun SWEEP --missing` takes it up again.".to_owned()
        }
        TrialState::Skipped => match &of.parent {
            Some((parent, state)) => format!(
                "It starts from the weights of trial {parent}, which is {state}; rerun that one and this one follows."
            ),
            None => "A trial that it starts from has no result.".to_owned(),
        },
    };
    if of.held_back {
        text.push_str(" All sweeps that want it are paused: `descent resume SWEEP` hands it out.");
    }
    text
}

fn blocked(of: &Explanation) -> String {
    match &of.parent {
        Some((parent, state)) => {
            format!("It waits for the final weights of trial {parent}, which is {state}.")
        }
        None => "It waits for another trial.".to_owned(),
    }
}

fn ready(of: &Explanation, last: Option<&AttemptRow>, now: Timestamp) -> String {
    let place = match of.ahead {
        0 => "it is next in line".to_owned(),
        1 => "1 trial goes before it".to_owned(),
        n => format!("{n} trials go before it"),
    };
    match last {
        Some(row) if of.suspect => format!(
            "Worker {} took it {} ago and has fallen silent; it goes on if the worker comes back first, else to the next \
             worker that asks: {place}.",
            row.worker,
            span(now, row.started_at)
        ),
        Some(row) if row.outcome == "failed" => {
            format!("It is tried again, because {}: {place}.", why(Some(row)))
        }
        Some(row) if row.outcome == "released" => {
            format!(
                "Worker {} handed it back, without charge: {place}.",
                row.worker
            )
        }
        _ => format!("It waits for a worker that has its data: {place}."),
    }
}

/// The cause of a failure, as a clause.
fn why(failed: Option<&AttemptRow>) -> String {
    match failed {
        Some(row) => {
            let message = row.message.as_deref().unwrap_or("no reason was given");
            let message = message.trim_end_matches('.');
            format!(
                "attempt {} on {} failed: {message}",
                row.attempt, row.worker
            )
        }
        None => "an attempt failed".to_owned(),
    }
}

fn attempts(count: usize) -> String {
    match count {
        1 => "1 attempt".to_owned(),
        n => format!("{n} attempts"),
    }
}

/// A length of time for people.
fn span(later: Timestamp, earlier: Timestamp) -> String {
    let s = (later.0.saturating_sub(earlier.0)).max(0) / 1000;
    match s {
        0..120 => format!("{s} s"),
        120..7200 => format!("{} min", s / 60),
        7200..172_800 => format!("{} h", s / 3600),
        _ => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use descent_spec::id::{AttemptNumber, Identity, TrialId};

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn explanation(state: TrialState) -> Explanation {
        Explanation {
            trial: TrialId(7),
            identity: Identity([0xab; 16]),
            state,
            held_back: false,
            suspect: false,
            run_after: None,
            parent: None,
            params: "{}".into(),
            ahead: 0,
            attempts: Vec::new(),
            sweeps: vec!["smoke".into()],
        }
    }

    fn attempt(number: i64, outcome: &str, message: Option<&str>) -> AttemptRow {
        AttemptRow {
            attempt: AttemptNumber(number),
            worker: "node7/42".into(),
            started_at: NOW.plus_ms(-90_000),
            ended_at: None,
            outcome: outcome.into(),
            message: message.map(Into::into),
        }
    }

    /// What is said of a trial, made from a plain one by `change`.
    fn check(state: TrialState, change: impl FnOnce(&mut Explanation), parts: &[&str]) {
        let mut of = explanation(state);
        change(&mut of);
        let text = reason(&of, NOW);
        for part in parts {
            assert!(text.contains(part), "{text:?} should say {part:?}");
        }
    }

    #[test]
    fn every_state_says_why_and_what_would_change_it() {
        let parent = Some((Identity([0xcd; 16]), TrialState::Failed));
        check(
            TrialState::Ready,
            |of| of.ahead = 3,
            &["waits for a worker", "3 trials go before"],
        );
        check(
            TrialState::Ready,
            |of| of.held_back = true,
            &["paused", "descent resume"],
        );
        check(
            TrialState::Ready,
            |of| {
                of.suspect = true;
                of.attempts = vec![attempt(1, "suspect", None)];
            },
            &["node7/42", "90 s ago", "silent"],
        );
        check(
            TrialState::Leased,
            |of| of.attempts = vec![attempt(2, "active", None)],
            &["Attempt 2", "node7/42", "90 s ago"],
        );
        check(
            TrialState::Delayed,
            |of| {
                of.run_after = Some(NOW.plus_ms(5_000));
                of.attempts = vec![attempt(1, "failed", Some("out of memory."))];
            },
            &["in 5 s", "attempt 1 on node7/42 failed: out of memory."],
        );
        check(
            TrialState::Failed,
            |of| of.attempts = vec![attempt(1, "failed", Some("panicked"))],
            &["1 attempt,", "panicked", "--failed"],
        );
        check(
            TrialState::Blocked,
            |of| of.parent = parent,
            &["final weights", "cdcdcd", "failed"],
        );
        check(
            TrialState::Skipped,
            |of| of.parent = parent,
            &["cdcdcd", "rerun"],
        );
        check(TrialState::Cancelled, |_| (), &["cancelled", "--missing"]);
        check(TrialState::Succeeded, |_| (), &["imported"]);
        check(
            TrialState::Poisoned,
            |of| of.attempts = vec![attempt(1, "lost", None), attempt(2, "lost", None)],
            &["2 attempts", "death"],
        );
    }
}
