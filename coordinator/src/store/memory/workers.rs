//! Workers of the memory store as people see and steer them, and what their trials may take.

use descent_spec::id::{Timestamp, TrialId};
use descent_spec::state::TrialState;

use super::super::{Limits, Orders, Pardon, WorkerRow};
use super::tables::{SessionEntry, Tables};
use crate::core::lease::SessionPhase;
use crate::core::trial::TrialPhase;

impl Tables {
    pub(super) fn limits(&self, trials: &[TrialId]) -> Vec<Limits> {
        let mut trials = trials.to_vec();
        trials.sort_unstable();
        trials.dedup();
        let limits = |trial: TrialId| {
            let new = &self.trials.get(&trial.0)?.new;
            Some(Limits {
                trial,
                pack_key: new.pack_key,
                stall_ms: new.stall_ms,
                time_limit_ms: new.time_limit_ms,
            })
        };
        trials.into_iter().filter_map(limits).collect()
    }

    pub(super) fn worker_rows(&self, now: Timestamp) -> Vec<WorkerRow> {
        let mut rows: Vec<WorkerRow> = self
            .at_hand()
            .map(|session| self.worker_row(session, now))
            .collect();
        rows.sort_by_key(|row| (row.opened_at, row.session));
        rows
    }

    /// Sessions that are not over.
    fn at_hand(&self) -> impl Iterator<Item = &SessionEntry> {
        let over = |session: &&SessionEntry| session.phase == SessionPhase::Closed;
        self.sessions.values().filter(move |session| !over(session))
    }

    fn worker_row(&self, session: &SessionEntry, now: Timestamp) -> WorkerRow {
        let new = &session.new;
        let mut data = new.data.clone();
        data.sort_unstable();
        let quarantine = self.quarantine.get(&new.worker).cloned();
        WorkerRow {
            session: new.id,
            worker: new.worker.clone(),
            device: new.device.clone(),
            instruction_set: new.instruction_set.clone(),
            slots: new.slots,
            memory: new.memory,
            data,
            trials: self.held_by(new.id).len() as u64,
            opened_at: session.opened_at,
            lease_until: session.lease_until,
            expired: session.phase == SessionPhase::Expired,
            draining: session.draining,
            quarantine: quarantine.filter(|(until, _)| *until > now),
        }
    }

    pub(super) fn orders(&self, now: Timestamp) -> Orders {
        let mut orders = Orders::default();
        for session in self.at_hand() {
            if session.draining {
                orders.draining.insert(session.new.id);
            }
            let quarantined = self.quarantine.get(&session.new.worker);
            if let Some((_, reason)) = quarantined.filter(|(until, _)| *until > now) {
                orders.quarantined.insert(session.new.id, reason.clone());
            }
        }
        orders
    }

    pub(super) fn drain(&mut self, worker: &str) -> u64 {
        let mut drained = 0;
        for session in self.sessions.values_mut() {
            if session.new.worker == worker && session.phase != SessionPhase::Closed {
                session.draining = true;
                drained += 1;
            }
        }
        drained
    }

    pub(super) fn keep_away(
        &mut self,
        (worker, until, reason): (&str, Timestamp, &str),
        pardon: &Pardon,
        now: Timestamp,
    ) {
        let entry = (until, reason.to_owned());
        self.quarantine.insert(worker.to_owned(), entry);
        for (trials, is_failure) in [(&pardon.failed, true), (&pardon.lost, false)] {
            for trial in trials {
                let there = self.trials.get(&trial.0);
                if there.is_none_or(|entry| entry.trial.phase == TrialPhase::Succeeded) {
                    continue;
                }
                let entry = &mut self.trial_mut(trial.0).trial;
                let charged = if is_failure {
                    &mut entry.failures
                } else {
                    &mut entry.crashes
                };
                *charged = charged.saturating_sub(1);
                self.bring_back(trial.0);
            }
        }
        self.settle(now);
    }

    /// Makes a given-up trial ready again, with what was skipped because of it.
    fn bring_back(&mut self, id: i64) {
        let phase = self.trial(id).trial.phase;
        if !matches!(phase, TrialPhase::Failed | TrialPhase::Poisoned) {
            return;
        }
        self.set_phase(id, TrialPhase::Ready);
        let mut open = vec![id];
        while let Some(parent) = open.pop() {
            for child in self.trial(parent).children.clone() {
                if self.trial(child).trial.phase.state() == TrialState::Skipped {
                    self.set_phase(child, TrialPhase::Blocked);
                    open.push(child);
                }
            }
        }
    }
}
