//! All that a memory store holds, laid open for whoever checks it.

use std::collections::{BTreeMap, BTreeSet};

use descent_spec::id::{AttemptNumber, Identity, SessionId, SweepId, Timestamp, TrialId};
use descent_spec::outcome::{Measurement, TrialResult};
use descent_spec::state::{SweepState, TrialState};

use super::super::Artifact;
use super::tables::{AttemptEntry, Tables, TrialEntry, Urgency};
use crate::core::lease::SessionPhase;
use crate::core::trial::{Trial, TrialPhase};

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Dump {
    /// Sweeps by name.
    pub sweeps: BTreeMap<String, SweepDump>,
    /// Trials by row number.
    pub trials: BTreeMap<TrialId, TrialDump>,
    /// Sessions.
    pub sessions: BTreeMap<SessionId, SessionPhase>,
}

/// A sweep.
#[derive(Clone, Debug)]
pub struct SweepDump {
    /// Its row number.
    pub id: SweepId,
    /// Where it is.
    pub state: SweepState,
    /// Text of its file.
    pub source: String,
    /// Whether all its points are trials.
    pub expanded: bool,
    /// Its counters.
    pub counts: BTreeMap<TrialState, u64>,
    /// Its trials.
    pub trials: BTreeSet<TrialId>,
}

/// A trial.
#[derive(Clone, Debug)]
pub struct TrialDump {
    /// Its name.
    pub identity: Identity,
    /// Where it is, and its budgets.
    pub trial: Trial,
    /// Whether it is in the index that claims look at.
    pub claimable: bool,
    /// Canonical settings.
    pub params: String,
    /// Failures after which it is given up.
    pub max_failures: u32,
    /// The trial that it starts from.
    pub parent: Option<TrialId>,
    /// The sweeps that want it.
    pub sweeps: BTreeSet<SweepId>,
    /// Where it goes on from.
    pub checkpoint: Option<Artifact>,
    /// What it ended with.
    pub weights: Option<Artifact>,
    /// Its attempts, in order.
    pub attempts: Vec<AttemptDump>,
    /// Its result, and the attempt that it is of.
    pub result: Option<(AttemptNumber, TrialResult)>,
    /// Measurements by epoch, and the attempt that each is of.
    pub measured: BTreeMap<u32, (AttemptNumber, Measurement)>,
}

/// An attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptDump {
    /// Its number.
    pub number: AttemptNumber,
    /// Whose.
    pub session: SessionId,
    /// When it was claimed.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How, or how it is.
    pub outcome: &'static str,
    /// Number of its last chunk of measurements.
    pub metric_seq: u64,
}

impl Tables {
    pub(super) fn dump(&self) -> Dump {
        let sweeps = self.sweeps.values().map(|sweep| {
            let dump = SweepDump {
                id: SweepId(sweep.id),
                state: sweep.state,
                source: sweep.new.source.clone(),
                expanded: sweep.expanded,
                counts: sweep.counts.clone(),
                trials: sweep.links.keys().map(|&id| TrialId(id)).collect(),
            };
            (sweep.new.name.clone(), dump)
        });
        let trials = self.trials.iter();
        let sessions = self.sessions.iter();
        Dump {
            sweeps: sweeps.collect(),
            trials: trials
                .map(|(&id, entry)| (TrialId(id), self.dump_of(id, entry)))
                .collect(),
            sessions: sessions.map(|(&id, session)| (id, session.phase)).collect(),
        }
    }

    fn dump_of(&self, id: i64, entry: &TrialEntry) -> TrialDump {
        let class = self.ready.get(&entry.class);
        let in_index = |index: &BTreeSet<Urgency>| index.iter().any(|&(.., trial)| trial == id);
        TrialDump {
            identity: entry.new.identity,
            trial: entry.trial,
            claimable: class.is_some_and(in_index),
            params: entry.new.params.clone(),
            max_failures: entry.new.max_failures,
            parent: entry.parent.map(TrialId),
            sweeps: entry.sweeps.iter().map(|&id| SweepId(id)).collect(),
            checkpoint: entry.checkpoint,
            weights: entry.weights,
            attempts: entry.attempts.iter().map(AttemptDump::from).collect(),
            result: entry.result.clone(),
            measured: entry.metrics.clone(),
        }
    }
}

impl From<&AttemptEntry> for AttemptDump {
    fn from(entry: &AttemptEntry) -> Self {
        Self {
            number: entry.number,
            session: entry.session,
            started_at: entry.started_at,
            ended_at: entry.ended_at,
            outcome: entry.outcome,
            metric_seq: entry.metric_seq,
        }
    }
}

impl TrialDump {
    /// Who holds it, if anybody does or may come back for it.
    #[must_use]
    pub fn holder(&self) -> Option<SessionId> {
        match self.trial.phase {
            TrialPhase::Leased { holder } | TrialPhase::Suspect { holder } => Some(holder),
            _ => None,
        }
    }
}
