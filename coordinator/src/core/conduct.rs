//! How workers fare: one that fails where others succeed is what is broken, and gets no trials for a while.

use std::collections::{BTreeMap, BTreeSet};

use descent_spec::id::{PackKey, SessionId, Timestamp, TrialId};

/// Distinct trials that must end badly in a row on a worker.
const STRIKES: usize = 5;
/// Older than this, a bad ending says nothing about today.
const WINDOW_MS: i64 = 3_600_000;
/// The first quarantine; each further one of the same worker takes twice as long.
const FIRST_MS: i64 = 600_000;
/// No quarantine takes longer.
const LONGEST_MS: i64 = 6 * 3_600_000;

/// An attempt that ended badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Whose.
    pub trial: TrialId,
    /// Which others are like it, where that is known.
    pub pack_key: Option<PackKey>,
    /// In which life of the worker.
    pub session: SessionId,
    /// Whether the worker fell silent; else it reported a failure.
    pub lost: bool,
    /// When.
    pub at: Timestamp,
}

/// A worker to be kept from trials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Until when.
    pub until: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Trials that failed there: no fault of theirs.
    pub failed: Vec<TrialId>,
    /// Trials that were lost there.
    pub lost: Vec<TrialId>,
}

/// How one worker fares.
#[derive(Clone, Debug, Default)]
struct Record {
    strikes: Vec<Strike>,
    quarantines: u32,
    /// When it brought the last result of each kind of trials.
    results: BTreeMap<PackKey, Timestamp>,
}

/// How all workers fare, by name, since this coordinator started.
#[derive(Clone, Debug, Default)]
pub struct Conduct {
    workers: BTreeMap<String, Record>,
    names: BTreeMap<SessionId, String>,
}

impl Conduct {
    /// A worker's process begins, or is met.
    pub fn met(&mut self, session: SessionId, worker: &str) {
        self.names.insert(session, worker.to_owned());
    }

    /// The worker of a session, if it has been met.
    #[must_use]
    pub fn name(&self, session: SessionId) -> Option<String> {
        self.names.get(&session).cloned()
    }

    /// A worker's process ends in order: whoever stopped it has looked at it.
    pub fn left(&mut self, session: SessionId) {
        if let Some(worker) = self.names.remove(&session) {
            self.workers.remove(&worker);
        }
    }

    /// A worker brings a result of trials of this kind: it is sound.
    pub fn succeeded(&mut self, worker: &str, pack_key: Option<PackKey>, now: Timestamp) {
        let record = self.workers.entry(worker.to_owned()).or_default();
        record.strikes.clear();
        record.quarantines = 0;
        record.results.retain(|_, at| at.plus_ms(WINDOW_MS) > now);
        record.results.extend(pack_key.map(|key| (key, now)));
    }

    /// An attempt ends badly on a worker. Answers whether that is one too many: trials in a row while another worker brings results
    /// of the same kind. Where nobody does, the trials may be what is broken, and a sweep has its own way of stopping.
    pub fn struck(&mut self, worker: &str, strike: Strike) -> Option<Quarantine> {
        let now = strike.at;
        let recent = |at: Timestamp| at.plus_ms(WINDOW_MS) > now;
        let earlier = self
            .workers
            .get(worker)
            .map(|record| record.strikes.as_slice());
        let keys: BTreeSet<PackKey> = earlier
            .unwrap_or_default()
            .iter()
            .chain([&strike])
            .filter_map(|strike| strike.pack_key)
            .collect();
        let brings = |record: &Record| {
            let mut results = record.results.iter();
            results.any(|(key, at)| keys.contains(key) && recent(*at))
        };
        let mut others = self.workers.iter().filter(|(name, _)| *name != worker);
        let others_do_well = others.any(|(_, record)| brings(record));
        let record = self.workers.entry(worker.to_owned()).or_default();
        record.strikes.retain(|strike| recent(strike.at));
        record.strikes.push(strike);
        let probation = record.quarantines > 0;
        let needed = if probation { 1 } else { STRIKES };
        let count = record.count();
        if count < needed || !others_do_well {
            return None;
        }
        let doubled = FIRST_MS << record.quarantines.min(16);
        let until = now.plus_ms(doubled.min(LONGEST_MS));
        record.quarantines += 1;
        let strikes = std::mem::take(&mut record.strikes);
        let failed: Vec<TrialId> = of(&strikes, false);
        let lost: Vec<TrialId> = of(&strikes, true);
        let reason = format!(
            "{} trials failed and {} were lost there in a row, while other workers bring results",
            failed.len(),
            lost.len()
        );
        Some(Quarantine {
            until,
            reason,
            failed,
            lost,
        })
    }
}

