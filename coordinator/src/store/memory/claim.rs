//! Claims in the memory store: the most urgent trials that fit a worker, and the same ones again for a repeated request.

use descent_spec::id::{AttemptNumber, ContentHash, Timestamp, TrialId};

use super::super::{Ask, Claim, Claimed, StoreError};
use super::tables::{AttemptEntry, Class, Reply, Tables};
use crate::core::lease::SessionPhase;
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
