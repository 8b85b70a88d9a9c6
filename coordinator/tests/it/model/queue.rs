//! The coordinator's tables, as far as leases need them. What may happen to a trial is decided by the product's own `core`;
//! what a store adds to it (attempts, request log, counters) is written down here in a few lines, and a [flaw](super::flaw) takes one of them out.

mod report;
mod sweep;

use descent_coordinator::core::fence::{self, Claimant};
use descent_coordinator::core::lease::{self, SessionPhase};
use descent_coordinator::core::trial::{Event, Trial, TrialPhase, transition};
use descent_spec::id::{AttemptNumber, SessionId, Timestamp};
use descent_spec::state::TrialState;

use super::flaw::Flaw;
use super::message::{SLOTS, Slot};
use super::promise::{Broken, Promise};
use super::scope::{ASKS, LATE, NOW, Rules, SESSIONS, SPARE, TRIALS};

/// How an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Active,
    Suspect,
    Succeeded,
    Failed,
    Lost,
    Released,
    Cancelled,
}

impl Outcome {
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Active | Self::Suspect)
    }
}

/// One execution of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    pub(super) by: usize,
    pub(super) outcome: Outcome,
}

/// A trial with what hangs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) trial: Trial,
    /// The attempt of its result.
    pub(super) result: Option<Slot>,
    /// How often a result was written.
    pub(super) results: u8,
    /// The attempt of the last report that was taken.
    pub(super) writer: i64,
    /// Its attempts when it was last asked for once more: those do not count against its budgets.
    pub(super) forgiven: i64,
}

/// Everything that survives a crash of the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    pub(super) rows: [Row; TRIALS],
    pub(super) attempts: [Option<Attempt>; SLOTS],
    /// Of the workers' lives, and of the spare worker.
    pub(super) sessions: [Option<SessionPhase>; SESSIONS + 1],
    /// What requests for work were answered with.
    pub(super) log: [Option<Slot>; SESSIONS * ASKS],
    /// Trials in each state.
    pub(super) counts: [u8; TrialState::ALL.len()],
    /// The user was told that the sweep is cancelled.
    pub(super) cancelled: bool,
    pub(super) reruns: u8,
    /// Promises that were broken on the way here.
    pub(super) broken: Broken,
}

/// What the coordinator says to a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directive {
    Continue,
    Stop,
}

/// The session's name.
pub(super) fn id(session: usize) -> SessionId {
    SessionId([session as u8 + 1; 16])
}

/// A session's place, by its name.
pub(super) fn place(session: SessionId) -> usize {
    usize::from(session.0[0]) - 1
}

impl Queue {
    pub(super) fn new(rules: &Rules) -> Self {
        let row = |phase| Row {
            trial: Trial::new(phase),
            result: None,
            results: 0,
            writer: 0,
            forgiven: 0,
        };
        let mut queue = Self {
            rows: [row(TrialPhase::Ready), row(TrialPhase::Blocked)],
            attempts: [None; SLOTS],
            sessions: [None; SESSIONS + 1],
            log: [None; SESSIONS * ASKS],
            counts: [0; TrialState::ALL.len()],
            cancelled: false,
            reruns: 0,
            broken: Broken::default(),
        };
        for trial in 0..rules.scope.trials {
            queue.counts[queue.rows[trial].trial.phase.state() as usize] += 1;
        }
        queue
    }

    /// Whether all trials are terminal.
    pub(super) fn has_ended(&self, rules: &Rules) -> bool {
        let mut rows = self.rows[..rules.scope.trials].iter();
        rows.all(|row| row.trial.phase.state().is_terminal())
    }

    /// Whether all trials are terminal and nobody will ask for them again.
    pub(super) fn is_over(&self, rules: &Rules) -> bool {
        self.has_ended(rules) && self.reruns == rules.scope.reruns
    }

    /// Begins a session.
    pub(super) fn open(&mut self, by: usize) {
        self.sessions[by].get_or_insert(SessionPhase::Open { until: NOW });
    }

    /// Puts a trial where a decision sends it, and moves the counters with it.
    pub(super) fn set(&mut self, trial: usize, after: Trial) {
        let before = std::mem::replace(&mut self.rows[trial].trial, after);
        // A flaw may have left fewer than there are.
        let count = &mut self.counts[before.phase.state() as usize];
        *count = count.wrapping_sub(1);
        let count = &mut self.counts[after.phase.state() as usize];
        *count = count.wrapping_add(1);
    }

    /// Lets something happen to a trial, if it fits there. Answers whether it did.
    pub(super) fn happen(
        &mut self,
        rules: &Rules,
        trial: usize,
        event: Event,
        now: Timestamp,
    ) -> bool {
        match transition(self.rows[trial].trial, event, now, &rules.policy()) {
            Ok(after) => {
                self.set(trial, after);
                true
            }
            Err(_) => false,
        }
    }

