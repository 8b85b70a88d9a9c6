//! Reports about attempts in the memory store: measurements, files, results, failures, hand-backs. Each passes the fence first.

use std::sync::Arc;

use descent_spec::id::{Timestamp, TrialId};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use descent_spec::state::{SweepState, TrialState};

use super::super::{AfterFailure, Artifact, Fence, Purpose, StoreError, Verdict, naming, number};
use super::tables::{AttemptEntry, Tables, TrialEntry};
use crate::core::breaker;
use crate::core::fence::{self, Claimant};
use crate::core::retry::RetryPolicy;
use crate::core::sweep::live;
use crate::core::trial::{Event, TrialPhase, transition};

impl TrialEntry {
    /// The attempt of this number, if this session had it.
    pub(super) fn attempt_of(&self, fence: Fence) -> Option<&AttemptEntry> {
        self.attempts
            .iter()
            .find(|attempt| attempt.number == fence.attempt && attempt.session == fence.session)
    }
}

/// The claimant that a fence names.
pub(super) fn claimant(fence: Fence) -> Claimant {
    Claimant {
        session: fence.session,
        attempt: fence.attempt,
    }
}

impl Tables {
    /// Whether the fence holds.
    fn holds(&self, fence: Fence) -> bool {
        self.trials
            .get(&fence.trial.0)
            .is_some_and(|entry| fence::holds(&entry.trial, claimant(fence)))
    }

    /// Whether the attempt that a fence names ended in this way.
    fn ended_as(&self, fence: Fence, outcome: &str) -> bool {
        self.trials
            .get(&fence.trial.0)
            .and_then(|entry| entry.attempt_of(fence))
            .is_some_and(|attempt| attempt.outcome == outcome)
    }

    /// Lets an event happen to a trial for which it is known to fit.
    pub(super) fn apply(&mut self, id: i64, event: Event, now: Timestamp) {
        // Who is poisoned is decided where a lease is revoked.
        let policy = RetryPolicy {
            max_crashes: None,
            ..RetryPolicy::default()
        };
        self.change(id, |entry| {
            entry.trial = transition(entry.trial, event, now, &policy)
                .expect("the caller has checked the trial's phase");
        });
    }

    pub(super) fn append_metrics(
        &mut self,
        fence: Fence,
        seq: u64,
        measurements: &[Measurement],
    ) -> Result<(Verdict, u64), StoreError> {
        let holds = self.holds(fence);
        let Some(entry) = self.trials.get_mut(&fence.trial.0).map(Arc::make_mut) else {
            return Ok((Verdict::Fenced, 0));
        };
        let attempt = entry
            .attempts
            .iter_mut()
            .find(|attempt| attempt.number == fence.attempt && attempt.session == fence.session);
        let Some(attempt) = attempt else {
            return Ok((Verdict::Fenced, 0));
        };
        let last = attempt.metric_seq;
        if !holds {
            let replayed = attempt.outcome == "succeeded" && seq <= last;
            return Ok((
                if replayed {
                    Verdict::Accepted
                } else {
                    Verdict::Fenced
                },
                last,
            ));
        }
        if seq <= last {
            return Ok((Verdict::Accepted, last));
        }
        if seq != last + 1 {
            return Err(StoreError::MetricGap { last, found: seq });
        }
        attempt.metric_seq = seq;
        for measurement in measurements {
            let measurement = number::finite(measurement);
            entry
                .metrics
                .insert(measurement.epoch, (fence.attempt, measurement));
        }
        Ok((Verdict::Accepted, seq))
    }

    pub(super) fn commit_artifact(
        &mut self,
        fence: Fence,
        purpose: Purpose,
        artifact: Artifact,
    ) -> Verdict {
        let holds = self.holds(fence);
        let Some(entry) = self.trials.get_mut(&fence.trial.0).map(Arc::make_mut) else {
            return Verdict::Fenced;
        };
        let place = match purpose {
            Purpose::Checkpoint => &mut entry.checkpoint,
            Purpose::Weights => &mut entry.weights,
        };
        if holds {
            *place = Some(artifact);
        }
        if holds {
            Verdict::Accepted
        } else {
            Verdict::Fenced
        }
    }

    pub(super) fn complete(
        &mut self,
        completions: &[(Fence, TrialResult)],
        now: Timestamp,
    ) -> Vec<Verdict> {
        let verdicts = completions
            .iter()
            .map(|(fence, result)| self.complete_one(*fence, result, now))
            .collect();
        self.settle(now);
        verdicts
    }

