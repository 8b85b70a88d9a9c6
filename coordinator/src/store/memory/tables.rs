//! What the memory store holds, and the bookkeeping that every change of a trial goes through.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use descent_spec::id::{
    AttemptNumber, ContentHash, Identity, PackKey, RequestId, SessionId, SweepId, Timestamp,
    TrialId,
};
use descent_spec::outcome::{FailureKind, Measurement, TrialResult};
use descent_spec::state::{SweepState, TrialState};

use super::super::{Artifact, NewSession, NewSweep, NewTrial, StoreError, SweepRow, naming};
use crate::core::breaker::Alike;
use crate::core::lease::SessionPhase;
use crate::core::sweep::{hands_out, settle};
use crate::core::trial::{Trial, TrialPhase};

/// What decides who can train a trial, and with what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class {
    pub(super) pack_key: PackKey,
    pub(super) data: ContentHash,
    pub(super) device: String,
    pub(super) instruction_set: String,
}

impl Class {
    pub(super) fn of(trial: &NewTrial) -> Self {
        Self {
            pack_key: trial.pack_key,
            data: trial.data,
            device: trial.device.clone(),
            instruction_set: trial.instruction_set.clone(),
        }
    }

    /// Whether a worker's device and instruction set are what the class asks for. `cuda` fits `cuda:0`.
    pub(super) fn fits(&self, session: &NewSession) -> bool {
        let kind = session.device.split(':').next().unwrap_or_default();
        (self.device.is_empty() || self.device == session.device || self.device == kind)
            && (self.instruction_set.is_empty() || self.instruction_set == session.instruction_set)
    }
}

/// Where a ready trial stands among its likes: priority, order, row number.
pub(super) type Urgency = (Reverse<i64>, i64, i64);

/// A trial with all that hangs on it.
#[derive(Clone)]
pub(super) struct TrialEntry {
    pub(super) new: NewTrial,
    pub(super) class: Class,
    pub(super) trial: Trial,
    pub(super) held: bool,
    pub(super) priority: i64,
    pub(super) leased_at: Timestamp,
    pub(super) parent: Option<i64>,
    pub(super) children: BTreeSet<i64>,
    pub(super) sweeps: BTreeSet<i64>,
    pub(super) checkpoint: Option<Artifact>,
    pub(super) weights: Option<Artifact>,
    pub(super) attempts: Vec<AttemptEntry>,
    pub(super) result: Option<(AttemptNumber, TrialResult)>,
    pub(super) metrics: BTreeMap<u32, (AttemptNumber, Measurement)>,
}

/// One execution.
#[derive(Clone)]
pub(super) struct AttemptEntry {
    pub(super) number: AttemptNumber,
    pub(super) session: SessionId,
    pub(super) started_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) outcome: &'static str,
    pub(super) failure: Option<FailureKind>,
    pub(super) message: Option<String>,
    pub(super) metric_seq: u64,
}

/// A sweep and which trials it wants.
#[derive(Clone)]
pub(super) struct SweepEntry {
    pub(super) id: i64,
    pub(super) new: NewSweep,
    pub(super) state: SweepState,
    pub(super) expanded: bool,
    pub(super) edition: u64,
    pub(super) cursor: u64,
    pub(super) counts: BTreeMap<TrialState, u64>,
    pub(super) created_at: Timestamp,
    pub(super) finished_at: Option<Timestamp>,
    pub(super) first_failure: Option<String>,
    pub(super) alike: Option<Alike>,
    pub(super) pause_reason: Option<String>,
    /// Edition in which each trial was last seen among the points.
    pub(super) links: BTreeMap<i64, u64>,
}

/// A worker process's life.
#[derive(Clone)]
pub(super) struct SessionEntry {
    pub(super) new: NewSession,
    pub(super) phase: SessionPhase,
    pub(super) opened_at: Timestamp,
    /// End of its lease, however that ended.
    pub(super) lease_until: Timestamp,
    pub(super) draining: bool,
}

/// What a repeated call is answered with.
#[derive(Clone)]
pub(super) enum Reply {
    Submitted(SweepId),
    Steered,
    Deleted,
    Reran(u64),
    Claimed(Vec<(TrialId, AttemptNumber)>),
}

