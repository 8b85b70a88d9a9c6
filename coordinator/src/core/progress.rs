//! How far the trials in training are, as heartbeats tell it: who hangs, who runs too long, who is slow.
//!
//! A process that beats may hang nevertheless: the beat comes from another thread than training. So beside the session's lease
//! every attempt has a deadline of its own: a step within so much time. Time counts only between beats, so that neither an outage
//! nor a machine's sleep is taken for a hang.

use std::collections::BTreeMap;

use descent_spec::id::{AttemptNumber, PackKey, SessionId, Timestamp, TrialId};
use descent_spec::lease::{Fence, Held};
use descent_spec::outcome::{Failure, FailureKind};

/// What a worker is given beyond a time limit to end the attempt by itself, as it should.
const LEAST_GRACE_MS: i64 = 60_000;
/// Attempts that no beat has named for so long are forgotten; their sessions are gone.
const FORGOTTEN_MS: i64 = 3_600_000;

/// What one attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The trial.
    pub trial: TrialId,
    /// Its pack key: those of the same one are its likes.
    pub pack_key: PackKey,
    /// Time without a step, in milliseconds; 0: any.
    pub stall_ms: u64,
    /// Time in training, in milliseconds; 0: any.
    pub time_limit_ms: u64,
}

/// One attempt.
#[derive(Clone, Debug)]
struct Entry {
    epoch: u32,
    step: u64,
    /// Where it began, once it moved.
    begun: Option<u64>,
    beat_at: Timestamp,
    /// Time since the last step, as far as beats tell.
    still_ms: i64,
    /// Time in training, as far as beats tell.
    ran_ms: i64,
    pack_key: Option<PackKey>,
    limits: Option<Limits>,
}

impl Entry {
    fn new(now: Timestamp) -> Self {
        Self {
            epoch: 0,
            step: 0,
            begun: None,
            beat_at: now,
            still_ms: 0,
            ran_ms: 0,
            pack_key: None,
            limits: None,
        }
    }
}

/// An attempt as a person is told of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Epochs completed.
    pub epoch: u32,
    /// Steps completed.
    pub step: u64,
    /// When the worker was heard of last.
    pub beat_at: Timestamp,
    /// Time since its last step, in milliseconds.
    pub still_ms: i64,
    /// Steps a second, once it has been in training for a while.
    pub steps_per_s: Option<f64>,
    /// The median of its likes in training, and how many they are.
    pub likes: Option<(f64, usize)>,
}

/// All attempts in training that this coordinator hears of.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    entries: BTreeMap<(SessionId, TrialId, AttemptNumber), Entry>,
}

impl Progress {
    /// Takes a beat that lists these trials. A gap between two beats counts for `longest_gap_ms` at most.
    pub fn beat(&mut self, session: SessionId, held: &[Held], longest_gap_ms: i64, now: Timestamp) {
        let listed = |trial: TrialId, attempt: AttemptNumber| {
            held.iter()
                .any(|held| held.trial == trial && held.attempt == attempt)
        };
        let whole = self.of(session);
        for key in whole {
            if !listed(key.1, key.2) {
                self.entries.remove(&key);
            }
        }
        for held in held {
            let key = (session, held.trial, held.attempt);
            let entry = self.entries.entry(key).or_insert_with(|| Entry::new(now));
            let gap = now.0.saturating_sub(entry.beat_at.0);
            let gap = gap.clamp(0, longest_gap_ms.max(0));
            let moved = (held.epoch, held.step) != (entry.epoch, entry.step);
            if (held.epoch, held.step) == (0, 0) {
                // It has not begun, or waits to begin once more after its pack fell apart: then all counts from there.
                (entry.begun, entry.still_ms, entry.ran_ms) = (None, 0, 0);
            } else {
                if entry.begun.is_some() {
                    entry.ran_ms += gap;
                    entry.still_ms += gap;
                }
                if moved {
                    entry.begun.get_or_insert(held.step);
                    entry.still_ms = 0;
                }
            }
            (entry.epoch, entry.step, entry.beat_at) = (held.epoch, held.step, now);
        }
    }

    /// A worker is given a trial.
    pub fn granted(&mut self, fence: Fence, pack_key: PackKey, now: Timestamp) {
        let key = (fence.session, fence.trial, fence.attempt);
        let entry = self.entries.entry(key).or_insert_with(|| Entry::new(now));
        entry.pack_key = Some(pack_key);
    }

    /// The pack key of an attempt that is heard of here.
    #[must_use]
    pub fn pack_key(&self, fence: Fence) -> Option<PackKey> {
        let key = (fence.session, fence.trial, fence.attempt);
        self.entries.get(&key)?.pack_key
    }

