//! What workers wrote about themselves: every line was on disk before they went on.

use std::collections::BTreeMap;
use std::path::Path;

/// One attempt of one trial.
pub(crate) type Attempt = (i64, i64);

/// Something that a coordinator acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    /// `metrics`, `checkpoint`, `weights`, `complete`, `fail` or `release`.
    pub(crate) what: String,
    pub(crate) attempt: Attempt,
    /// When the call that was acknowledged was sent, in milliseconds since 1970.
    pub(crate) sent_ms: i64,
    /// Number of the chunk, or step of the file.
    pub(crate) number: u64,
}

/// All that workers wrote.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// For each life of an attempt in a pack: where it started, and how far it came.
    pub(crate) trained: Vec<(Attempt, u64, u64)>,
    pub(crate) acks: Vec<Ack>,
}

impl Ledger {
    /// Reads the ledgers of all workers.
    pub(crate) fn read<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Self {
        let mut all = Self::default();
        for path in paths {
            // A worker that was killed before its first line left none.
            let text = std::fs::read_to_string(path).unwrap_or_default();
            all.add(&text);
        }
        all
    }

    fn add(&mut self, text: &str) {
        let mut open: BTreeMap<Attempt, usize> = BTreeMap::new();
        // The last line of a worker that was killed may be cut off.
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        for line in whole.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |i: usize| -> i64 { words[i].parse().expect(line) };
            let attempt = |i: usize| (number(i), number(i + 1));
            let step = |i: usize| u64::try_from(number(i)).expect(line);
            match words[0] {
                "start" => {
                    open.insert(attempt(1), self.trained.len());
                    self.trained.push((attempt(1), step(3), step(3)));
                }
                "at" => {
                    let life = &mut self.trained[open[&attempt(1)]];
                    assert!(life.2 <= step(3), "went back: {line}");
                    life.2 = step(3);
                }
                "ack" => self.acks.push(Ack {
                    what: words[1].to_owned(),
                    attempt: attempt(2),
                    sent_ms: number(4),
                    number: step(5),
                }),
                _ => panic!("no line of a ledger: {line}"),
            }
        }
    }

    /// Steps trained in vain: all that were, but for those that lead to each trial's end once.
    pub(crate) fn wasted(&self) -> (u64, u64) {
        let mut trained = 0;
        let mut ends: BTreeMap<i64, u64> = BTreeMap::new();
        for &((trial, _), from, to) in &self.trained {
            trained += to - from;
            let end = ends.entry(trial).or_default();
            *end = to.max(*end);
        }
        let needed: u64 = ends.values().sum();
        (trained.saturating_sub(needed), needed)
    }
}

#[test]
fn steps_that_were_trained_twice_count_as_wasted() {
    let mut ledger = Ledger::default();
    ledger.add("start 1 1 0\nat 1 1 50\nack checkpoint 1 1 7 30\nat 1 1 8");
    ledger.add("start 1 2 30\nat 1 2 100\nack complete 1 2 9 0\n");
    assert_eq!(ledger.wasted(), (20, 100));
    assert_eq!(ledger.acks.len(), 2);
}
