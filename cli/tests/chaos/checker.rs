//! What must be true of a cluster whatever was done to it: the workers' ledgers beside the database.

use std::collections::BTreeMap;

use crate::arena::Arena;
use crate::harness::stderr;
use crate::ledger::{Ack, Attempt};

/// By how much the times of two processes on one machine may differ, in milliseconds.
const TOLERANCE_MS: i64 = 50;

/// An attempt as the database has it.
struct Stored {
    started_at: i64,
    outcome: String,
    metric_seq: u64,
}

/// Tests the nine invariants on a sweep that is over. `clocks` says whether coordinators' clocks were right all the time.
pub(crate) fn check(arena: &Arena, clocks: bool) {
    // Exactly one result for each point, counters equal rows, files match their hashes, nothing is left over.
    let verify = arena
        .sandbox
        .descent(["--db", &arena.db, "verify"])
        .output();
    let verify = verify.expect("start descent");
    assert!(
        verify.status.success(),
        "{}{}",
        String::from_utf8_lossy(&verify.stdout),
        stderr(&verify)
    );
    assert_eq!(
        arena.query("SELECT count(*) AS n FROM trials WHERE state <> 'succeeded'"),
        ["0"],
        "everything ends"
    );
    let attempts = attempts(arena);
    let acks = arena.ledger().acks;
    acknowledged(&acks, &attempts);
    if clocks {
        fenced(&acks, &attempts);
    }
    gapless(&acks, &attempts);
    charged(arena);
    parents_first(arena, clocks);
}

fn attempts(arena: &Arena) -> BTreeMap<Attempt, Stored> {
    let rows = arena.query(
        "SELECT trial_id, attempt, started_at, outcome, metric_seq FROM attempt ORDER BY 1, 2",
    );
    let stored = rows.iter().map(|row| {
        let fields: Vec<&str> = row.split(',').collect();
        let number = |i: usize| -> i64 { fields[i].parse().expect(row) };
        let stored = Stored {
            started_at: number(2),
            outcome: fields[3].to_owned(),
            metric_seq: u64::try_from(number(4)).expect(row),
        };
        ((number(0), number(1)), stored)
    });
    stored.collect()
}

/// Every OK that a worker heard is in the database, and at most one attempt of a trial heard it of its result.
fn acknowledged(acks: &[Ack], attempts: &BTreeMap<Attempt, Stored>) {
    let mut completed: BTreeMap<i64, i64> = BTreeMap::new();
    for ack in acks {
        let stored = attempts.get(&ack.attempt);
        let stored = stored.unwrap_or_else(|| panic!("an attempt is missing: {ack:?}"));
        let outcome = stored.outcome.as_str();
        match ack.what.as_str() {
            "complete" => {
                assert_eq!(outcome, "succeeded", "{ack:?}");
                let (trial, attempt) = ack.attempt;
                assert_eq!(
                    *completed.entry(trial).or_insert(attempt),
                    attempt,
                    "{ack:?}"
                );
            }
            "fail" => assert_eq!(outcome, "failed", "{ack:?}"),
            "release" => assert_eq!(outcome, "released", "{ack:?}"),
            "metrics" => assert!(ack.number <= stored.metric_seq, "{ack:?}"),
            "checkpoint" | "weights" => {}
            other => panic!("unknown: {other}"),
        }
    }
}

/// Nothing that was sent after a trial's next attempt had begun was taken from an earlier one.
fn fenced(acks: &[Ack], attempts: &BTreeMap<Attempt, Stored>) {
    for ack in acks {
        let (trial, attempt) = ack.attempt;
        let next = attempts
            .range((trial, attempt + 1)..(trial, i64::MAX))
            .next();
        if let Some((_, next)) = next {
            // A repeated call about what had been taken before is answered as it was.
            let late = ack.sent_ms > next.started_at + TOLERANCE_MS;
            let ended = ["complete", "fail", "release"].contains(&ack.what.as_str());
            assert!(!late || ended, "taken from an old attempt: {ack:?}");
        }
    }
}