    /// Something else than a step happened that shows that the attempt lives: a file of it arrives.
    pub fn stir(&mut self, fence: Fence) {
        let key = (fence.session, fence.trial, fence.attempt);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.still_ms = 0;
        }
    }

    /// Trials of a session whose limits are not known here yet.
    #[must_use]
    pub fn unknown(&self, session: SessionId) -> Vec<TrialId> {
        let without =
            |key: &&(SessionId, TrialId, AttemptNumber)| self.entries[*key].limits.is_none();
        let keys = self.of(session);
        keys.iter().filter(without).map(|key| key.1).collect()
    }

    /// Takes in what trials may take.
    pub fn learn(&mut self, session: SessionId, limits: &[Limits]) {
        for key in self.of(session) {
            if let Some(known) = limits.iter().find(|limits| limits.trial == key.1)
                && let Some(entry) = self.entries.get_mut(&key)
            {
                entry.limits = Some(*known);
                entry.pack_key = Some(known.pack_key);
            }
        }
    }

    /// Attempts of a session that are to be ended, and with what: those that hang, and those whose worker lets them run on.
    #[must_use]
    pub fn overdue(&self, session: SessionId) -> Vec<(Fence, Failure)> {
        let overdue = |key: (SessionId, TrialId, AttemptNumber)| {
            let failure = self.entries[&key].failure()?;
            let (session, trial, attempt) = key;
            let fence = Fence {
                session,
                trial,
                attempt,
            };
            Some((fence, failure))
        };
        self.of(session).into_iter().filter_map(overdue).collect()
    }

    /// How far an attempt is, if it is heard of here.
    #[must_use]
    pub fn seen(&self, trial: TrialId, attempt: AttemptNumber) -> Option<Seen> {
        let is_it = |key: &&(SessionId, TrialId, AttemptNumber)| key.1 == trial && key.2 == attempt;
        let (own, entry) = self.entries.iter().find(|(key, _)| is_it(key))?;
        let alike = |(key, other): (_, &Entry)| {
            let same = other.pack_key.is_some() && other.pack_key == entry.pack_key;
            (key != own && same).then(|| other.speed()).flatten()
        };
        let mut speeds: Vec<f64> = self.entries.iter().filter_map(alike).collect();
        speeds.sort_unstable_by(f64::total_cmp);
        let median = speeds.get(speeds.len() / 2);
        Some(Seen {
            epoch: entry.epoch,
            step: entry.step,
            beat_at: entry.beat_at,
            still_ms: entry.still_ms,
            steps_per_s: entry.speed(),
            likes: median.map(|&median| (median, speeds.len())),
        })
    }

    /// A session ends.
    pub fn left(&mut self, session: SessionId) {
        for key in self.of(session) {
            self.entries.remove(&key);
        }
    }

    /// Forgets what has not been heard of for long.
    pub fn tidy(&mut self, now: Timestamp) {
        self.entries
            .retain(|_, entry| entry.beat_at.plus_ms(FORGOTTEN_MS) > now);
    }

    /// The attempts of a session.
    fn of(&self, session: SessionId) -> Vec<(SessionId, TrialId, AttemptNumber)> {
        let first = (session, TrialId(i64::MIN), AttemptNumber(i64::MIN));
        let last = (session, TrialId(i64::MAX), AttemptNumber(i64::MAX));
        self.entries
            .range(first..=last)
            .map(|(key, _)| *key)
            .collect()
    }
}

impl Entry {
    /// Steps a second, when it has been long enough in training to tell.
    fn speed(&self) -> Option<f64> {
        let begun = self.begun?;
        let steps = self.step.saturating_sub(begun);
        (self.ran_ms >= 1_000 && steps > 0).then(|| steps as f64 * 1000.0 / self.ran_ms as f64)
    }