    /// The attempt that a trial is in.
    pub(super) fn current(&self, trial: usize) -> Option<Slot> {
        let attempt = self.rows[trial].trial.attempt.0;
        (attempt > 0).then(|| Slot::new(trial, attempt))
    }

    /// Ends the attempt that a trial is in, if it is in one.
    pub(super) fn end(&mut self, trial: usize, outcome: Outcome) {
        if let Some(slot) = self.current(trial)
            && let Some(attempt) = &mut self.attempts[slot.index()]
            && attempt.outcome.is_open()
        {
            attempt.outcome = outcome;
        }
    }

    /// How an attempt stands, if this session had it.
    pub(super) fn outcome(&self, by: usize, slot: Slot) -> Option<Outcome> {
        let attempt = self.attempts[slot.index()].filter(|attempt| attempt.by == by);
        attempt.map(|attempt| attempt.outcome)
    }

    /// Whether a session may write about an attempt.
    pub(super) fn holds(&self, rules: &Rules, by: usize, slot: Slot) -> bool {
        let trial = &self.rows[slot.trial()].trial;
        let holder = holder(trial);
        let current = trial.attempt == AttemptNumber(slot.attempt());
        match rules.flaw {
            Some(Flaw::NoFence) => true,
            Some(Flaw::StateOnly) => holder.is_some(),
            Some(Flaw::AttemptUnchecked) => holder == Some(by),
            Some(Flaw::SessionUnchecked) => holder.is_some() && current,
            _ => fence::holds(trial, claimant(by, slot)),
        }
    }

    /// Whether a trial may be claimed, and the world is large enough for another attempt.
    pub(super) fn is_claimable(&self, rules: &Rules, trial: usize) -> bool {
        let trial = &self.rows[trial].trial;
        trial.phase.state() == TrialState::Ready && self.has_room(rules, trial)
    }

    fn has_room(&self, rules: &Rules, trial: &Trial) -> bool {
        usize::try_from(trial.attempt.0).is_ok_and(|attempts| attempts < rules.scope.attempts)
    }

    /// Whether a session may claim, or what it was answered before.
    pub(super) fn asks(&self, rules: &Rules, by: usize, ask: usize) -> Result<(), Option<Slot>> {
        if let Some(slot) = self.log[by * ASKS + ask]
            && !rules.has(Flaw::ClaimForgotten)
        {
            return Err(Some(slot));
        }
        match self.sessions[by] {
            Some(SessionPhase::Open { .. }) => Ok(()),
            Some(SessionPhase::Closed) if rules.has(Flaw::ClosedMayClaim) => Ok(()),
            Some(SessionPhase::Expired | SessionPhase::Closed) | None => Err(None),
        }
    }

    /// A request for work, in one step.
    pub(super) fn claim(&mut self, rules: &Rules, by: usize, ask: usize) -> Option<Slot> {
        match self.asks(rules, by, ask) {
            Err(answer) => answer,
            Ok(()) => (0..rules.scope.trials).find_map(|trial| {
                self.is_claimable(rules, trial)
                    .then(|| self.take_for(rules, trial, by, ask))
                    .flatten()
            }),
        }
    }

    /// Gives a trial to a request that has chosen it, unless the request was answered in the meantime.
    pub(super) fn take_for(
        &mut self,
        rules: &Rules,
        trial: usize,
        by: usize,
        ask: usize,
    ) -> Option<Slot> {
        let place = by * ASKS + ask;
        let forgets = rules.has(Flaw::ClaimForgotten) || rules.has(Flaw::ClaimTwice);
        if self.log[place].is_some() && !forgets {
            return None;
        }
        let open = matches!(self.sessions[by], Some(SessionPhase::Open { .. }));
        let unchecked = [Flaw::ClosedMayClaim, Flaw::SessionUncheckedLater];
        if !open && !unchecked.iter().any(|&flaw| rules.has(flaw)) {
            return None;
        }
        let slot = self.take(rules, trial, by)?;
        if self.log[place].replace(slot).is_some() {
            self.broken.add(Promise::Repeatable);
        }
        Some(slot)
    }

