//! Claims in the memory store: the most urgent trials that fit a worker, and the same ones again for a repeated request.

use descent_spec::id::{AttemptNumber, ContentHash, Timestamp, TrialId};
use descent_spec::state::{SweepState, TrialState};

use super::super::{Ask, Claim, Claimed, StoreError};
use super::tables::{AttemptEntry, Class, Reply, SessionEntry, SweepEntry, Tables, Urgency};
use crate::core::lease::SessionPhase;
use crate::core::share::{self, Candidate, Room};
use crate::core::sweep::hands_out;
use crate::core::trial::Event;

impl Tables {
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
        let served = || fitting().filter(|(class, _)| ask.data.contains(&class.data));
        let Some((class, trials)) = served().min_by_key(|(_, trials)| trials.first().copied())
        else {
            let mut missing: Vec<ContentHash> = fitting().map(|(class, _)| class.data).collect();
            missing.sort_unstable();
            missing.dedup();
            return Ok(Claim {
                claimed: Vec::new(),
                missing_data: missing,
            });
        };
        let open = |session: &&SessionEntry| matches!(session.phase, SessionPhase::Open { .. });
        let alive = || {
            let open = self.sessions.values().filter(open);
            open.filter(|session| class.fits(&session.new))
        };
        let slots = alive().map(|session| u64::from(session.new.slots)).sum();
        let most = alive().map(|session| session.new.memory).max();
        let room = Room {
            trials: ask.max_trials,
            memory: ask.memory,
            most: most.unwrap_or(0) <= ask.memory,
        };
        let ready = self.ready_trials();
        let alike: Vec<Candidate> = trials.iter().map(|&place| self.candidate(place)).collect();
        let taken = if share::is_near_end(ready, ask.max_trials, slots) {
            let mut front: Vec<Urgency> = self.ready.values().flatten().copied().collect();
            front.sort_unstable();
            front.truncate(share::FRONT_MOST as usize);
            front.retain(|place| served().any(|(_, trials)| trials.contains(place)));
            let costs = front.iter().map(|&place| self.candidate(place).cost);
            let (trials, work) = share::all_work(costs, ready);
            let costliest = share::costliest_first(alike);
            let share = share::share(&costliest, trials, work, slots);
            let trials = share.min(ask.max_trials);
            share::fitting(&costliest, Room { trials, ..room })
        } else {
            let first = alike.len().min(ask.max_trials as usize);
            share::fitting(&alike[..first], room)
        };
        let mut grants = Vec::new();
        for id in taken {
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

    /// Trials that sweeps at work have ready; a trial that two sweeps share counts twice.
    fn ready_trials(&self) -> u64 {
        let at_work = |sweep: &&SweepEntry| {
            matches!(sweep.state, SweepState::Expanding | SweepState::Running)
        };
        let at_work = self.sweeps.values().filter(at_work);
        at_work
            .filter_map(|sweep| sweep.counts.get(&TrialState::Ready))
            .sum()
    }

    fn candidate(&self, (.., id): Urgency) -> Candidate {
        let entry = self.trial(id);
        Candidate {
            trial: id,
            priority: entry.priority,
            cost: entry.new.columns.cost,
            memory: entry.new.columns.memory,
        }
    }

    /// What a worker needs to know of a trial that it got.
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
}
