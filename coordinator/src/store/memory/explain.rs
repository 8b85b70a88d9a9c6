//! Why a trial of the memory store is where it is, and which files are still needed.

use std::sync::Arc;

use descent_spec::id::{ContentHash, TrialId};
use descent_spec::state::TrialState;

use super::super::{AttemptRow, Explanation, Needs, StoreError, naming};
use super::tables::{AttemptEntry, Tables, TrialEntry};
use crate::core::trial::TrialPhase;

impl Tables {
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
            failure: attempt.failure.map(|kind| kind.word().to_owned()),
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
            pauses: entry
                .sweeps
                .iter()
                .filter_map(|id| self.sweeps[id].pause_reason.clone())
                .collect(),
            needs: Needs {
                data: entry.class.data,
                device: entry.class.device.clone(),
                instruction_set: entry.class.instruction_set.clone(),
                memory: entry.new.columns.memory + entry.new.data_memory,
            },
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
        let of = |entry: &Arc<TrialEntry>| {
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