    /// Gives a trial to a session: its next attempt. The one before, if its lease ran out, ends as lost.
    pub(super) fn take(&mut self, rules: &Rules, trial: usize, by: usize) -> Option<Slot> {
        let before = self.rows[trial].trial;
        if !self.has_room(rules, &before) {
            return None;
        }
        let last = self.current(trial);
        let session = id(by);
        let after = match transition(before, Event::Claim { session }, NOW, &rules.policy()) {
            Ok(after) => after,
            Err(_) if rules.has(Flaw::ClaimUnchecked) => Trial {
                phase: TrialPhase::Leased { holder: session },
                attempt: AttemptNumber(before.attempt.0 + 1),
                ..before
            },
            Err(_) => return None,
        };
        let charged = after.crashes > before.crashes && !rules.has(Flaw::SweeperCharges);
        let after = Trial {
            crashes: before.crashes + u32::from(charged),
            ..after
        };
        if let Some(last) = last
            && self.attempts[last.index()].is_some_and(|last| last.outcome == Outcome::Active)
        {
            self.broken.add(Promise::SoftExpiry);
        }
        self.end(trial, Outcome::Lost);
        self.set(trial, after);
        if after.phase == TrialPhase::Poisoned {
            self.skip_waiting(rules, trial);
            return None;
        }
        let slot = Slot::new(trial, after.attempt.0);
        let given = Attempt {
            by,
            outcome: Outcome::Active,
        };
        if self.attempts[slot.index()].replace(given).is_some() {
            self.broken.add(Promise::NumbersGrow);
        }
        Some(slot)
    }

    /// Everything that only time brings: sessions without a worker fall silent, delays end. Then a worker that is well takes and
    /// finishes whatever it can get.
    pub(super) fn finish_without(&mut self, rules: &Rules, alive: impl Fn(usize) -> bool) {
        for session in (0..SESSIONS).filter(|&session| !alive(session)) {
            let seen = self.held_by(session);
            self.silence(rules, session, seen);
        }
        for trial in 0..rules.scope.trials {
            self.promote(rules, trial);
        }
        self.open(SPARE);
        for trial in 0..rules.scope.trials {
            if self.is_claimable(rules, trial)
                && let Some(slot) = self.take(rules, trial, SPARE)
            {
                self.report(rules, SPARE, slot, super::message::Report::Complete);
            }
        }
    }

    /// A worker says that it lives, and what it works on.
    pub(super) fn beat(
        &mut self,
        rules: &Rules,
        by: usize,
        listed: Option<Slot>,
    ) -> Option<Directive> {
        let Some(phase) = self.sessions[by].and_then(|phase| lease::beat(phase, NOW)) else {
            return listed.map(|_| Directive::Stop);
        };
        self.sessions[by] = Some(phase);
        let directive = listed.map(|slot| self.directive(rules, by, slot));
        for trial in 0..rules.scope.trials {
            let unlisted = listed.is_none_or(|slot| slot.trial() != trial);
            if unlisted
                && holder(&self.rows[trial].trial) == Some(by)
                && lease::was_lost(NOW, 0, NOW)
                && !rules.has(Flaw::NothingTakenBack)
            {
                self.hand_back(rules, trial);
            }
        }
        directive
    }

    fn directive(&mut self, rules: &Rules, by: usize, slot: Slot) -> Directive {
        let trial = slot.trial();
        let event = Event::Beat(claimant(by, slot));
        if fence::holds(&self.rows[trial].trial, claimant(by, slot)) {
            self.happen(rules, trial, event, NOW);
            self.told_to_go_on(by, slot);
            if let Some(attempt) = &mut self.attempts[slot.index()] {
                attempt.outcome = Outcome::Active;
            }
            return Directive::Continue;
        }
        if rules.has(Flaw::BeatTakes) && holder(&self.rows[trial].trial).is_some() {
            let phase = TrialPhase::Leased { holder: id(by) };
            let taken = self.rows[trial].trial;
            self.set(trial, Trial { phase, ..taken });
            self.told_to_go_on(by, slot);
            return Directive::Continue;
        }
        self.told_to_stop(by, slot);
        Directive::Stop
    }
}

/// Whom a trial belongs to.
pub(super) fn holder(trial: &Trial) -> Option<usize> {
    match trial.phase {
        TrialPhase::Leased { holder } | TrialPhase::Suspect { holder } => Some(place(holder)),
        TrialPhase::Blocked
        | TrialPhase::Ready
        | TrialPhase::Delayed { .. }
        | TrialPhase::Succeeded
        | TrialPhase::Failed
        | TrialPhase::Poisoned
        | TrialPhase::Cancelled
        | TrialPhase::Skipped => None,
    }
}

/// Who says that it holds a trial.
pub(super) fn claimant(by: usize, slot: Slot) -> Claimant {
    Claimant {
        session: id(by),
        attempt: AttemptNumber(slot.attempt()),
    }
}

/// What a sweeper has seen: which trials a session held.
pub(super) type Seen = [bool; TRIALS];

impl Queue {
    /// Which trials a session holds.
    pub(super) fn held_by(&self, session: usize) -> Seen {
        self.rows
            .map(|row| matches!(row.trial.phase, TrialPhase::Leased { holder } if place(holder) == session))
    }

    /// Whether a session may be found silent: it is open, and enough time may have passed.
    pub(super) fn may_be_silent(&self, session: usize) -> bool {
        self.sessions[session].is_some_and(|phase| {
            matches!(phase, SessionPhase::Open { .. })
                && lease::at(phase, LATE) == SessionPhase::Expired
        })
    }
}
