//! Sweeps in the memory store: acknowledged, expanded, steered, deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use descent_spec::id::{Identity, RequestId, SweepId, Timestamp};
use descent_spec::state::{SweepState, TrialState};

use super::super::{
    IfExists, NewSweep, NewTrial, Rerun, Slice, Steer, StoreError, SweepRow, naming,
};
use super::tables::{Class, Reply, SweepEntry, Tables, TrialEntry};
use crate::core::sweep::wants;
use crate::core::trial::{Trial, TrialPhase};

impl Tables {
    pub(super) fn submit(
        &mut self,
        request: RequestId,
        new: &NewSweep,
        exists: IfExists,
        now: Timestamp,
    ) -> Result<SweepId, StoreError> {
        let call = naming::call("submit", &new.name);
        if let Some(Reply::Submitted(id)) = self.replied(request, &call)? {
            return Ok(*id);
        }
        let view = naming::view_name(&new.name)?;
        let same_view = self
            .sweeps
            .values()
            .find(|sweep| naming::view_name(&sweep.new.name).is_ok_and(|other| other == view));
        let id = match same_view {
            Some(other) if other.new.name != new.name => {
                return Err(naming::view_taken(&new.name, &view, &other.new.name));
            }
            Some(same) => {
                naming::may_replace(&new.name, same.edition, exists)?;
                same.id
            }
            None => {
                self.last_sweep += 1;
                self.last_sweep
            }
        };
        let sweep = self.sweeps.entry(id).or_insert_with(|| SweepEntry {
            id,
            new: new.clone(),
            state: SweepState::Expanding,
            expanded: false,
            edition: 0,
            cursor: 0,
            counts: BTreeMap::new(),
            created_at: now,
            finished_at: None,
            first_failure: None,
            alike: None,
            pause_reason: None,
            links: BTreeMap::new(),
        });
        sweep.new = new.clone();
        sweep.state = SweepState::Expanding;
        sweep.expanded = false;
        sweep.edition += 1;
        sweep.cursor = 0;
        sweep.finished_at = None;
        sweep.alike = None;
        sweep.pause_reason = None;
        for trial in sweep.links.keys().copied().collect::<Vec<_>>() {
            self.refresh(trial);
        }
        let reply = Reply::Submitted(SweepId(id));
        self.reply(request, call, reply, now);
        Ok(SweepId(id))
    }

    pub(super) fn expand(&mut self, slice: &Slice, now: Timestamp) -> Result<(), StoreError> {
        let id = slice.sweep.0;
        let sweep = self
            .sweeps
            .get(&id)
            .ok_or_else(|| naming::no_sweep(&id.to_string()))?;
        let current = sweep.edition == slice.edition && sweep.cursor == slice.from;
        if !current || sweep.state != SweepState::Expanding {
            return Ok(());
        }
        let mut known: BTreeSet<Identity> = BTreeSet::new();
        for new in &slice.trials {
            if let Some(parent) = new.parent
                && !self.by_identity.contains_key(&parent)
                && !known.contains(&parent)
            {
                return Err(naming::no_parent(new.identity, parent));
            }
            known.insert(new.identity);
        }
        for new in &slice.trials {
            let trial = self.insert_or_revive(new);
            self.link(id, trial);
            self.refresh(trial);
        }
        let sweep = self.sweeps.get_mut(&id).expect("looked up above");
        sweep.cursor = slice.to;
        sweep.expanded = slice.last;
        self.settle(now);
        Ok(())
    }

