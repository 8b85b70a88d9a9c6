//! `Explain`: why a trial is where it is, in plain sentences.

use descent_proto::v1;
use descent_spec::id::Timestamp;
use descent_spec::state::TrialState;

use crate::core::progress::Seen;
use crate::store::{AttemptRow, Explanation, Needs, WorkerRow};

/// The whole answer.
pub(super) fn answer(
    explanation: Explanation,
    seen: Option<Seen>,
    workers: &[WorkerRow],
    now: Timestamp,
) -> v1::ExplainResponse {
    v1::ExplainResponse {
        trial: explanation.trial.0,
        identity: explanation.identity.0.to_vec(),
        state: v1::TrialState::from(explanation.state).into(),
        reason: reason(&explanation, seen, workers, now),
        params: explanation.params,
        attempts: explanation
            .attempts
            .into_iter()
            .map(|row| v1::Attempt {
                attempt: row.attempt.0,
                worker: row.worker,
                started_at_ms: row.started_at.0,
                ended_at_ms: row.ended_at.map(|at| at.0),
                message: row.message.or_else(|| cause(&row.outcome)),
                outcome: row.outcome,
                failure: row.failure,
            })
            .collect(),
        sweeps: explanation.sweeps,
    }
}

/// One or two sentences: where it is, why, and what would change it.
fn reason(of: &Explanation, seen: Option<Seen>, workers: &[WorkerRow], now: Timestamp) -> String {
    let last = of.attempts.last();
    let failed = of.attempts.iter().rev().find(|row| row.outcome == "failed");
    let mut text = match of.state {
        TrialState::Blocked => blocked(of),
        TrialState::Ready => format!("{}{}", ready(of, last, now), obstacle(&of.needs, workers)),
        TrialState::Leased => match last {
            Some(row) => format!(
                "Attempt {} is being trained by {} since {} ago.{}",
                row.attempt,
                row.worker,
                span(now, row.started_at),
                speed(seen, now)
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
        for pause in &of.pauses {
            text.push_str(&format!(" Paused because {pause}."));
        }
    }
    text
}

/// How far it is and how fast, as its worker told.
fn speed(seen: Option<Seen>, now: Timestamp) -> String {
    let Some(seen) = seen else {
        return String::new();
    };
    let mut text = format!(
        " Its worker was heard of {} ago: epoch {}, step {}",
        span(now, seen.beat_at),
        seen.epoch,
        seen.step
    );
    if seen.still_ms >= 30_000 {
        text.push_str(&format!(", no step for {} s", seen.still_ms / 1000));
    }
    if let Some(speed) = seen.steps_per_s {
        text.push_str(&format!(", {speed:.1} steps/s"));
        if let Some((median, likes)) = seen.likes {
            let slow = if speed * 2.0 < median {
                "; it is slow"
            } else {
                ""
            };
            text.push_str(&format!(
                " (median of {likes} like it in training: {median:.1}{slow})"
            ));
        }
    }
    text.push('.');
    text
}

/// Why no worker that is there can take it, if none can.
fn obstacle(needs: &Needs, workers: &[WorkerRow]) -> String {
    let there: Vec<&WorkerRow> = workers.iter().filter(|row| !row.expired).collect();
    if there.is_empty() {
        return " No worker is connected.".to_owned();
    }
    let all = there.len();
    let of = if all == 1 {
        "The one worker that is there".to_owned()
    } else {
        format!("None of the {all} workers")
    };
    let lacks = |what: &str| {
        let not = if all == 1 { "does not have" } else { "has" };
        format!(" {of} {not} {what}.")
    };
    let kind = |row: &WorkerRow| row.device.split(':').next().unwrap_or_default().to_owned();
    let mut left = there;
    left.retain(|row| {
        let device = needs.device.as_str();
        device.is_empty() || device == row.device || device == kind(row)
    });
    if left.is_empty() {
        return lacks(&format!(
            "the device `{}` that its sweep asks for",
            needs.device
        ));
    }
    left.retain(|row| {
        needs.instruction_set.is_empty() || needs.instruction_set == row.instruction_set
    });
    if left.is_empty() {
        let set = &needs.instruction_set;
        return lacks(&format!(
            "the instruction set `{set}` that its sweep asks for"
        ));
    }
    left.retain(|row| row.data.contains(&needs.data));
    if left.is_empty() {
        let what = format!(
            "its data set ({}): --data-dir, or `descent data fetch` there",
            needs.data
        );
        return lacks(&what);
    }
    let quarantined = left.iter().find_map(|row| {
        let (_, reason) = row.quarantine.as_ref()?;
        Some(format!("{}: {reason}", row.worker))
    });
    left.retain(|row| row.quarantine.is_none() && !row.draining);
    if left.is_empty() {
        return match quarantined {
            Some(quarantined) => {
                format!(" Every worker that could train it is quarantined ({quarantined}).")
            }
            None => " Every worker that could train it is draining.".to_owned(),
        };
    }
    let most = left.iter().map(|row| row.memory).max().unwrap_or_default();
    if most < needs.memory {
        return format!(
            " It takes about {} MiB, and no worker that could train it has more than {} MiB: one of those is given it and fails it.",
            needs.memory >> 20,
            most >> 20
        );
    }
    String::new()
}

/// What an attempt that nobody left a message about came to.
fn cause(outcome: &str) -> Option<String> {
    let cause = match outcome {
        "lost" => "its worker fell silent, and another one took the trial",
        "released" => "handed back without charge",
        "suspect" => "its worker has fallen silent",
        _ => return None,
    };
    Some(cause.to_owned())
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
        _ => format!("It waits for a worker: {place}."),
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
    use descent_spec::id::{AttemptNumber, ContentHash, Identity, SessionId, TrialId};

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
            pauses: Vec::new(),
            needs: Needs {
                data: ContentHash([1; 32]),
                device: String::new(),
                instruction_set: String::new(),
                memory: 8 << 20,
            },
        }
    }

    fn attempt(number: i64, outcome: &str, message: Option<&str>) -> AttemptRow {
        AttemptRow {
            attempt: AttemptNumber(number),
            worker: "node7/42".into(),
            started_at: NOW.plus_ms(-90_000),
            ended_at: None,
            outcome: outcome.into(),
            failure: None,
            message: message.map(Into::into),
        }
    }

    /// What is said of a trial, made from a plain one by `change`.
    fn check(state: TrialState, change: impl FnOnce(&mut Explanation), parts: &[&str]) {
        let mut of = explanation(state);
        change(&mut of);
        let text = reason(&of, None, &[], NOW);
        for part in parts {
            assert!(text.contains(part), "{text:?} should say {part:?}");
        }
    }

    fn worker() -> WorkerRow {
        WorkerRow {
            session: SessionId([1; 16]),
            worker: "node7/42".into(),
            device: "cpu".into(),
            instruction_set: "avx2".into(),
            slots: 1,
            memory: 1 << 30,
            data: vec![ContentHash([1; 32])],
            trials: 0,
            opened_at: NOW,
            lease_until: NOW,
            expired: false,
            draining: false,
            quarantine: None,
        }
    }

    #[test]
    fn who_cannot_take_it_is_told_with_the_reason() {
        let check = |change: &dyn Fn(&mut Needs, &mut WorkerRow), part: &str| {
            let (mut of, mut row) = (explanation(TrialState::Ready), worker());
            change(&mut of.needs, &mut row);
            let text = reason(&of, None, &[row], NOW);
            let told = part.is_empty() || text.contains(part);
            assert!(told, "{text:?} should say {part:?}");
            text.len()
        };
        let plain = check(&|_, _| (), "");
        type Change<'a> = &'a dyn Fn(&mut Needs, &mut WorkerRow);
        let cases: [(Change<'_>, &str); 7] = [
            (&|_, row| row.expired = true, "No worker is connected"),
            (
                &|needs, _| needs.device = "cuda".into(),
                "the device `cuda`",
            ),
            (
                &|needs, _| needs.instruction_set = "avx512".into(),
                "instruction set `avx512`",
            ),
            (&|_, row| row.data.clear(), "its data set (0101"),
            (&|needs, _| needs.memory = 2 << 30, "about 2048 MiB"),
            (&|_, row| row.draining = true, "draining"),
            (
                &|_, row| row.quarantine = Some((NOW, "5 trials failed".into())),
                "quarantined (node7/42: 5 trials failed)",
            ),
        ];
        for (change, part) in cases {
            assert!(plain < check(change, part));
        }
    }

    #[test]
    fn a_trial_in_training_tells_how_far_and_how_fast_it_is() {
        let mut of = explanation(TrialState::Leased);
        of.attempts = vec![attempt(1, "active", None)];
        let seen = Seen {
            epoch: 4,
            step: 1234,
            beat_at: NOW.plus_ms(-3_000),
            still_ms: 65_000,
            steps_per_s: Some(10.0),
            likes: Some((100.0, 3)),
        };
        let text = reason(&of, Some(seen), &[], NOW);
        for part in [
            "3 s ago",
            "epoch 4, step 1234",
            "no step for 65 s",
            "10.0 steps/s",
            "3 like it",
            "it is slow",
        ] {
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