impl Record {
    /// Distinct trials that failed, and lost lives: one death counts once, however many trials it took along, and a trial that
    /// kills its worker again and again counts once.
    fn count(&self) -> usize {
        let mut lives: Vec<SessionId> = Vec::new();
        for strike in self.strikes.iter().filter(|strike| strike.lost) {
            if !lives.contains(&strike.session) {
                lives.push(strike.session);
            }
        }
        of(&self.strikes, false).len() + lives.len().min(of(&self.strikes, true).len())
    }
}

/// Distinct trials that failed, or were lost.
fn of(strikes: &[Strike], lost: bool) -> Vec<TrialId> {
    let mut trials: Vec<TrialId> = strikes
        .iter()
        .filter(|strike| strike.lost == lost)
        .map(|strike| strike.trial)
        .collect();
    trials.sort_unstable();
    trials.dedup();
    trials
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(10_000_000_000);

    const KEY: PackKey = PackKey([1; 16]);

    fn strike(trial: i64, life: u8, lost: bool) -> Strike {
        Strike {
            trial: TrialId(trial),
            pack_key: Some(KEY),
            session: SessionId([life; 16]),
            lost,
            at: NOW,
        }
    }

    /// After how many of these strikes the worker is quarantined.
    fn after(conduct: &mut Conduct, strikes: impl IntoIterator<Item = Strike>) -> Option<usize> {
        let mut quarantined = |strike| conduct.struck("bad", strike).is_some();
        strikes.into_iter().position(&mut quarantined)
    }

    fn beside_a_good_one() -> Conduct {
        let mut conduct = Conduct::default();
        conduct.succeeded("good", Some(KEY), NOW);
        conduct
    }

    #[test]
    fn distinct_trials_in_a_row_while_others_succeed() {
        let failing = || (1..10).map(|trial| strike(trial, 1, false));
        assert_eq!(after(&mut beside_a_good_one(), failing()), Some(4));
        assert_eq!(after(&mut Conduct::default(), failing()), None);
        let mut elsewhere = Conduct::default();
        elsewhere.succeeded("good", Some(PackKey([2; 16])), NOW);
        assert_eq!(after(&mut elsewhere, failing()), None);
        let same = (0..10).map(|_| strike(1, 1, false));
        assert_eq!(after(&mut beside_a_good_one(), same), None);
        let mut conduct = beside_a_good_one();
        assert_eq!(after(&mut conduct, failing().take(4)), None);
        conduct.succeeded("bad", Some(KEY), NOW);
        assert_eq!(after(&mut conduct, failing().take(4)), None);
    }

    #[test]
    fn one_death_with_a_whole_pack_is_one_strike_and_so_is_a_trial_that_kills() {
        let pack = (1..20).map(|trial| strike(trial, 1, true));
        assert_eq!(after(&mut beside_a_good_one(), pack), None);
        let killer = (1..20).map(|life| strike(1, life, true));
        assert_eq!(after(&mut beside_a_good_one(), killer), None);
        let dying = (1..20).map(|life| strike(i64::from(life), life, true));
        assert_eq!(after(&mut beside_a_good_one(), dying), Some(4));
    }

    #[test]
    fn a_second_quarantine_comes_sooner_and_takes_longer_until_a_result_or_a_restart_clears_the_record()
     {
        let mut conduct = beside_a_good_one();
        let quarantine = |conduct: &mut Conduct| {
            let (mut strikes, mut trial) = (0, 0);
            loop {
                (strikes, trial) = (strikes + 1, trial + 1);
                if let Some(found) = conduct.struck("bad", strike(trial, 1, false)) {
                    return (strikes, found.until.0 - NOW.0, found.failed.len());
                }
            }
        };
        assert_eq!(quarantine(&mut conduct), (5, FIRST_MS, 5));
        assert_eq!(quarantine(&mut conduct), (1, 2 * FIRST_MS, 1));
        conduct.succeeded("bad", Some(KEY), NOW);
        assert_eq!(quarantine(&mut conduct), (5, FIRST_MS, 5));
        conduct.met(SessionId([1; 16]), "bad");
        conduct.left(SessionId([1; 16]));
        assert_eq!(quarantine(&mut conduct), (5, FIRST_MS, 5));
    }
}