    fn failure(&self) -> Option<Failure> {
        let limits = self.limits?;
        let (stall, limit) = (signed(limits.stall_ms), signed(limits.time_limit_ms));
        let grace = LEAST_GRACE_MS.max(limit / 10);
        if limit > 0 && limit.saturating_add(grace) < self.ran_ms {
            return Some(Failure {
                kind: FailureKind::TimeLimit,
                message: format!(
                    "not finished after {} s, and its worker did not stop it at its time limit of {} s: raise run.time_limit_s",
                    self.ran_ms / 1000,
                    limit / 1000
                ),
            });
        }
        (stall > 0 && stall <= self.still_ms).then(|| Failure {
            kind: FailureKind::Stalled,
            message: format!(
                "no step for {} s, in epoch {} at step {}, though the worker's process lives: it hangs, or its steps take longer \
                 than run.stall_s",
                self.still_ms / 1000,
                self.epoch,
                self.step
            ),
        })
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use super::*;

    const ME: SessionId = SessionId([1; 16]);
    const GAP_MS: i64 = 30_000;

    fn held(trial: i64, step: u64) -> Held {
        Held {
            trial: TrialId(trial),
            attempt: AttemptNumber(1),
            epoch: 0,
            step,
        }
    }

    fn limits(trial: i64, stall_ms: u64, time_limit_ms: u64) -> Limits {
        Limits {
            trial: TrialId(trial),
            pack_key: PackKey([7; 16]),
            stall_ms,
            time_limit_ms,
        }
    }

    /// Beats every 5 s with these steps of trial 1; answers after how many beats it is overdue, and as what.
    fn overdue(
        limits: Limits,
        steps: impl IntoIterator<Item = u64>,
    ) -> Option<(usize, FailureKind)> {
        let mut progress = Progress::default();
        for (beat, step) in (0_i64..).zip(steps) {
            progress.beat(ME, &[held(1, step)], GAP_MS, Timestamp(beat * 5_000));
            progress.learn(ME, &[limits]);
            if let Some((fence, failure)) = progress.overdue(ME).pop() {
                assert_eq!((fence.session, fence.trial), (ME, TrialId(1)));
                return Some((usize::try_from(beat).unwrap(), failure.kind));
            }
        }
        None
    }

    #[test]
    fn a_trial_that_stands_still_hangs_and_one_that_has_not_begun_waits() {
        let stall = limits(1, 20_000, 0);
        assert_eq!(overdue(stall, [1; 100]), Some((4, FailureKind::Stalled)));
        let creeping = (0..100_u64).map(|beat| beat / 3);
        assert_eq!(overdue(stall, creeping), None);
        assert_eq!(overdue(stall, [0; 100]), None);
        assert_eq!(overdue(limits(1, 0, 0), [1; 1000]), None);
    }

    #[test]
    fn a_trial_that_waits_to_begin_once_more_neither_hangs_nor_runs() {
        let limits = limits(1, 20_000, 60_000);
        // 100 s of waiting between two times of training that are each within the limits.
        let steps = (1..10).chain([9; 3]).chain([0; 20]).chain(1..10);
        assert_eq!(overdue(limits, steps.clone()), None);
        // From there on it is reckoned anew.
        let hangs = steps.chain([9; 100]);
        assert_eq!(overdue(limits, hangs), Some((44, FailureKind::Stalled)));
    }

    #[test]
    fn a_worker_that_ignores_the_time_limit_is_overruled() {
        let limit = limits(1, 0, 60_000);
        let (beat, kind) = overdue(limit, 1..100).unwrap();
        assert_eq!(kind, FailureKind::TimeLimit);
        assert!((24..=26).contains(&beat), "{beat}");
    }

    #[test]
    fn an_outage_is_no_hang_and_a_file_that_arrives_is_life() {
        let mut progress = Progress::default();
        let mut at = |ms, stir: bool| {
            progress.beat(ME, &[held(1, 9)], GAP_MS, Timestamp(ms));
            progress.learn(ME, &[limits(1, 60_000, 0)]);
            if stir {
                progress.stir(Fence {
                    session: ME,
                    trial: TrialId(1),
                    attempt: AttemptNumber(1),
                });
            }
            progress.overdue(ME).len()
        };
        assert_eq!(at(0, false), 0);
        // A day without beats counts for one gap.
        assert_eq!(at(86_400_000, true), 0);
        assert_eq!(at(86_430_000, false), 0);
        assert_eq!(at(86_460_000, false), 1);
    }

    #[test]
    fn a_slow_trial_is_told_from_its_likes() {
        let mut progress = Progress::default();
        for beat in 0..11_u64 {
            let held: Vec<Held> = (1..=4_i64)
                .map(|trial| held(trial, 1 + beat * if trial == 1 { 50 } else { 500 }))
                .collect();
            let now = Timestamp(i64::try_from(beat).unwrap() * 5_000);
            progress.beat(ME, &held, GAP_MS, now);
            let all: Vec<Limits> = (1..=4).map(|trial| limits(trial, 0, 0)).collect();
            progress.learn(ME, &all);
        }
        let seen = progress.seen(TrialId(1), AttemptNumber(1)).unwrap();
        assert_eq!(seen.steps_per_s, Some(10.0));
        assert_eq!(seen.likes, Some((100.0, 3)));
        // What is not listed any more is forgotten.
        progress.beat(ME, &[], GAP_MS, Timestamp(60_000));
        assert_eq!(progress.seen(TrialId(1), AttemptNumber(1)), None);
    }
}
