//! Results from another database, in memory.

use descent_spec::id::{AttemptNumber, Timestamp};

use super::super::import::{Imported, ImportedResult, same};
use super::super::{Artifact, number};
use super::tables::Tables;
use crate::core::trial::TrialPhase;

impl Tables {
    pub(super) fn import_results(
        &mut self,
        results: &[ImportedResult],
        now: Timestamp,
    ) -> Vec<Imported> {
        let outcomes = results
            .iter()
            .map(|result| self.import_one(result))
            .collect();
        self.settle(now);
        outcomes
    }

    fn import_one(&mut self, imported: &ImportedResult) -> Imported {
        let Some(&id) = self.by_identity.get(&imported.identity) else {
            return Imported::Unknown;
        };
        let entry = self.trial(id);
        if let Some((_, ours)) = &entry.result {
            if !same(ours, &imported.result) {
                return Imported::Different;
            }
            if entry.metrics.is_empty() {
                self.measure(id, imported);
            }
            return Imported::Same;
        }
        if matches!(
            entry.trial.phase,
            TrialPhase::Leased { .. } | TrialPhase::Suspect { .. }
        ) {
            return Imported::Leased;
        }
        let waits = |child: &i64| !self.trial(*child).trial.phase.state().is_terminal();
        if entry.children.iter().any(waits) {
            return Imported::Needed;
        }
        self.set_phase(id, TrialPhase::Succeeded);
        let entry = self.trial_mut(id);
        let mut result = imported.result.clone();
        result.last = number::finite(&result.last);
        result.coefficient_norm = number::finite_only(result.coefficient_norm);
        entry.metrics.clear();
        entry.checkpoint = None;
        if entry.new.params.contains("\"train.weight_reuse\"") {
            entry.weights = result.weights.map(|hash| Artifact { hash, bytes: 0 });
        }
        // No attempt here brought it.
        entry.result = Some((AttemptNumber(0), result));
        self.measure(id, imported);
        Imported::Added
    }

    /// Keeps what was measured on the way.
    fn measure(&mut self, id: i64, imported: &ImportedResult) {
        let entry = self.trial_mut(id);
        for measurement in &imported.measurements {
            let kept = (AttemptNumber(0), number::finite(measurement));
            entry.metrics.entry(measurement.epoch).or_insert(kept);
        }
    }
}
