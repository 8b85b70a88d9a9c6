//! Sessions in the memory store: a worker process's life, and what it says of the trials that it holds.

use descent_spec::id::{SessionId, Timestamp};
use descent_spec::state::TrialState;

use super::super::{Directive, Fence, Held, NewSession, StoreError};
use super::attempts::claimant;
use super::tables::{SessionEntry, Tables};
use crate::core::fence;
use crate::core::lease::{self, SessionPhase};
use crate::core::trial::{Event, Trial, TrialPhase};

impl Tables {
    pub(super) fn open_session(
        &mut self,
        new: &NewSession,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let phase = SessionPhase::Open {
            until: new.lease_until,
        };
        let session = self.sessions.entry(new.id).or_insert_with(|| SessionEntry {
            new: new.clone(),
            phase,
            opened_at: now,
            lease_until: new.lease_until,
            draining: false,
        });
        session.phase =
            lease::beat(session.phase, new.lease_until).ok_or(StoreError::SessionClosed(new.id))?;
        session.lease_until = new.lease_until;
        session.new.slots = new.slots;
        session.new.memory = new.memory;
        session.new.data.clone_from(&new.data);
        Ok(())
    }

    pub(super) fn heartbeat(
        &mut self,
        id: SessionId,
        held: &[Held],
        lease_until: Timestamp,
        grace_ms: i64,
        now: Timestamp,
    ) -> Result<Vec<Directive>, StoreError> {
        let session = self
            .sessions
            .get_mut(&id)
            .ok_or(StoreError::SessionClosed(id))?;
        session.phase =
            lease::beat(session.phase, lease_until).ok_or(StoreError::SessionClosed(id))?;
        session.lease_until = lease_until;
        let directives = held
            .iter()
            .map(|held| self.directive(id, held, now))
            .collect();
        let listed: Vec<i64> = held.iter().map(|held| held.trial.0).collect();
        for trial in self.held_by(id) {
            let lost = lease::was_lost(self.trial(trial).leased_at, grace_ms, now);
            if lost && !listed.contains(&trial) {
                self.hand_back(trial, now);
            }
        }
        Ok(directives)
    }

    /// What the session is to do with a trial that it says it holds.
    fn directive(&mut self, session: SessionId, held: &Held, now: Timestamp) -> Directive {
        let fence = Fence {
            session,
            trial: held.trial,
            attempt: held.attempt,
        };
        let Some(entry) = self.trials.get(&held.trial.0) else {
            return Directive::Cancel;
        };
        if fence::holds(&entry.trial, claimant(fence)) {
            self.apply(held.trial.0, Event::Beat(claimant(fence)), now);
            let attempt = self.trial_mut(held.trial.0).attempts.last_mut();
            attempt.expect("a held trial has an attempt").outcome = "active";
            return if self.trial(held.trial.0).held {
                Directive::Release
            } else {
                Directive::Continue
            };
        }
        let current = entry.trial.attempt == held.attempt && entry.attempt_of(fence).is_some();
        match entry.trial.phase.state() {
            TrialState::Cancelled if current => Directive::Cancel,
            _ => Directive::Fenced,
        }
    }

    /// Row numbers of the trials that a session has a right to.
    pub(super) fn held_by(&self, session: SessionId) -> Vec<i64> {
        let holds = |trial: &Trial| match trial.phase {
            TrialPhase::Leased { holder } | TrialPhase::Suspect { holder } => holder == session,
            _ => false,
        };
        let held = self.trials.iter().filter(|(_, entry)| holds(&entry.trial));
        held.map(|(id, _)| *id).collect()
    }

    pub(super) fn close_session(&mut self, id: SessionId, now: Timestamp) {
        for trial in self.held_by(id) {
            self.hand_back(trial, now);
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            if session.phase != SessionPhase::Closed {
                // A worker that was stopped in order comes back with a clean record: somebody has looked at it.
                self.quarantine.remove(&session.new.worker);
            }
            session.phase = SessionPhase::Closed;
        }
    }

    pub(super) fn disown(&mut self, worker: &str, now: Timestamp) -> u64 {
        self.expire(now, |session, _| session.new.worker == worker)
            .1
    }

    /// Expires open sessions; answers how many, and how many trials became suspect.
    pub(super) fn expire(
        &mut self,
        now: Timestamp,
        dead: impl Fn(&SessionEntry, Timestamp) -> bool,
    ) -> (u64, u64) {
        let open = |session: &SessionEntry| matches!(session.phase, SessionPhase::Open { .. });
        let expired: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, session)| open(session) && dead(session, now))
            .map(|(id, _)| *id)
            .collect();
        let mut suspects = 0;
        for id in &expired {
            self.sessions.get_mut(id).expect("listed above").phase = SessionPhase::Expired;
            for trial in self.held_by(*id) {
                if matches!(self.trial(trial).trial.phase, TrialPhase::Leased { .. }) {
                    self.apply(trial, Event::Expire, now);
                    let attempt = self.trial_mut(trial).attempts.last_mut();
                    attempt.expect("a leased trial has an attempt").outcome = "suspect";
                    suspects += 1;
                }
            }
        }
        (expired.len() as u64, suspects)
    }

    pub(super) fn grant_grace(&mut self, lease_until: Timestamp) {
        for session in self.sessions.values_mut() {
            if let SessionPhase::Open { until } = &mut session.phase {
                *until = lease_until;
                session.lease_until = lease_until;
            }
        }
    }
}