    fn insert_or_revive(&mut self, new: &NewTrial) -> i64 {
        if let Some(&id) = self.by_identity.get(&new.identity) {
            let state = self.trial(id).trial.phase.state();
            if matches!(state, TrialState::Cancelled | TrialState::Skipped) {
                self.revive(id);
            }
            let entry = self.trial_mut(id);
            entry.new.time_limit_ms = new.time_limit_ms;
            entry.new.stall_ms = new.stall_ms;
            entry.new.max_failures = new.max_failures;
            entry.new.checkpoint_ms = new.checkpoint_ms;
            entry.new.checkpoint_epochs = new.checkpoint_epochs;
            entry.new.keep_weights |= new.keep_weights;
            return id;
        }
        self.last_trial += 1;
        let id = self.last_trial;
        let parent = new.parent.map(|parent| self.by_identity[&parent]);
        let entry = TrialEntry {
            new: new.clone(),
            class: Class::of(new),
            trial: Trial::new(TrialPhase::Skipped),
            held: false,
            priority: i64::MIN,
            leased_at: Timestamp(0),
            parent,
            children: BTreeSet::new(),
            sweeps: BTreeSet::new(),
            checkpoint: None,
            weights: None,
            attempts: Vec::new(),
            result: None,
            metrics: BTreeMap::new(),
        };
        self.by_identity.insert(new.identity, id);
        self.trials.insert(id, Arc::new(entry));
        if let Some(parent) = parent {
            self.trial_mut(parent).children.insert(id);
        }
        self.revive(id);
        id
    }

    /// Makes a terminal trial ready or blocked again, unless its parent cannot succeed. Answers whether it did.
    fn revive(&mut self, id: i64) -> bool {
        let parent = self
            .trial(id)
            .parent
            .map(|parent| self.trial(parent).trial.phase.state());
        let phase = match parent {
            None | Some(TrialState::Succeeded) => TrialPhase::Ready,
            Some(state) if state.is_terminal() => return false,
            Some(_) => TrialPhase::Blocked,
        };
        self.change(id, |entry| {
            entry.trial.phase = phase;
            entry.trial.failures = 0;
            entry.trial.crashes = 0;
        });
        true
    }

    pub(super) fn drop_absent(
        &mut self,
        id: SweepId,
        edition: u64,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let id = id.0;
        let sweep = self
            .sweeps
            .get(&id)
            .ok_or_else(|| naming::no_sweep(&id.to_string()))?;
        if sweep.edition != edition {
            return Ok(0);
        }
        let absent: Vec<i64> = sweep
            .links
            .iter()
            .filter(|(_, seen)| **seen != edition)
            .map(|(trial, _)| *trial)
            .collect();
        for &trial in &absent {
            self.unlink(id, trial);
        }
        self.cancel_unwanted(&absent, now);
        self.settle(now);
        Ok(absent.len() as u64)
    }

    /// Cancels those of the trials that no sweep wants any more, and refreshes the rest.
    fn cancel_unwanted(&mut self, trials: &[i64], now: Timestamp) {
        let mut cancelled = Vec::new();
        for &id in trials {
            let entry = self.trial(id);
            let wanted = entry
                .sweeps
                .iter()
                .any(|sweep| wants(self.sweeps[sweep].state));
            if !wanted && !entry.trial.phase.state().is_terminal() {
                self.set_phase(id, TrialPhase::Cancelled);
                self.end_attempt(id, "cancelled", None, now);
                cancelled.push(id);
            } else {
                self.refresh(id);
            }
        }
        self.skip_below(cancelled);
    }

    pub(super) fn steer(
        &mut self,
        request: RequestId,
        name: &str,
        steer: Steer,
        now: Timestamp,
    ) -> Result<SweepRow, StoreError> {
        let sweep = self.named(name).ok_or_else(|| naming::no_sweep(name))?;
        let call = naming::call(steer.word(), name);
        if self.replied(request, &call)?.is_some() {
            return Ok(self.sweep_row(sweep));
        }
        let id = sweep.id;
        let trials: Vec<i64> = sweep.links.keys().copied().collect();
        if let Some(state) = naming::steered(name, sweep.state, sweep.expanded, steer)? {
            let sweep = self.sweeps.get_mut(&id).expect("looked up above");
            sweep.state = state;
            sweep.alike = None;
            sweep.pause_reason = None;
            sweep.finished_at = (steer == Steer::Cancel).then_some(now);
            if steer == Steer::Cancel {
                self.cancel_unwanted(&trials, now);
            } else {
                trials.iter().for_each(|&trial| self.refresh(trial));
            }
            self.settle(now);
        }
        self.reply(request, call, Reply::Steered, now);
        Ok(self.sweep_row(&self.sweeps[&id]))
    }

