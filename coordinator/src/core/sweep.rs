//! Where a sweep is, from the states of its trials.

use std::collections::BTreeMap;

use descent_spec::state::{SweepState, TrialState};

/// Trials that may still change.
#[must_use]
pub fn live(counts: &BTreeMap<TrialState, u64>) -> u64 {
    counts
        .iter()
        .filter(|(state, _)| !state.is_terminal())
        .map(|(_, trials)| trials)
        .sum()
}

/// Where a sweep is after its trials or its expansion have moved. What a person decided (paused, cancelled) stays.
#[must_use]
pub fn settle(state: SweepState, expanded: bool, counts: &BTreeMap<TrialState, u64>) -> SweepState {
    match state {
        SweepState::Paused | SweepState::Cancelled => state,
        SweepState::Expanding | SweepState::Running | SweepState::Finished => {
            if !expanded {
                SweepState::Expanding
            } else if live(counts) > 0 {
                SweepState::Running
            } else {
                SweepState::Finished
            }
        }
    }
}

/// Whether a sweep in this state wants its trials to exist.
#[must_use]
pub const fn wants(state: SweepState) -> bool {
    !matches!(state, SweepState::Cancelled)
}

/// Whether a sweep in this state wants its trials handed out.
#[must_use]
pub const fn hands_out(state: SweepState) -> bool {
    !matches!(state, SweepState::Cancelled | SweepState::Paused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_finished_when_all_exists_and_nothing_is_live() {
        use SweepState::{Cancelled, Expanding, Finished, Paused, Running};
        let done = BTreeMap::from([(TrialState::Succeeded, 3), (TrialState::Failed, 1)]);
        let live = BTreeMap::from([(TrialState::Succeeded, 3), (TrialState::Delayed, 1)]);
        for (state, expanded, counts, settled) in [
            (Expanding, false, &done, Expanding),
            (Expanding, true, &live, Running),
            (Expanding, true, &done, Finished),
            (Running, true, &done, Finished),
            (Finished, true, &live, Running),
            (Paused, true, &done, Paused),
            (Cancelled, true, &done, Cancelled),
        ] {
            assert_eq!(settle(state, expanded, counts), settled, "{state}");
        }
    }
}