/// Everything.
#[derive(Clone, Default)]
pub(super) struct Tables {
    pub(super) last_sweep: i64,
    pub(super) last_trial: i64,
    pub(super) sweeps: BTreeMap<i64, SweepEntry>,
    /// Shared with copies of the tables until one changes.
    pub(super) trials: BTreeMap<i64, Arc<TrialEntry>>,
    pub(super) by_identity: BTreeMap<Identity, i64>,
    pub(super) ready: BTreeMap<Class, BTreeSet<Urgency>>,
    pub(super) sessions: BTreeMap<SessionId, SessionEntry>,
    /// By request: when, whose call it was, and the answer.
    pub(super) replies: BTreeMap<RequestId, (Timestamp, String, Reply)>,
    /// Workers that get no trials: until when, and why.
    pub(super) quarantine: BTreeMap<String, (Timestamp, String)>,
}

impl Tables {
    /// What this call was answered with before; refuses an id that was another call's.
    pub(super) fn replied(
        &self,
        request: RequestId,
        call: &str,
    ) -> Result<Option<&Reply>, StoreError> {
        match self.replies.get(&request) {
            None => Ok(None),
            Some((_, whose, reply)) if whose == call => Ok(Some(reply)),
            Some((_, whose, _)) => Err(naming::another_call(request, whose)),
        }
    }

    /// Keeps what a call is answered with.
    pub(super) fn reply(&mut self, request: RequestId, call: String, reply: Reply, now: Timestamp) {
        self.replies.insert(request, (now, call, reply));
    }

    pub(super) fn trial(&self, id: i64) -> &TrialEntry {
        self.trials
            .get(&id)
            .expect("row numbers come from the tables")
    }

    pub(super) fn trial_mut(&mut self, id: i64) -> &mut TrialEntry {
        let entry = self.trials.get_mut(&id);
        Arc::make_mut(entry.expect("row numbers come from the tables"))
    }

    /// Takes a trial out of the claim index, lets it be changed, puts it back where it belongs and moves the counters.
    pub(super) fn change<T>(&mut self, id: i64, edit: impl FnOnce(&mut TrialEntry) -> T) -> T {
        let entry = self.trials.get_mut(&id);
        let entry = Arc::make_mut(entry.expect("row numbers come from the tables"));
        let before = entry.trial.phase.state();
        let place = (Reverse(entry.priority), entry.new.ord, id);
        if let Some(index) = self.ready.get_mut(&entry.class) {
            index.remove(&place);
            if index.is_empty() {
                self.ready.remove(&entry.class);
            }
        }
        let answer = edit(entry);
        let after = entry.trial.phase.state();
        if after == TrialState::Ready && !entry.held {
            let place = (Reverse(entry.priority), entry.new.ord, id);
            self.ready
                .entry(entry.class.clone())
                .or_default()
                .insert(place);
        }
        if before != after {
            for sweep in entry.sweeps.clone() {
                self.count(sweep, before, after);
            }
        }
        answer
    }

    /// Moves a trial to another phase.
    pub(super) fn set_phase(&mut self, id: i64, phase: TrialPhase) {
        self.change(id, |entry| entry.trial.phase = phase);
    }

    fn count(&mut self, sweep: i64, before: TrialState, after: TrialState) {
        let counts = &mut self
            .sweeps
            .get_mut(&sweep)
            .expect("links name sweeps that exist")
            .counts;
        *counts.entry(before).or_default() -= 1;
        *counts.entry(after).or_default() += 1;
        counts.retain(|_, trials| *trials > 0);
    }

    /// Links a trial to a sweep, or marks the link as seen in this edition.
    pub(super) fn link(&mut self, sweep: i64, trial: i64) {
        let entry = self.trials.get_mut(&trial);
        let entry = Arc::make_mut(entry.expect("row numbers come from the tables"));
        let sweep_entry = self
            .sweeps
            .get_mut(&sweep)
            .expect("slices name sweeps that exist");
        if entry.sweeps.insert(sweep) {
            *sweep_entry
                .counts
                .entry(entry.trial.phase.state())
                .or_default() += 1;
        }
        sweep_entry.links.insert(trial, sweep_entry.edition);
    }