    pub(super) fn delete(
        &mut self,
        request: RequestId,
        name: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let call = naming::call("delete", name);
        if self.replied(request, &call)?.is_some() {
            return Ok(());
        }
        let sweep = self.named(name).ok_or_else(|| naming::no_sweep(name))?;
        let id = sweep.id;
        let trials: Vec<i64> = sweep.links.keys().copied().collect();
        for &trial in &trials {
            self.unlink(id, trial);
        }
        self.sweeps.remove(&id);
        // Children have larger row numbers than their parents: from the last to the first, whatever nobody needs goes.
        let mut kept = Vec::new();
        for &trial in trials.iter().rev() {
            let entry = self.trial(trial);
            if entry.sweeps.is_empty() && entry.children.is_empty() {
                self.remove(trial);
            } else if !entry.sweeps.is_empty() {
                kept.push(trial);
            } else {
                self.change(trial, |entry| entry.held = false);
            }
        }
        kept.reverse();
        self.cancel_unwanted(&kept, now);
        self.settle(now);
        self.reply(request, call, Reply::Deleted, now);
        Ok(())
    }

    fn remove(&mut self, id: i64) {
        // Out of the claim index first.
        self.set_phase(id, TrialPhase::Cancelled);
        let entry = self
            .trials
            .remove(&id)
            .expect("row numbers come from the tables");
        self.by_identity.remove(&entry.new.identity);
        if let Some(parent) = entry.parent {
            self.trial_mut(parent).children.remove(&id);
        }
    }

    pub(super) fn rerun(
        &mut self,
        request: RequestId,
        name: &str,
        which: Rerun,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let call = naming::call(which.word(), name);
        if let Some(Reply::Reran(trials)) = self.replied(request, &call)? {
            return Ok(*trials);
        }
        let sweep = self.named(name).ok_or_else(|| naming::no_sweep(name))?;
        let id = sweep.id;
        let trials: Vec<i64> = sweep.links.keys().copied().collect();
        let mut revived: BTreeSet<i64> = BTreeSet::new();
        // Row numbers ascend, so a parent is looked at before its children.
        for trial in trials {
            let entry = self.trial(trial);
            let asked = match (which, entry.trial.phase.state()) {
                (Rerun::Failed, TrialState::Failed | TrialState::Poisoned)
                | (Rerun::Missing, TrialState::Cancelled | TrialState::Skipped) => true,
                // What was skipped because of a failure comes back with it.
                (Rerun::Failed, TrialState::Skipped) => {
                    entry.parent.is_some_and(|parent| revived.contains(&parent))
                }
                _ => false,
            };
            if asked && self.revive(trial) {
                revived.insert(trial);
            }
        }
        let sweep = self.sweeps.get_mut(&id).expect("looked up above");
        if sweep.state == SweepState::Cancelled {
            sweep.state = SweepState::Running;
            sweep.finished_at = None;
        }
        for trial in sweep.links.keys().copied().collect::<Vec<_>>() {
            self.refresh(trial);
        }
        self.settle(now);
        let count = revived.len() as u64;
        self.reply(request, call, Reply::Reran(count), now);
        Ok(count)
    }

    pub(super) fn sweeps_after(&self, after: SweepId, limit: u32) -> Vec<SweepRow> {
        self.sweeps
            .values()
            .filter(|sweep| sweep.id > after.0)
            .take(limit as usize)
            .map(|sweep| self.sweep_row(sweep))
            .collect()
    }

    pub(super) fn expanding(&self) -> Vec<SweepRow> {
        let mut rows: Vec<SweepRow> = self
            .sweeps
            .values()
            .filter(|sweep| sweep.state == SweepState::Expanding)
            .map(|sweep| self.sweep_row(sweep))
            .collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.priority), row.id));
        rows
    }

    pub(super) fn finished(&self, identities: &[Identity]) -> Vec<Identity> {
        let has_result = |identity: &&Identity| {
            self.by_identity
                .get(identity)
                .is_some_and(|&id| self.trial(id).result.is_some())
        };
        identities.iter().filter(has_result).copied().collect()
    }
}