    /// Ends one attempt with its result.
    fn complete_one(&mut self, fence: Fence, result: &TrialResult, now: Timestamp) -> Verdict {
        if !self.holds(fence) {
            return if self.ended_as(fence, "succeeded") {
                Verdict::Accepted
            } else {
                Verdict::Fenced
            };
        }
        let id = fence.trial.0;
        self.apply(id, Event::Complete(claimant(fence)), now);
        self.end_attempt(id, "succeeded", None, now);
        let entry = self.trial_mut(id);
        let mut result = result.clone();
        result.last = number::finite(&result.last);
        result.coefficient_norm = number::finite_only(result.coefficient_norm);
        let last = result.last.epoch;
        // What an earlier attempt measured later than this one ended is no part of the result.
        entry
            .metrics
            .retain(|&epoch, (attempt, _)| epoch <= last || *attempt == fence.attempt);
        entry.result = Some((fence.attempt, result));
        entry.checkpoint = None;
        for child in entry.children.clone() {
            if self.trial(child).trial.phase == TrialPhase::Blocked {
                self.apply(child, Event::Unblock, now);
            }
        }
        Verdict::Accepted
    }

    pub(super) fn budget(&self, fence: Fence) -> Option<(u32, u32)> {
        let entry = self.trials.get(&fence.trial.0)?;
        fence::holds(&entry.trial, claimant(fence))
            .then_some((entry.trial.failures, entry.new.max_failures))
    }

    pub(super) fn fail(
        &mut self,
        fence: Fence,
        failure: &Failure,
        after: AfterFailure,
        now: Timestamp,
    ) -> Option<TrialState> {
        let id = fence.trial.0;
        if !self.holds(fence) {
            let replayed = self.ended_as(fence, "failed");
            return replayed.then(|| self.trial(id).trial.phase.state());
        }
        self.end_attempt(id, "failed", Some(failure.message.clone()), now);
        let attempt = self.trial_mut(id).attempts.last_mut();
        attempt.expect("a held trial has an attempt").failure = Some(failure.kind);
        for sweep in self.trial(id).sweeps.clone() {
            let sweep = self
                .sweeps
                .get_mut(&sweep)
                .expect("links name sweeps that exist");
            sweep
                .first_failure
                .get_or_insert_with(|| failure.message.clone());
        }
        let phase = match after {
            AfterFailure::Retry { at } if at <= now => TrialPhase::Ready,
            AfterFailure::Retry { at } => TrialPhase::Delayed { until: at },
            AfterFailure::GiveUp => TrialPhase::Failed,
            AfterFailure::Pardon => TrialPhase::Ready,
        };
        let pardoned = after == AfterFailure::Pardon;
        self.change(id, |entry| {
            entry.trial.failures += u32::from(!pardoned);
            entry.trial.phase = phase;
        });
        if phase == TrialPhase::Failed {
            self.skip_below([id]);
        }
        if !pardoned {
            self.count_alike(fence.trial, failure);
        }
        self.settle(now);
        Some(phase.state())
    }

    /// Counts a failure that was just written in the sweeps at work of which something is still to be done.
    fn count_alike(&mut self, trial: TrialId, failure: &Failure) {
        for id in self.trial(trial.0).sweeps.clone() {
            let sweep = self
                .sweeps
                .get_mut(&id)
                .expect("links name sweeps that exist");
            let at_work = matches!(sweep.state, SweepState::Expanding | SweepState::Running);
            if !at_work || (sweep.expanded && live(&sweep.counts) == 0) {
                continue;
            }
            let results = sweep.counts.get(&TrialState::Succeeded);
            let results = results.copied().unwrap_or_default();
            let limit = sweep.new.max_alike_failures;
            let before = sweep.alike.take();
            let (after, tripped) = breaker::after_failure(before, failure, trial, results, limit);
            let Some(reason) = tripped else {
                sweep.alike = after;
                continue;
            };
            naming::paused(&sweep.new.name, &reason);
            sweep.state = SweepState::Paused;
            sweep.pause_reason = Some(reason);
            let trials: Vec<i64> = sweep.links.keys().copied().collect();
            trials.iter().for_each(|&trial| self.refresh(trial));
        }
    }

    pub(super) fn release(&mut self, fences: &[Fence], now: Timestamp) -> Vec<Verdict> {
        let release = |&fence: &Fence| {
            if self.holds(fence) {
                self.hand_back(fence.trial.0, now);
                Verdict::Accepted
            } else if self.ended_as(fence, "released") {
                Verdict::Accepted
            } else {
                Verdict::Fenced
            }
        };
        fences.iter().map(release).collect()
    }

    /// Ends the trial's attempt without charge and makes the trial ready again.
    pub(super) fn hand_back(&mut self, id: i64, now: Timestamp) {
        self.end_attempt(id, "released", None, now);
        self.change(id, |entry| {
            entry.trial.phase = TrialPhase::Ready;
            entry.trial.releases += 1;
        });
    }
}
