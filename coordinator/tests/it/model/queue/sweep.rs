//! What nobody asked for by name: sessions that fall silent, delays that end, sweeps that are cancelled or wanted once more.

use descent_coordinator::core::lease::{self, SessionPhase};
use descent_coordinator::core::trial::{Event, Trial, TrialPhase};
use descent_spec::id::AttemptNumber;

use super::super::flaw::Flaw;
use super::super::scope::{LATE, NOW, Rules};
use super::{Outcome, Queue, Seen, id};

impl Queue {
    /// A sweeper writes down that a session is silent; `seen` are the trials that it held when the sweeper looked.
    pub(in super::super) fn silence(&mut self, rules: &Rules, session: usize, seen: Seen) {
        if !self.may_be_silent(session) && !rules.has(Flaw::SweeperById) {
            return;
        }
        if let Some(phase) = &mut self.sessions[session]
            && *phase != SessionPhase::Closed
        {
            *phase = lease::at(*phase, LATE);
        }
        let held = self.held_by(session);
        for trial in 0..rules.scope.trials {
            if rules.has(Flaw::SweeperById) {
                if seen[trial] {
                    self.suspect_unchecked(trial, session);
                }
            } else if held[trial] {
                self.suspect(rules, trial);
            }
        }
    }

    fn suspect(&mut self, rules: &Rules, trial: usize) {
        let counts = self.counts;
        self.happen(rules, trial, Event::Expire, LATE);
        if rules.has(Flaw::SweeperMiscounts) {
            self.counts = counts;
        }
        if let Some(slot) = self.current(trial)
            && let Some(attempt) = &mut self.attempts[slot.index()]
            && attempt.outcome == Outcome::Active
        {
            attempt.outcome = Outcome::Suspect;
        }
        let expired = &mut self.rows[trial].trial;
        match rules.flaw {
            Some(Flaw::SweeperBumps) => {
                expired.attempt = AttemptNumber(expired.attempt.0 + 1);
                expired.phase = TrialPhase::Ready;
            }
            Some(Flaw::SweeperRevokes) => expired.phase = TrialPhase::Ready,
            Some(Flaw::SweeperCharges) => expired.crashes += 1,
            _ => {}
        }
    }

    /// By row number alone.
    fn suspect_unchecked(&mut self, trial: usize, session: usize) {
        let holder = id(session);
        let found = self.rows[trial].trial;
        let phase = TrialPhase::Suspect { holder };
        self.set(trial, Trial { phase, ..found });
    }

    /// A delay ends.
    pub(in super::super) fn promote(&mut self, rules: &Rules, trial: usize) {
        if !self.happen(rules, trial, Event::Promote, LATE) && rules.has(Flaw::PromoterById) {
            let found = self.rows[trial].trial;
            let phase = TrialPhase::Ready;
            self.set(trial, Trial { phase, ..found });
        }
    }

    /// The session's worker ends it, and with it what it still holds.
    pub(in super::super) fn close(&mut self, rules: &Rules, session: usize) {
        for trial in 0..rules.scope.trials {
            if super::holder(&self.rows[trial].trial) == Some(session) {
                self.hand_back(rules, trial);
            }
        }
        self.sessions[session] = Some(SessionPhase::Closed);
    }

    /// The user gives everything up.
    pub(in super::super) fn cancel(&mut self, rules: &Rules) {
        self.cancelled = true;
        for trial in 0..rules.scope.trials {
            if self.happen(rules, trial, Event::Cancel, NOW) {
                self.end(trial, Outcome::Cancelled);
            } else if rules.has(Flaw::CancelUnchecked) {
                let found = self.rows[trial].trial;
                let phase = TrialPhase::Cancelled;
                self.set(trial, Trial { phase, ..found });
            }
        }
    }

    /// The user wants once more what has failed, was poisoned, cancelled or skipped.
    pub(in super::super) fn rerun(&mut self, rules: &Rules) {
        self.reruns += 1;
        self.cancelled = false;
        for trial in 0..rules.scope.trials {
            let parent = (trial > 0).then(|| self.rows[trial - 1].trial.phase);
            let unblocked = parent.is_none_or(|parent| parent == TrialPhase::Succeeded);
            let lost = parent.is_some_and(|parent| parent.state().is_terminal()) && !unblocked;
            if !lost && self.happen(rules, trial, Event::Rerun { unblocked }, NOW) {
                let row = &mut self.rows[trial];
                row.forgiven = row.trial.attempt.0;
                if rules.has(Flaw::RerunRestartsNumbers) {
                    row.trial.attempt = AttemptNumber(0);
                }
            }
        }
    }
}