    /// Takes a trial out of a sweep.
    pub(super) fn unlink(&mut self, sweep: i64, trial: i64) {
        let entry = self.trials.get_mut(&trial);
        let entry = Arc::make_mut(entry.expect("row numbers come from the tables"));
        let sweep_entry = self
            .sweeps
            .get_mut(&sweep)
            .expect("the caller looked it up");
        entry.sweeps.remove(&sweep);
        sweep_entry.links.remove(&trial);
        *sweep_entry
            .counts
            .entry(entry.trial.phase.state())
            .or_default() -= 1;
        sweep_entry.counts.retain(|_, trials| *trials > 0);
    }

    /// Decides anew whether a trial is held back, and how urgent it is.
    pub(super) fn refresh(&mut self, id: i64) {
        let entry = self.trial(id);
        if entry.trial.phase.state().is_terminal() {
            return;
        }
        let handing = entry.sweeps.iter().map(|sweep| &self.sweeps[sweep]);
        let priority = handing
            .filter(|sweep| hands_out(sweep.state))
            .map(|sweep| sweep.new.priority)
            .max();
        let held = priority.is_none() && !entry.sweeps.is_empty();
        self.change(id, |entry| {
            entry.held = held;
            entry.priority = priority.unwrap_or(entry.priority);
        });
    }

    /// Ends the attempt that a trial is in, if it is in one.
    pub(super) fn end_attempt(
        &mut self,
        id: i64,
        outcome: &'static str,
        message: Option<String>,
        now: Timestamp,
    ) {
        if let Some(attempt) = self.trial_mut(id).attempts.last_mut()
            && attempt.ended_at.is_none()
        {
            attempt.ended_at = Some(now);
            attempt.outcome = outcome;
            attempt.message = message;
        }
    }

    /// Gives up everything that waits for these trials, however indirectly.
    pub(super) fn skip_below(&mut self, roots: impl IntoIterator<Item = i64>) {
        let mut open: Vec<i64> = roots.into_iter().collect();
        while let Some(id) = open.pop() {
            for child in self.trial(id).children.clone() {
                if self.trial(child).trial.phase == TrialPhase::Blocked {
                    self.set_phase(child, TrialPhase::Skipped);
                    open.push(child);
                }
            }
        }
    }

    /// Finishes sweeps of which nothing is live, and takes finished ones up again of which something is.
    pub(super) fn settle(&mut self, now: Timestamp) -> u64 {
        let mut finished = 0;
        for sweep in self.sweeps.values_mut() {
            let state = settle(sweep.state, sweep.expanded, &sweep.counts);
            if state != sweep.state {
                sweep.state = state;
                sweep.finished_at = (state == SweepState::Finished).then_some(now);
                finished += u64::from(state == SweepState::Finished);
            }
        }
        finished
    }

    pub(super) fn named(&self, name: &str) -> Option<&SweepEntry> {
        self.sweeps.values().find(|sweep| sweep.new.name == name)
    }

    pub(super) fn sweep_row(&self, sweep: &SweepEntry) -> SweepRow {
        let trials = || sweep.links.keys().map(|&id| self.trial(id));
        let holders: BTreeSet<SessionId> = trials()
            .filter_map(|entry| match entry.trial.phase {
                TrialPhase::Leased { holder } => Some(holder),
                _ => None,
            })
            .collect();
        SweepRow {
            id: SweepId(sweep.id),
            name: sweep.new.name.clone(),
            experiment: sweep.new.experiment.clone(),
            source: sweep.new.source.clone(),
            data: sweep.new.data.clone(),
            edition: sweep.edition,
            state: sweep.state,
            priority: sweep.new.priority,
            points: sweep.new.points,
            cursor: sweep.cursor,
            counts: sweep.counts.clone(),
            cost_total: sweep.new.cost_total,
            cost_done: trials()
                .filter(|entry| entry.trial.phase.state().is_terminal())
                .map(|entry| entry.new.columns.cost)
                .fold(0.0, |sum, cost| sum + cost),
            created_at: sweep.created_at,
            finished_at: sweep.finished_at,
            workers: u32::try_from(holders.len()).unwrap_or(u32::MAX),
            first_failure: sweep.first_failure.clone(),
            pause_reason: sweep.pause_reason.clone(),
        }
    }
}
