//! Sweeps as rows: what `status`, `watch` and the steering commands print.

use std::time::Duration;

use descent_proto::v1;
use descent_spec::state::{SweepState, TrialState};

use crate::eta;
use crate::output::{Cell, Form, Rows};

/// Trials of a sweep in one state.
pub(crate) fn count(sweep: &v1::Sweep, state: TrialState) -> u64 {
    let wanted = v1::TrialState::from(state) as i32;
    sweep
        .counts
        .iter()
        .filter(|count| count.state == wanted)
        .map(|count| count.trials)
        .sum()
}

/// Trials of a sweep in any state.
pub(crate) fn trials(sweep: &v1::Sweep) -> u64 {
    sweep.counts.iter().map(|count| count.trials).sum()
}

/// Trials that ended without a result.
pub(crate) fn without_result(sweep: &v1::Sweep) -> u64 {
    TrialState::ALL
        .iter()
        .filter(|state| state.is_terminal() && **state != TrialState::Succeeded)
        .map(|&state| count(sweep, state))
        .sum()
}

/// Where the sweep is; a state that this version does not know is the wire's own word.
pub(crate) fn state(sweep: &v1::Sweep) -> Option<SweepState> {
    SweepState::try_from(sweep.state()).ok()
}

/// Whether nothing more will happen by itself.
pub(crate) fn is_over(sweep: &v1::Sweep) -> bool {
    matches!(
        state(sweep),
        Some(SweepState::Finished | SweepState::Cancelled)
    )
}

/// One row a sweep.
pub(crate) fn rows(sweeps: &[v1::Sweep]) -> Rows {
    let mut rows = Rows::new([
        ("sweep", Form::Text),
        ("state", Form::Text),
        ("points", Form::Count),
        ("trials", Form::Count),
        ("succeeded", Form::Count),
        ("leased", Form::Count),
        ("ready", Form::Count),
        ("blocked", Form::Count),
        ("delayed", Form::Count),
        ("failed", Form::Count),
        ("cancelled", Form::Count),
        ("progress", Form::Share),
        ("workers", Form::Count),
        ("first_failure", Form::Text),
        ("pause_reason", Form::Text),
    ]);
    for sweep in sweeps {
        let of = |state| Cell::Int(i64::try_from(count(sweep, state)).unwrap_or(i64::MAX));
        let failed = count(sweep, TrialState::Failed) + count(sweep, TrialState::Poisoned);
        let given_up = count(sweep, TrialState::Cancelled) + count(sweep, TrialState::Skipped);
        rows.push([
            Cell::Text(sweep.name.clone()),
            Cell::Text(state(sweep).map_or("unknown", SweepState::word).to_owned()),
            int(sweep.points),
            int(trials(sweep)),
            of(TrialState::Succeeded),
            of(TrialState::Leased),
            of(TrialState::Ready),
            of(TrialState::Blocked),
            of(TrialState::Delayed),
            int(failed),
            int(given_up),
            Cell::Real(share(sweep)),
            Cell::Int(i64::from(sweep.workers)),
            sweep.first_failure.clone().map_or(Cell::Null, Cell::Text),
            sweep.pause_reason.clone().map_or(Cell::Null, Cell::Text),
        ]);
    }
    rows
}

/// Share of the predicted work that is done.
pub(crate) fn share(sweep: &v1::Sweep) -> f64 {
    if sweep.cost_total > 0.0 {
        (sweep.cost_done / sweep.cost_total).clamp(0.0, 1.0)
    } else if is_over(sweep) {
        1.0
    } else {
        0.0
    }
}

/// One line on how far a sweep is: `smoke  running  12/30 trials, 41 %, 2 leased, about 1 min 10 s left`.
pub(crate) fn line(sweep: &v1::Sweep, share: f64, rest: Option<Duration>) -> String {
    let mut line = format!(
        "{}  {}  {}/{} trials, {:.0} %",
        sweep.name,
        state(sweep).map_or("unknown", SweepState::word),
        count(sweep, TrialState::Succeeded),
        trials(sweep),
        100.0 * share,
    );
    let leased = count(sweep, TrialState::Leased);
    if leased > 0 {
        line.push_str(&format!(", {leased} in training"));
    }
    let lost = without_result(sweep);
    if lost > 0 {
        line.push_str(&format!(", {lost} without a result"));
    }
    if let Some(reason) = &sweep.pause_reason {
        line.push_str(&format!(", paused because {reason}"));
    } else if let Some(rest) = rest {
        line.push_str(&format!(", about {} left", eta::human(rest)));
    }
    line
}

/// A count as a cell.
fn int(value: u64) -> Cell {
    Cell::Int(i64::try_from(value).unwrap_or(i64::MAX))
}
