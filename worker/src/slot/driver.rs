//! Drives one pack for a slice: a look around, then some steps, then what came of them.

use std::time::Duration;

use descent_training::pack::{Event, Pack, ROUND_STEPS, TrainError};

use super::drive::{After, Entries, Next};
use super::entry::Entry;
use crate::activity::SlotActivity;
use crate::config::OrphanPolicy;
use crate::context::Context;
use crate::failure::Cause;
use crate::lease::Lease;
use crate::place::Place;

/// Most steps in one slice, however fast they are.
const SLICE_STEPS_MAX: u32 = 1 << 20;

/// Attempts in which a trial may lose its device without charge. After so many it may be what breaks devices, and would end one
/// worker after another.
const UNCHARGED_ATTEMPTS: i64 = 3;

/// Drives a pack for one slice.
pub(super) struct Driver<'a> {
    pub(super) context: &'a Context,
    pub(super) place: &'a Place,
    /// Members that trained here, of all slots, when the trainer was called last: before or after it, whichever is more.
    pub(super) crowd: usize,
    pub(super) pack: Box<dyn Pack>,
    pub(super) entries: &'a mut Entries,
    pub(super) after: &'a mut After,
}

impl Driver<'_> {
    /// The members are there, but for those whose end the events tell.
    pub(super) fn begin(mut self, events: Vec<Event>) -> Next {
        let start = self.now();
        for progress in self.pack.progress() {
            if let Some(entry) = self.entries.get_mut(&progress.key) {
                entry.start(start, progress);
                let fence = entry.lease.account().fence;
                self.context.config.ledger.start(fence, progress.step);
            }
        }
        self.take(events);
        let pack = self.pack;
        Next::Advance { pack, steps: 1 }
    }

    pub(super) fn go_on(mut self, steps: u32, show: &dyn Fn(SlotActivity)) -> Next {
        if !self.look_around() {
            return Next::Nothing;
        }
        let before = self.now();
        if self.is_paused() {
            return Next::Resume(self.pack, steps, before);
        }
        let samples_before = self.samples();
        self.crowd = self.place.members();
        let events = self.pack.advance(steps);
        self.crowd = self.crowd.max(self.place.members());
        self.follow();
        let samples = self.samples().saturating_sub(samples_before);
        self.take(events);
        let took = self.now().saturating_sub(before);
        if let Some(activity) = self.activity(samples, took) {
            show(activity);
        }
        let steps = adapt(steps, took, self.context.config.slice);
        let pack = self.pack;
        Next::Advance { pack, steps }
    }

    /// Whether nothing is computed until the coordinator answers. Not during the shutdown, which hands back.
    fn is_paused(&self) -> bool {
        *self.context.orphaned.borrow() == Some(OrphanPolicy::Pause)
            && !self.context.shutdown.is_draining()
    }

    fn now(&self) -> Duration {
        self.context.world.clock.now()
    }

    /// Carries out what the coordinator, the clock and the signals want. Answers whether to go on.
    fn look_around(&mut self) -> bool {
        let shutdown = &self.context.shutdown;
        if shutdown.is_aborted() {
            // The leases go down with the session; nothing is told any more.
            return false;
        }
        let orphaned = *self.context.orphaned.borrow();
        let leaving = shutdown.is_draining() || orphaned == Some(OrphanPolicy::Stop);
        let pausing = orphaned == Some(OrphanPolicy::Pause);
        let now = self.now();
        let keys: Vec<u64> = self.entries.keys().copied().collect();
        for key in keys {
            let entry = &self.entries[&key];
            if entry.lease.is_dropped() {
                self.remove(key);
            } else if let Some(limit) = entry.overdue(now) {
                if let Some(entry) = self.remove(key) {
                    entry.lease.fail(Cause::TimeLimit(limit));
                }
            } else if leaving || entry.lease.account().is_wanted_back() {
                if entry.is_unsaved() {
                    self.save(key, now);
                }
                if let Some(entry) = self.remove(key) {
                    entry.lease.release();
                }
            } else if entry.wants_checkpoint(now) || pausing && entry.is_unsaved() {
                self.save(key, now);
            }
        }
        !self.entries.is_empty()
    }

    fn remove(&mut self, key: u64) -> Option<Entry> {
        self.pack.remove(key);
        self.entries.remove(&key)
    }

    fn save(&mut self, key: u64, now: Duration) {
        // Closed forms have nothing to save.
        if let Some(content) = self.pack.checkpoint(key)
            && let Some(entry) = self.entries.get_mut(&key)
        {
            entry.saved(now, content);
        }
    }

    /// Notes how far everybody is.
    fn follow(&mut self) {
        for progress in self.pack.progress() {
            if let Some(entry) = self.entries.get_mut(&progress.key) {
                entry.moved(progress);
                let fence = entry.lease.account().fence;
                self.context.config.ledger.at(fence, progress.step);
            }
        }
    }

    /// Passes on what happened, and sees to it that nobody who has left the pack is waited for.
    fn take(&mut self, events: Vec<Event>) {
        let (mut short, mut broken) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                Event::Measured { key, measurement } => {
                    if let Some(entry) = self.entries.get(&key) {
                        entry.lease.measured(measurement);
                    }
                }
                Event::Finished {
                    key,
                    mut result,
                    weights,
                } => {
                    if let Some(entry) = self.entries.remove(&key) {
                        let spent = self.now().saturating_sub(entry.started_at);
                        result.train_ms = u64::try_from(spent.as_millis()).unwrap_or(u64::MAX);
                        entry.lease.finish(result, weights);
                    }
                }
                Event::Failed { key, error } => {
                    if let Some(entry) = self.entries.remove(&key) {
                        match error {
                            TrainError::OutOfMemory(reason) => short.push((key, entry, reason)),
                            TrainError::Device(reason) => broken.push((entry, reason)),
                            error => self.failed(entry, error),
                        }
                    }
                }
            }
        }
        self.device_failed(broken);
        self.out_of_memory(short);
        let there: Vec<u64> = self.pack.progress().iter().map(|now| now.key).collect();
        for (_, entry) in self.entries.extract_if(.., |key, _| !there.contains(key)) {
            entry.lease.fail(Cause::Lost);
        }
    }

    /// Members that found no memory. Whoever trained beside others is not charged with it: of a whole pack the first half
    /// starts once more where it was saved last, and the other half is handed back, because it cannot start now; so is who
    /// fell out of a pack that goes on.
    fn out_of_memory(&mut self, mut short: Vec<(u64, Entry, String)>) {
        let Some((_, first, _)) = short.first() else {
            return;
        };
        let kind = first.lease.claimed().pack_key;
        let crowd = self.crowd;
        let members = short.len() + self.entries.len();
        if crowd == 1 {
            for (_, entry, reason) in short {
                let cause = Cause::OutOfMemory(reason, entry.memory_bytes, entry.there_bytes);
                entry.lease.fail(cause);
            }
            return;
        }
        tracing::warn!(
            members,
            without = short.len(),
            reason = short[0].2,
            "a pack ran out of memory: the next ones are smaller"
        );
        self.place.was_too_many(kind, members);
        short.sort_by_key(|(key, ..)| *key);
        let whole = self.entries.is_empty();
        let kept = if whole && members > 1 {
            members.div_ceil(2).min(short.len())
        } else {
            0
        };
        let mut leases = short.into_iter().map(|(_, entry, _)| entry.lease);
        let again: Vec<Lease> = leases.by_ref().take(kept).collect();
        if !again.is_empty() {
            self.after.again(again);
        } else if whole {
            // Its own seat is given back with its entry, here.
            self.after.crowded = Some(crowd - 1);
        }
        leases.for_each(Lease::release);
    }

    /// Members on whose account the device reported an error. When it did so for everybody, the device is lost, and no trial
    /// is charged with it in its first attempts.
    fn device_failed(&mut self, broken: Vec<(Entry, String)>) {
        let Some((_, reason)) = broken.first() else {
            return;
        };
        if self.entries.is_empty() {
            self.context.lose(self.place, reason);
            for (entry, reason) in broken {
                let attempt = entry.lease.claimed().attempt.0;
                if attempt <= UNCHARGED_ATTEMPTS {
                    entry.lease.release();
                } else {
                    entry.lease.fail(Cause::DeviceLost(reason, attempt));
                }
            }
            return;
        }
        for (entry, reason) in broken {
            entry.lease.fail(Cause::Train(TrainError::Device(reason)));
        }
    }

    fn failed(&mut self, entry: Entry, error: TrainError) {
        let account = entry.lease.account();
        if entry.resumed && matches!(error, TrainError::Artifact(_)) {
            // As with a checkpoint that arrives damaged: it costs time and nothing else.
            account.forget_checkpoint();
            account.span.in_scope(
                || tracing::warn!(reason = %error, "the checkpoint cannot be used, the trial starts over"),
            );
            // Not handed back, though the pack goes on meanwhile: whoever took it next would get the same checkpoint.
            self.after.again(vec![entry.lease]);
        } else {
            entry.lease.fail(Cause::Train(error));
        }
    }

    /// Training samples that the members still here have seen.
    fn samples(&self) -> u64 {
        self.entries
            .values()
            .map(|entry| entry.now.step.saturating_mul(entry.batch.into()))
            .sum()
    }

    fn activity(&self, samples: u64, took: Duration) -> Option<SlotActivity> {
        let first = self.entries.values().next()?;
        Some(SlotActivity {
            sweep: first.lease.claimed().sweep.clone(),
            widths: self.entries.values().map(|entry| entry.width).collect(),
            epoch: self.entries.values().map(|entry| entry.now.epoch).min()?,
            epochs: self.entries.values().map(|entry| entry.epochs).max()?,
            samples_per_s: samples as f64 / took.as_secs_f64().max(1e-6),
        })
    }
}

/// Steps for the next slice, so that it takes about `slice`: at most doubled, because the first steps are the slowest. Whole
/// rounds where there are any.
fn adapt(steps: u32, took: Duration, slice: Duration) -> u32 {
    let factor = slice.as_secs_f64() / took.as_secs_f64().max(1e-9);
    let wanted = f64::from(steps) * factor.clamp(0.1, 2.0);
    // In range by the clamp, and never 0.
    let wanted = (wanted as u32).clamp(1, SLICE_STEPS_MAX);
    if wanted < ROUND_STEPS {
        wanted
    } else {
        wanted - wanted % ROUND_STEPS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_settle_at_the_wanted_length() {
        let slice = Duration::from_millis(75);
        let step = Duration::from_micros(130);
        let mut steps = 1;
        for _ in 0..20 {
            steps = adapt(steps, step * steps, slice);
        }
        assert_eq!(steps, 576);
        // One slow step is not made worse.
        assert_eq!(adapt(1, Duration::from_secs(9), slice), 1);
        // A clock that stands still does not run away.
        assert_eq!(
            (0..40).fold(1, |steps, _| adapt(steps, Duration::ZERO, slice)),
            SLICE_STEPS_MAX
        );
    }
}
