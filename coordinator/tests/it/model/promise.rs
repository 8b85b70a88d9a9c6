//! What the protocol promises, and how each promise is checked in every state that can be reached.

use descent_coordinator::core::trial::TrialPhase;
use descent_spec::state::TrialState;

use super::message::{Report, Slot};
use super::queue::{Outcome, Queue};
use super::scope::{ATTEMPTS, Rules, Scope};
use super::state::State;
use super::worker::Stage;

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// I1: a trial has at most one result, and it has one exactly when it has succeeded.
    OneResult,
    /// I2: what a worker or the user was told survives.
    Durable,
    /// I3: the attempts of the reports that are taken never go back.
    WritersGrow,
    /// I4: only the newest attempt, and only its own session, is told that all is well.
    OnlyTheNewest,
    /// I5: counters equal rows.
    Counters,
    /// I7: a trial starts after the one that it needs has its result.
    ParentsFirst,
    /// I8: from here, all trials can still come to an end, whoever is dead by now.
    Ends,
    /// I9: what is charged to a trial is what has happened to it.
    Charges,
    /// Expiry is soft: only a claim revokes, and only what has expired.
    SoftExpiry,
    /// Attempt numbers are used once.
    NumbersGrow,
    /// A repeated call is answered as the first one was.
    Repeatable,
}

impl Promise {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::OneResult => "I1: one result",
            Self::Durable => "I2: what was told survives",
            Self::WritersGrow => "I3: writers' attempts grow",
            Self::OnlyTheNewest => "I4: only the newest attempt is told to go on",
            Self::Counters => "I5: counters equal rows",
            Self::ParentsFirst => "I7: parents first",
            Self::Ends => "I8: everything can end",
            Self::Charges => "I9: charges have causes",
            Self::SoftExpiry => "expiry is soft",
            Self::NumbersGrow => "attempt numbers are used once",
            Self::Repeatable => "repeated calls are answered alike",
        }
    }
}

/// Promises that were broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Broken(u16);

impl Broken {
    pub(super) fn add(&mut self, promise: Promise) {
        self.0 |= 1 << promise as u16;
    }

    pub(super) fn has(self, promise: Promise) -> bool {
        self.0 & (1 << promise as u16) != 0
    }
}

impl Queue {
    /// I1.
    pub(super) fn has_one_result(&self) -> bool {
        self.rows.iter().all(|row| {
            let succeeded = row.trial.phase == TrialPhase::Succeeded;
            row.results == u8::from(succeeded) && row.result.is_some() == succeeded
        })
    }

    /// I5.
    pub(super) fn counts_rows(&self, rules: &Rules) -> bool {
        let mut counts = [0; TrialState::ALL.len()];
        for row in &self.rows[..rules.scope.trials] {
            counts[row.trial.phase.state() as usize] += 1;
        }
        counts == self.counts
    }

    /// I7.
    pub(super) fn has_parents_first(&self) -> bool {
        self.rows[1].trial.attempt.0 == 0 || self.rows[0].result.is_some()
    }

    /// I9: failures and crashes since the trial was last asked for, hand-backs ever.
    pub(super) fn charges_causes(&self) -> bool {
        let count = |trial: usize, after: i64, outcome: Outcome| -> u32 {
            let slots = (0..self.attempts.len()).map(|place| Slot(place as u8));
            let counted = slots.filter(|slot| {
                let attempt = self.attempts[slot.index()];
                slot.trial() == trial
                    && slot.attempt() > after
                    && attempt.is_some_and(|attempt| attempt.outcome == outcome)
            });
            counted.count() as u32
        };
        (0..self.rows.len()).all(|at| {
            let row = &self.rows[at];
            row.trial.failures == count(at, row.forgiven, Outcome::Failed)
                && row.trial.crashes == count(at, row.forgiven, Outcome::Lost)
                && row.trial.releases == count(at, 0, Outcome::Released)
        })
    }
}

impl State {
    /// I2: of what was told, or is on its way, nothing is missing from what would be left if the coordinator died now.
    pub(super) fn is_durable(&self, rules: &Rules) -> bool {
        let queue = self.durable();
        let kept = |slot: Slot, report: Report| {
            let attempt = queue.attempts[slot.index()];
            let ended = attempt.map(|attempt| attempt.outcome) == report.outcome();
            ended && (report != Report::Complete || queue.rows[slot.trial()].result == Some(slot))
        };
        let workers = self.workers.iter().all(|worker| {
            let given = |slot: Slot| {
                queue.attempts[slot.index()].is_some_and(|given| given.by == worker.session())
            };
            let accepted = match worker.stage {
                Stage::Reporting { slot, report } if worker.inbox.accepted => kept(slot, report),
                _ => true,
            };
            accepted
                && worker.inbox.granted.is_none_or(given)
                && worker.slot().is_none_or(given)
                && worker.told.is_none_or(|slot| kept(slot, Report::Complete))
        });
        workers && (!queue.cancelled || queue.has_ended(rules))
    }

    /// I8: those who live go on, sessions of the others fall silent, and a worker that is well joins.
    pub(super) fn can_end(&self, rules: &Rules) -> bool {
        const ROUNDS: usize = 4;
        let scope = Scope {
            attempts: ATTEMPTS,
            ..rules.scope
        };
        let rules = &Rules { scope, ..*rules };
        let mut queue = *self.durable();
        let mut workers = self.workers;
        for _ in 0..ROUNDS {
            if queue.has_ended(rules) {
                return true;
            }
            for worker in workers.iter_mut().filter(|worker| worker.is_alive()) {
                let by = worker.session();
                let held = match worker.stage {
                    Stage::Asking { ask } => queue.claim(rules, by, ask),
                    _ => worker.slot(),
                };
                queue.beat(rules, by, held);
                if let Some(slot) = held {
                    queue.report(rules, by, slot, Report::Complete);
                }
                worker.turn_to(Stage::Idle);
            }
            let alive = |session: usize| {
                let mut workers = workers.iter();
                workers.any(|worker| worker.is_alive() && worker.session() == session)
            };
            queue.finish_without(rules, alive);
        }
        false
    }
}
