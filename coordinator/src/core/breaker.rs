//! Failures that are alike, one trial after another: then a sweep is broken, not a trial.

use std::collections::BTreeSet;

use descent_spec::id::TrialId;
use descent_spec::outcome::{Failure, FailureKind};
use serde::{Deserialize, Serialize};

/// Hexadecimal words this long are names of things, and count as numbers.
const HASH_DIGITS: usize = 8;

/// A row of alike failures, as a sweep remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alike {
    /// What they have in common.
    pattern: String,
    /// Message of the first.
    first: String,
    /// Whose they are.
    trials: BTreeSet<i64>,
    /// Results that the sweep had when the row began: another one ends it.
    results: u64,
}

/// What a sweep remembers after one more failure, and why it is paused, if it is.
///
/// `limit` is the number of distinct trials that pauses; 0: none does. A trial that fails again counts once. Stalls do not count: a
/// pack hangs as one, and that says nothing about its members.
#[must_use]
pub fn after_failure(
    before: Option<Alike>,
    failure: &Failure,
    trial: TrialId,
    results: u64,
    limit: u32,
) -> (Option<Alike>, Option<String>) {
    if limit == 0 {
        return (None, None);
    }
    if failure.kind == FailureKind::Stalled {
        return (before, None);
    }
    let pattern = pattern(failure);
    let goes_on = |row: &Alike| row.pattern == pattern && row.results == results;
    let mut row = before.filter(goes_on).unwrap_or_else(|| Alike {
        pattern,
        first: failure.message.clone(),
        trials: BTreeSet::new(),
        results,
    });
    row.trials.insert(trial.0);
    let length = row.trials.len();
    let tripped = limit as usize <= length;
    let reason = tripped.then(|| {
        format!(
            "{length} trials in a row failed alike ({}), the first with: {}",
            failure.kind, row.first
        )
    });
    (Some(row), reason)
}

/// Kind and message, with a `#` for every number and every hash.
fn pattern(failure: &Failure) -> String {
    let mut pattern = format!("{}: ", failure.kind);
    let mut rest = failure.message.as_str();
    while let Some(first) = rest.chars().next() {
        let word_end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end.max(first.len_utf8()));
        if word.len() >= HASH_DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            pattern.push('#');
        } else {
            let mut in_number = false;
            for c in word.chars() {
                if !c.is_ascii_digit() {
                    pattern.push(c);
                } else if !in_number {
                    pattern.push('#');
                }
                in_number = c.is_ascii_digit();
            }
        }
        rest = after;
    }
    pattern
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use super::*;

    fn failure(kind: FailureKind, message: &str) -> Failure {
        Failure {
            kind,
            message: message.to_owned(),
        }
    }

    /// Runs failures of (trial, message, results so far); answers after which one it trips.
    fn trips(limit: u32, failures: &[(i64, &str, u64)]) -> Option<usize> {
        let mut row = None;
        for (i, (trial, message, results)) in failures.iter().enumerate() {
            let failure = failure(FailureKind::Data, message);
            let (next, reason) = after_failure(row, &failure, TrialId(*trial), *results, limit);
            if reason.is_some() {
                return Some(i);
            }
            row = next;
        }
        None
    }

    #[test]
    fn numbers_and_hashes_do_not_tell_messages_apart() {
        let like = |message| pattern(&failure(FailureKind::Data, message));
        assert_eq!(like("needs 12.5 MiB of 7"), like("needs 9.25 MiB of 800"));
        assert_eq!(
            like("file deadbeef0 is gone"),
            like("file 00112233445566 is gone")
        );
        assert_eq!(like("Größe 5 ∞"), "data: Größe # ∞");
        assert_ne!(like("file a is gone"), like("file b is gone"));
        let other = pattern(&failure(FailureKind::Panic, "needs 1 MiB of 7"));
        assert_ne!(like("needs 1 MiB of 7"), other);
    }

    #[test]
    fn distinct_trials_in_a_row_count() {
        assert_eq!(
            trips(3, &[(1, "m 1", 0), (2, "m 2", 0), (3, "m 3", 0)]),
            Some(2)
        );
        // The same trial again, another message, a result in between: the row is not as long, or begins anew.
        assert_eq!(trips(3, &[(1, "m", 0), (1, "m", 0), (2, "m", 0)]), None);
        assert_eq!(trips(2, &[(1, "m", 0), (2, "n", 0), (3, "m", 0)]), None);
        assert_eq!(trips(2, &[(1, "m", 0), (2, "m", 1), (3, "m", 2)]), None);
        assert_eq!(trips(0, &[(1, "m", 0), (2, "m", 0)]), None);
    }

    #[test]
    fn the_reason_tells_the_first_message_and_a_stall_is_no_part_of_it() {
        let (row, _) = after_failure(
            None,
            &failure(FailureKind::Device, "cable 1 is out"),
            TrialId(1),
            0,
            2,
        );
        let stall = failure(FailureKind::Stalled, "no step");
        let (row, reason) = after_failure(row, &stall, TrialId(2), 0, 2);
        assert_eq!(reason, None);
        let last = failure(FailureKind::Device, "cable 2 is out");
        let (_, reason) = after_failure(row, &last, TrialId(3), 0, 2);
        assert_eq!(
            reason.unwrap(),
            "2 trials in a row failed alike (device), the first with: cable 1 is out"
        );
    }
}
