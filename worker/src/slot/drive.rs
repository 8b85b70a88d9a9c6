//! Drives one pack on the slot's thread: a slice of steps, then a look around, until nobody is left in it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use descent_training::pack::{Event, Member, Pack, TrainError};

use super::entry::Entry;
use super::prepare::Ready;
use crate::activity::SlotActivity;
use crate::context::Context;
use crate::failure::{Cause, panic_message};
use crate::lease::Lease;

/// Most steps in one slice, however fast they are.
const SLICE_STEPS_MAX: u32 = 1 << 20;

type Entries = BTreeMap<u64, Entry>;

/// Trains a pack to its end, or until the worker stops. Answers the leases that have to start once more, each alone:
/// when the trainer panics nobody knows on whose account, and members do not influence each other's numbers.
pub(super) fn drive(
    context: &Context,
    pack: Vec<Ready>,
    show: &dyn Fn(SlotActivity),
) -> Vec<Lease> {
    let alone = pack.len() == 1;
    let mut entries = Entries::new();
    let mut members = Vec::with_capacity(pack.len());
    for (key, ready) in (0_u64..).zip(pack) {
        members.push(Member {
            key,
            data: ready.lease.claimed().data,
            checkpoint: ready.checkpoint,
            parent_weights: ready.parent_weights,
            spec: ready.spec,
        });
        let member = &members[members.len() - 1];
        let resumed = member.checkpoint.is_some();
        entries.insert(key, Entry::new(key, ready.lease, &member.spec, resumed));
    }
    let mut again = Vec::new();
    let driven = catch_unwind(AssertUnwindSafe(|| {
        let (pack, events) = context.world.trainer.open(members);
        Driver {
            context,
            pack,
            entries: &mut entries,
            again: &mut again,
        }
        .train(events, show);
    }));
    if let Err(payload) = driven {
        let message = panic_message(payload.as_ref());
        tracing::error!(
            message,
            members = entries.len(),
            "the trainer panicked: a bug"
        );
        for (_, entry) in std::mem::take(&mut entries) {
            if alone {
                entry.lease.fail(Cause::Panic(message.clone()));
            } else {
                again.push(entry.lease);
            }
        }
    }
    again
}

struct Driver<'a> {
    context: &'a Context,
    pack: Box<dyn Pack>,
    entries: &'a mut Entries,
    again: &'a mut Vec<Lease>,
}

impl Driver<'_> {
    fn train(mut self, events: Vec<Event>, show: &dyn Fn(SlotActivity)) {
        let start = self.now();
        for progress in self.pack.progress() {
            if let Some(entry) = self.entries.get_mut(&progress.key) {
                entry.start(start, progress);
            }
        }
        self.take(events);
        let mut steps = 1;
        while self.look_around() {
            let before = self.now();
            let samples_before = self.samples();
            let events = self.pack.advance(steps);
            self.follow();
            let samples = self.samples().saturating_sub(samples_before);
            self.take(events);
            let took = self.now().saturating_sub(before);
            steps = adapt(steps, took, self.context.config.slice);
            if let Some(activity) = self.activity(samples, took) {
                show(activity);
            }
        }
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
        let leaving = shutdown.is_draining() || *self.context.orphaned.borrow();
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
            } else if leaving {
                if entry.is_unsaved() {
                    self.save(key, now);
                }
                if let Some(entry) = self.remove(key) {
                    entry.lease.release();
                }
            } else if entry.wants_checkpoint(now) {
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
            }
        }
    }

    /// Passes on what happened, and sees to it that nobody who has left the pack is waited for.
    fn take(&mut self, events: Vec<Event>) {
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
                        self.failed(entry, error);
                    }
                }
            }
        }
        let there: Vec<u64> = self.pack.progress().iter().map(|now| now.key).collect();
        for (_, entry) in self.entries.extract_if(.., |key, _| !there.contains(key)) {
            entry.lease.fail(Cause::Lost);
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
            self.again.push(entry.lease);
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

/// Steps for the next slice, so that it takes about `slice`: at most doubled, because the first steps are the slowest.
fn adapt(steps: u32, took: Duration, slice: Duration) -> u32 {
    let factor = slice.as_secs_f64() / took.as_secs_f64().max(1e-9);
    let wanted = f64::from(steps) * factor.clamp(0.1, 2.0);
    // In range by the clamp, and never 0.
    (wanted as u32).clamp(1, SLICE_STEPS_MAX)
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
