//! Reports about attempts: checkpoints, results, failures, hand-backs.

use descent_coordinator::core::trial::{Event, Trial, TrialPhase};
use descent_spec::outcome::FailureKind;

use super::super::flaw::Flaw;
use super::super::message::{Report, Slot};
use super::super::promise::Promise;
use super::super::scope::{NOW, Rules};
use super::{Outcome, Queue, claimant, holder};

/// The trial that starts from another one's weights.
const CHILD: usize = 1;

impl Report {
    /// How an attempt stands after it.
    pub(in super::super) const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Commit => None,
            Self::Complete => Some(Outcome::Succeeded),
            Self::Fail => Some(Outcome::Failed),
            Self::Release => Some(Outcome::Released),
        }
    }
}

impl Queue {
    /// Takes a report, or answers a repeated one as before. Whether it is taken.
    pub(in super::super) fn report(
        &mut self,
        rules: &Rules,
        by: usize,
        slot: Slot,
        report: Report,
    ) -> bool {
        if self.holds(rules, by, slot) {
            self.written(by, slot);
            self.carry_out(rules, slot, report);
            return true;
        }
        let ended = self.outcome(by, slot);
        let repeated = ended.is_some() && ended == report.outcome();
        if repeated && !rules.has(Flaw::ReportForgotten) {
            return true;
        }
        if repeated {
            self.broken.add(Promise::Repeatable);
        }
        self.told_to_stop(by, slot);
        false
    }

    fn carry_out(&mut self, rules: &Rules, slot: Slot, report: Report) {
        let trial = slot.trial();
        // A flaw may have let in somebody else: it happens in the name of whoever holds the trial, or happens all the same.
        let by = holder(&self.rows[trial].trial);
        let attempt = self.rows[trial].trial.attempt.0;
        let by = by.map(|by| claimant(by, Slot::new(trial, attempt)));
        let (event, end) = match (report, by) {
            (Report::Commit, _) => return,
            (Report::Complete, by) => (by.map(Event::Complete), TrialPhase::Succeeded),
            (Report::Fail, by) => {
                let kind = FailureKind::Device;
                let uniform = 0.5;
                let fail = |by| Event::Fail { by, kind, uniform };
                (by.map(fail), TrialPhase::Failed)
            }
            (Report::Release, by) => (by.map(Event::Release), TrialPhase::Ready),
        };
        if !event.is_some_and(|event| self.happen(rules, trial, event, NOW)) {
            let forced = self.rows[trial].trial;
            self.set(
                trial,
                Trial {
                    phase: end,
                    ..forced
                },
            );
        }
        match report {
            Report::Commit => {}
            Report::Complete => {
                self.end(trial, Outcome::Succeeded);
                let row = &mut self.rows[trial];
                row.result = Some(slot);
                row.results += 1;
                self.release_waiting(rules, trial, true);
            }
            Report::Fail => {
                self.end(trial, Outcome::Failed);
                if self.rows[trial].trial.phase == TrialPhase::Failed {
                    self.release_waiting(rules, trial, rules.has(Flaw::FailureUnblocks));
                }
            }
            Report::Release => self.handed_back(rules, trial),
        }
    }

    /// What waits for a trial becomes ready, or is skipped.
    fn release_waiting(&mut self, rules: &Rules, trial: usize, ready: bool) {
        let waits = self.rows[CHILD].trial.phase == TrialPhase::Blocked;
        if trial + 1 < rules.scope.trials && waits {
            let event = if ready { Event::Unblock } else { Event::Skip };
            self.happen(rules, CHILD, event, NOW);
        }
    }

    /// Gives up what waits for a trial that cannot succeed any more.
    pub(super) fn skip_waiting(&mut self, rules: &Rules, trial: usize) {
        self.release_waiting(rules, trial, false);
    }

    /// Takes a trial from its holder without charge.
    pub(super) fn hand_back(&mut self, rules: &Rules, trial: usize) {
        let (Some(by), Some(slot)) = (holder(&self.rows[trial].trial), self.current(trial)) else {
            return;
        };
        if self.happen(rules, trial, Event::Release(claimant(by, slot)), NOW) {
            self.handed_back(rules, trial);
        }
    }

    fn handed_back(&mut self, rules: &Rules, trial: usize) {
        self.end(trial, Outcome::Released);
        if rules.has(Flaw::HandBackCharged) {
            self.rows[trial].trial.crashes += 1;
        }
    }

    /// Notes who has written about a trial.
    fn written(&mut self, by: usize, slot: Slot) {
        self.told_to_go_on(by, slot);
        let row = &mut self.rows[slot.trial()];
        if slot.attempt() < row.writer {
            self.broken.add(Promise::WritersGrow);
        }
        row.writer = row.writer.max(slot.attempt());
    }

    /// Notes that a session was told that an attempt is its own.
    pub(super) fn told_to_go_on(&mut self, by: usize, slot: Slot) {
        let newest = (0..self.attempts.len()).rev().find(|&place| {
            Slot(place as u8).trial() == slot.trial() && self.attempts[place].is_some()
        });
        if newest != Some(slot.index()) || self.outcome(by, slot).is_none() {
            self.broken.add(Promise::OnlyTheNewest);
        }
    }

    /// Notes that a session was told that an attempt is not its own any more.
    pub(super) fn told_to_stop(&mut self, by: usize, slot: Slot) {
        if self.outcome(by, slot).is_some_and(Outcome::is_open) {
            self.broken.add(Promise::SoftExpiry);
        }
    }
}
