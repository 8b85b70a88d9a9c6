//! What workers send. Whatever was sent once may arrive at any time, in any order, many times, or never: the network is the set of all that was sent.

use super::scope::{ASKS, ATTEMPTS, SESSIONS, TRIALS};

/// An attempt of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot(pub(super) u8);

/// Attempts of all trials.
pub(super) const SLOTS: usize = TRIALS * ATTEMPTS;

impl Slot {
    pub(super) fn new(trial: usize, attempt: i64) -> Self {
        let attempt = usize::try_from(attempt).expect("attempts count from 1");
        assert!((1..=ATTEMPTS).contains(&attempt), "attempt {attempt}");
        Self(u8::try_from(trial * ATTEMPTS + attempt - 1).expect("few slots"))
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn trial(self) -> usize {
        self.index() / ATTEMPTS
    }

    pub(super) fn attempt(self) -> i64 {
        i64::from(self.0) % ATTEMPTS as i64 + 1
    }
}

/// A worker's report about an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Report {
    Commit,
    Complete,
    Fail,
    Release,
}

impl Report {
    const ALL: [Self; 4] = [Self::Commit, Self::Complete, Self::Fail, Self::Release];
}

/// A call of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Request {
    Claim {
        by: usize,
        ask: usize,
    },
    Beat {
        by: usize,
        listed: Option<Slot>,
    },
    Report {
        by: usize,
        slot: Slot,
        report: Report,
    },
    Close {
        by: usize,
    },
}

/// Requests for each kind of report, and for beats that list something.
const PER_KIND: usize = SESSIONS * SLOTS;
const REPORTS: usize = 4 * PER_KIND;
const BEATS: usize = REPORTS + PER_KIND;
const EMPTY_BEATS: usize = BEATS + SESSIONS;
const CLOSES: usize = EMPTY_BEATS + SESSIONS;
const CLAIMS: usize = CLOSES + SESSIONS * ASKS;
const _: () = assert!(CLAIMS <= 192, "the set below is too small");

impl Request {
    fn index(self) -> usize {
        match self {
            Self::Report { by, slot, report } => {
                report as usize * PER_KIND + by * SLOTS + slot.index()
            }
            Self::Beat {
                by,
                listed: Some(slot),
            } => REPORTS + by * SLOTS + slot.index(),
            Self::Beat { by, listed: None } => BEATS + by,
            Self::Close { by } => EMPTY_BEATS + by,
            Self::Claim { by, ask } => CLOSES + by * ASKS + ask,
        }
    }

    fn at(index: usize) -> Self {
        let slot = Slot((index % SLOTS) as u8);
        let by = index % PER_KIND / SLOTS;
        match index {
            0..REPORTS => Self::Report {
                by,
                slot,
                report: Report::ALL[index / PER_KIND],
            },
            REPORTS..BEATS => Self::Beat {
                by,
                listed: Some(slot),
            },
            BEATS..EMPTY_BEATS => Self::Beat {
                by: index - BEATS,
                listed: None,
            },
            EMPTY_BEATS..CLOSES => Self::Close {
                by: index - EMPTY_BEATS,
            },
            _ => Self::Claim {
                by: (index - CLOSES) / ASKS,
                ask: (index - CLOSES) % ASKS,
            },
        }
    }
}

/// All that was ever sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Sent([u64; 3]);

impl Sent {
    pub(super) fn add(&mut self, request: Request) {
        let index = request.index();
        self.0[index / 64] |= 1 << (index % 64);
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Request> {
        (0..3).flat_map(move |word| {
            let mut rest = self.0[word];
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(Request::at(word * 64 + bit))
            })
        })
    }
}

#[test]
fn every_request_has_a_place_of_its_own() {
    let all: Vec<Request> = (0..CLAIMS).map(Request::at).collect();
    for (index, request) in all.iter().enumerate() {
        assert_eq!(request.index(), index, "{request:?}");
    }
    let mut sent = Sent::default();
    all.iter().for_each(|&request| sent.add(request));
    assert_eq!(sent.iter().collect::<Vec<_>>(), all);
}
