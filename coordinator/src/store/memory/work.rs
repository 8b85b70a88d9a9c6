//! Workers in the memory store: sessions, claims, reports.

use descent_spec::id::{AttemptNumber, ContentHash, SessionId, Timestamp, TrialId};
use descent_spec::outcome::{Failure, Measurement, TrialResult};
use descent_spec::state::TrialState;

use super::super::{
    AfterFailure, Artifact, Ask, AttemptRow, Claim, Claimed, Directive, Explanation, Fence, Held,
    Maintained, NewSession, Purpose, StoreError, Verdict, naming, number,
};
use super::tables::{AttemptEntry, Class, Reply, SessionEntry, Tables, TrialEntry};
use crate::core::fence::{self, Claimant};
use crate::core::lease::{self, SessionPhase};
use crate::core::sweep::hands_out;
use crate::core::trial::{Event, Trial, TrialPhase, transition};
use crate::core::{REQUESTS_KEPT_MS, retry::RetryPolicy};

impl TrialEntry {
    /// The attempt of this number, if this session had it.
    fn attempt_of(&self, fence: Fence) -> Option<&AttemptEntry> {
        self.attempts
            .iter()
            .find(|attempt| attempt.number == fence.attempt && attempt.session == fence.session)
    }
}

/// The claimant that a fence names.
fn claimant(fence: Fence) -> Claimant {
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
    fn apply(&mut self, id: i64, event: Event, now: Timestamp) {
        let policy = RetryPolicy::default();
        self.change(id, |entry| {
            entry.trial = transition(entry.trial, event, now, &policy)
                .expect("the caller has checked the trial's phase");
        });
    }

    pub(super) fn open_session(
        &mut self,
        new: &NewSession,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        let phase = SessionPhase::Open {
            until: new.lease_until,
        };
        let session = self.sessions.entry(new.id).or_insert_with(|| SessionEntry {
            new: new.clone(),
            phase,
        });
        session.phase =
            lease::beat(session.phase, new.lease_until).ok_or(StoreError::SessionClosed(new.id))?;
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
            return Directive::Continue;
        }
        let current = entry.trial.attempt == held.attempt && entry.attempt_of(fence).is_some();
        match entry.trial.phase.state() {
            TrialState::Cancelled if current => Directive::Cancel,
            _ => Directive::Fenced,
        }
    }

    /// Row numbers of the trials that a session has a right to.
    fn held_by(&self, session: SessionId) -> Vec<i64> {
        let holds = |trial: &Trial| match trial.phase {
            TrialPhase::Leased { holder } | TrialPhase::Suspect { holder } => holder == session,
            _ => false,
        };
        let held = self.trials.iter().filter(|(_, entry)| holds(&entry.trial));
        held.map(|(id, _)| *id).collect()
    }

    fn hand_back(&mut self, id: i64, now: Timestamp) {
        self.end_attempt(id, "released", None, now);
        self.change(id, |entry| {
            entry.trial.phase = TrialPhase::Ready;
            entry.trial.releases += 1;
        });
    }

    pub(super) fn claim(&mut self, ask: &Ask, now: Timestamp) -> Result<Claim, StoreError> {
        if let Some((_, Reply::Claimed(claimed))) = self.replies.get(&ask.request) {
            let claimed = claimed
                .iter()
                .filter(|(trial, _)| self.trials.contains_key(&trial.0));
            let claimed = claimed
                .map(|&(trial, attempt)| self.claimed(trial, attempt))
                .collect();
            return Ok(Claim {
                claimed,
                missing_data: Vec::new(),
            });
        }
        let session = self
            .sessions
            .get(&ask.session)
            .ok_or(StoreError::SessionClosed(ask.session))?;
        match session.phase {
            SessionPhase::Open { .. } => {}
            SessionPhase::Expired => return Ok(Claim::default()),
            SessionPhase::Closed => return Err(StoreError::SessionClosed(ask.session)),
        }
        let fitting = || {
            self.ready
                .iter()
                .filter(|(class, _)| class.fits(&session.new))
        };
        let best = fitting()
            .filter(|(class, _)| ask.data.contains(&class.data))
            .min_by_key(|(_, trials)| trials.first().copied());
        let Some((_, trials)) = best else {
            let mut missing: Vec<ContentHash> = fitting().map(|(class, _)| class.data).collect();
            missing.sort_unstable();
            missing.dedup();
            return Ok(Claim {
                claimed: Vec::new(),
                missing_data: missing,
            });
        };
        let taken = trials
            .iter()
            .take(ask.max_trials as usize)
            .map(|&(.., id)| id);
        let mut grants = Vec::new();
        for id in taken.collect::<Vec<i64>>() {
            self.end_attempt(id, "lost", None, now);
            self.apply(
                id,
                Event::Claim {
                    session: ask.session,
                },
                now,
            );
            let entry = self.trial_mut(id);
            entry.leased_at = now;
            entry.attempts.push(AttemptEntry {
                number: entry.trial.attempt,
                session: ask.session,
                started_at: now,
                ended_at: None,
                outcome: "active",
                message: None,
                metric_seq: 0,
            });
            grants.push((TrialId(id), entry.trial.attempt));
        }
        let claimed = grants
            .iter()
            .map(|&(trial, attempt)| self.claimed(trial, attempt))
            .collect();
        if !grants.is_empty() {
            self.replies
                .insert(ask.request, (now, Reply::Claimed(grants)));
        }
        Ok(Claim {
            claimed,
            missing_data: Vec::new(),
        })
    }

    fn claimed(&self, trial: TrialId, attempt: AttemptNumber) -> Claimed {
        let entry = self.trial(trial.0);
        let Class { pack_key, data, .. } = entry.class;
        let wanting = entry.sweeps.iter().map(|id| &self.sweeps[id]);
        let sweep = wanting.min_by_key(|sweep| (!hands_out(sweep.state), sweep.id));
        Claimed {
            trial,
            attempt,
            identity: entry.new.identity,
            pack_key,
            data,
            params: entry.new.params.clone(),
            checkpoint: entry.checkpoint,
            parent_weights: entry.parent.and_then(|parent| self.trial(parent).weights),
            time_limit_ms: entry.new.time_limit_ms,
            checkpoint_ms: entry.new.checkpoint_ms,
            checkpoint_epochs: entry.new.checkpoint_epochs,
            keep_weights: entry.new.keep_weights || !entry.children.is_empty(),
            sweep: sweep
                .map(|sweep| sweep.new.name.clone())
                .unwrap_or_default(),
        }
    }

    pub(super) fn append_metrics(
        &mut self,
        fence: Fence,
        seq: u64,
        measurements: &[Measurement],
    ) -> Result<(Verdict, u64), StoreError> {
        let holds = self.holds(fence);
        let Some(entry) = self.trials.get_mut(&fence.trial.0) else {
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
        let Some(entry) = self.trials.get_mut(&fence.trial.0) else {
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
        };
        self.change(id, |entry| {
            entry.trial.failures += 1;
            entry.trial.phase = phase;
        });
        if phase == TrialPhase::Failed {
            self.skip_below([id]);
        }
        self.settle(now);
        Some(phase.state())
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

    pub(super) fn close_session(&mut self, id: SessionId, now: Timestamp) {
        for trial in self.held_by(id) {
            self.hand_back(trial, now);
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.phase = SessionPhase::Closed;
        }
    }

    pub(super) fn disown(&mut self, worker: &str, now: Timestamp) -> u64 {
        self.expire(now, |session, _| session.new.worker == worker)
            .1
    }

    /// Expires open sessions; answers how many, and how many trials became suspect.
    fn expire(
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

    pub(super) fn maintain(&mut self, now: Timestamp) -> Maintained {
        let (sessions_expired, trials_suspected) = self.expire(now, |session, now| {
            lease::at(session.phase, now) == SessionPhase::Expired
        });
        let due: Vec<i64> = self
            .trials
            .iter()
            .filter(|(_, entry)| {
                matches!(entry.trial.phase, TrialPhase::Delayed { until } if until <= now)
            })
            .map(|(id, _)| *id)
            .collect();
        for &id in &due {
            self.apply(id, Event::Promote, now);
        }
        self.replies
            .retain(|_, (at, _)| at.plus_ms(REQUESTS_KEPT_MS) > now);
        Maintained {
            sessions_expired,
            trials_suspected,
            trials_promoted: due.len() as u64,
            sweeps_finished: self.settle(now),
        }
    }

    pub(super) fn grant_grace(&mut self, lease_until: Timestamp) {
        for session in self.sessions.values_mut() {
            if let SessionPhase::Open { until } = &mut session.phase {
                *until = lease_until.max(*until);
            }
        }
    }

    pub(super) fn explain(&self, name: &str) -> Result<Explanation, StoreError> {
        let id = self.find(name)?;
        let entry = self.trial(id);
        let parent = entry.parent.map(|parent| self.trial(parent));
        let attempt = |attempt: &AttemptEntry| AttemptRow {
            attempt: attempt.number,
            worker: self.sessions[&attempt.session].new.worker.clone(),
            started_at: attempt.started_at,
            ended_at: attempt.ended_at,
            outcome: attempt.outcome.to_owned(),
            message: attempt.message.clone(),
        };
        let place = (std::cmp::Reverse(entry.priority), entry.new.ord, id);
        let ahead = |trials: &std::collections::BTreeSet<_>| trials.range(..place).count() as u64;
        let is_ready = entry.trial.phase.state() == TrialState::Ready;
        Ok(Explanation {
            trial: TrialId(id),
            identity: entry.new.identity,
            state: entry.trial.phase.state(),
            held_back: entry.held && !entry.trial.phase.state().is_terminal(),
            suspect: matches!(entry.trial.phase, TrialPhase::Suspect { .. }),
            run_after: match entry.trial.phase {
                TrialPhase::Delayed { until } => Some(until),
                _ => None,
            },
            parent: parent.map(|parent| (parent.new.identity, parent.trial.phase.state())),
            params: entry.new.params.clone(),
            ahead: if is_ready {
                self.ready.values().map(ahead).sum()
            } else {
                0
            },
            attempts: entry.attempts.iter().map(attempt).collect(),
            sweeps: entry
                .sweeps
                .iter()
                .map(|id| self.sweeps[id].new.name.clone())
                .collect(),
        })
    }

    /// The row number that a row number, an identity or a unique beginning of one means.
    fn find(&self, name: &str) -> Result<i64, StoreError> {
        if let Ok(id) = name.parse::<i64>()
            && self.trials.contains_key(&id)
        {
            return Ok(id);
        }
        let prefix = naming::identity_prefix(name)?;
        let mut found = self
            .by_identity
            .iter()
            .filter(|(identity, _)| identity.to_string().starts_with(&prefix));
        match (found.next(), found.next()) {
            (None, _) => Err(naming::no_trial(name)),
            (Some((_, id)), None) => Ok(*id),
            (Some(_), Some(_)) => Err(naming::ambiguous(name)),
        }
    }

    pub(super) fn artifacts_in_use(&self) -> Vec<ContentHash> {
        let of = |entry: &TrialEntry| {
            let artifacts = [entry.checkpoint, entry.weights].into_iter().flatten();
            let result = entry.result.as_ref().and_then(|(_, result)| result.weights);
            artifacts
                .map(|artifact| artifact.hash)
                .chain(result)
                .collect::<Vec<_>>()
        };
        let mut hashes: Vec<ContentHash> = self.trials.values().flat_map(of).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }
}