/// Chunks of each attempt are numbered without gaps, and the database has no fewer than were acknowledged.
fn gapless(acks: &[Ack], attempts: &BTreeMap<Attempt, Stored>) {
    let mut last: BTreeMap<Attempt, u64> = BTreeMap::new();
    for ack in acks.iter().filter(|ack| ack.what == "metrics") {
        let last = last.entry(ack.attempt).or_default();
        assert_eq!(ack.number, *last + 1, "{ack:?}");
        *last = ack.number;
    }
    for (attempt, last) in last {
        let stored = attempts[&attempt].metric_seq;
        // The answer to the last one may have been lost.
        assert!(last <= stored && stored <= last + 1, "{attempt:?}");
    }
}

/// Trials are charged with what their attempts ended by.
fn charged(arena: &Arena) {
    let wrong = arena.query(
        "SELECT id FROM trial WHERE
            failures <> (SELECT count(*) FROM attempt WHERE trial_id = id AND outcome = 'failed')
            OR crashes <> (SELECT count(*) FROM attempt WHERE trial_id = id AND outcome = 'lost')
            OR releases <> (SELECT count(*) FROM attempt WHERE trial_id = id AND outcome = 'released')
            OR attempt <> (SELECT count(*) FROM attempt WHERE trial_id = id)",
    );
    assert_eq!(wrong, Vec::<String>::new(), "charged with something else");
}

/// A trial that starts from another one's weights began after that one had ended.
fn parents_first(arena: &Arena, clocks: bool) {
    let tolerance = if clocks { TOLERANCE_MS } else { 10 * 3_600_000 };
    let wrong = arena.query(&format!(
        "SELECT child.id FROM trial AS child JOIN attempt ON attempt.trial_id = child.id
         LEFT JOIN result ON result.trial_id = child.parent_id
         WHERE child.parent_id IS NOT NULL
            AND (result.trial_id IS NULL OR attempt.started_at < result.finished_at - {tolerance})"
    ));
    assert_eq!(wrong, Vec::<String>::new(), "began before its parent ended");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What two attempts of one trial, the first of them lost, and these acknowledgements are judged as.
    fn judge(acks: &[(&str, i64, i64, u64)]) {
        let stored = |started_at, outcome: &str| Stored {
            started_at,
            outcome: outcome.to_owned(),
            metric_seq: 3,
        };
        let attempts = BTreeMap::from([
            ((7, 1), stored(1_000, "lost")),
            ((7, 2), stored(9_000, "succeeded")),
        ]);
        let acks: Vec<Ack> = acks
            .iter()
            .map(|&(what, attempt, sent_ms, number)| Ack {
                what: what.to_owned(),
                attempt: (7, attempt),
                sent_ms,
                number,
            })
            .collect();
        acknowledged(&acks, &attempts);
        fenced(&acks, &attempts);
        gapless(&acks, &attempts);
    }

    #[test]
    fn what_is_in_order_passes() {
        let chunks = [1, 2, 3].map(|number| ("metrics", 2, 9_500, number));
        judge(&chunks);
        judge(&[("checkpoint", 1, 8_000, 40), ("complete", 2, 9_900, 0)]);
    }

    #[test]
    #[should_panic(expected = "complete")]
    fn a_result_of_a_lost_attempt_is_found() {
        judge(&[("complete", 1, 8_000, 0)]);
    }

    #[test]
    #[should_panic(expected = "taken from an old attempt")]
    fn a_checkpoint_of_an_old_attempt_is_found() {
        judge(&[("checkpoint", 1, 9_500, 40)]);
    }

    #[test]
    #[should_panic(expected = "metrics")]
    fn a_chunk_that_is_not_in_the_database_is_found() {
        judge(&[("metrics", 2, 9_500, 4)]);
    }

    #[test]
    #[should_panic(expected = "metrics")]
    fn a_gap_is_found() {
        judge(&[("metrics", 2, 9_500, 2)]);
    }

    #[test]
    #[should_panic(expected = "an attempt is missing")]
    fn an_attempt_that_the_database_forgot_is_found() {
        judge(&[("metrics", 3, 9_500, 1)]);
    }
}
