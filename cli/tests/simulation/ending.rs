//! What must have come of it all in the end.

use std::collections::BTreeMap;
use std::time::Duration;

use descent_coordinator::store::memory::{Dump, TrialDump};
use descent_spec::id::ContentHash;
use descent_spec::params::Params;
use descent_spec::state::{SweepState, TrialState};

use crate::check::Checker;
use crate::plan::{Action, SWEEPS};
use crate::shared::Shared;
use crate::trainer::{Mishap, Name, loss, name, weights_after};

/// Whether nothing is left to do.
pub(crate) fn is_settled(dump: &Dump) -> bool {
    let over = |state| matches!(state, SweepState::Finished | SweepState::Cancelled);
    let mut trials = dump.trials.values();
    dump.sweeps.values().all(|sweep| over(sweep.state))
        && trials.all(|trial| trial.trial.phase.state().is_terminal())
}

pub(crate) fn check(checker: &mut Checker, shared: &Shared, dump: &Dump) {
    results(checker, dump);
    causes(checker, shared, dump);
    sweeps(checker, shared, dump);
    workers(checker, shared, dump);
    let (_, twice) = shared.ledger.steps();
    if is_undisturbed(shared) && twice > 0 {
        checker.broken(
            "no step twice",
            format!("{twice} steps were computed again"),
        );
    }
}

/// Whether nobody died, nothing failed and nobody changed their mind about trials in training.
fn is_undisturbed(shared: &Shared) -> bool {
    let acknowledged = shared.acknowledged.lock().unwrap();
    let mut submitted: BTreeMap<&str, u32> = BTreeMap::new();
    for (_, action, _) in acknowledged.iter() {
        match action {
            Action::Submit(source, _) => {
                *submitted.entry(name_of(source)).or_default() += 1;
            }
            Action::Cancel(_) => return false,
            Action::Pause(_) | Action::Resume(_) | Action::Rerun(..) => {}
        }
    }
    let mishaps = shared.plan.mishaps.keys();
    let fired: u32 = mishaps.map(|&name| shared.ledger.fired(name)).sum();
    shared.plan.calm && fired == 0 && submitted.values().all(|&times| times == 1)
}

fn name_of(source: &str) -> &'static str {
    let is = |name: &&&str| source.starts_with(&format!("name = \"{name}\""));
    SWEEPS.iter().find(is).expect("a sweep of the plan")
}

fn trial_name(trial: &TrialDump) -> Name {
    let params = Params::from_json(&trial.params).expect("settings");
    name(&params.resolve().expect("a trial"))
}

/// The weights that an undisturbed training ends with.
fn expected(dump: &Dump, trial: &TrialDump, epochs: u32) -> Vec<u8> {
    let parent = trial.parent.map(|parent| {
        let parent = &dump.trials[&parent];
        expected(dump, parent, trial_name(parent).2)
    });
    weights_after(trial_name(trial), parent.as_deref(), epochs)
}

fn results(checker: &mut Checker, dump: &Dump) {
    for (&id, trial) in &dump.trials {
        let Some((attempt, result)) = &trial.result else {
            continue;
        };
        let epochs = trial_name(trial).2;
        let weights = ContentHash::of(&expected(dump, trial, epochs));
        if result.weights != Some(weights) || trial.weights.map(|file| file.hash) != Some(weights) {
            checker.broken(
                "resume is exact",
                format!(
                    "trial {id}: {:?}, {:?}, should be {weights}",
                    result.weights, trial.weights
                ),
            );
        }
        if checker
            .weights
            .get(&(id, *attempt))
            .is_none_or(|&told| told != weights)
        {
            checker.broken(
                "I2 weights",
                format!("trial {id}: none told to attempt {attempt}"),
            );
        }
        let measured = trial
            .measured
            .iter()
            .map(|(&epoch, (_, measured))| (epoch, measured.train_loss));
        let should = (1..=epochs).map(|epoch| (epoch, Some(loss(&expected(dump, trial, epoch)))));
        if !measured.eq(should) {
            checker.broken(
                "I6 measurements",
                format!("trial {id}: {:?}", trial.measured),
            );
        }
    }
}

/// Everything that did not succeed has a reason, and nothing was charged without one.
fn causes(checker: &mut Checker, shared: &Shared, dump: &Dump) {
    let cancelled = {
        let acknowledged = shared.acknowledged.lock().unwrap();
        let mut submissions = 0;
        let cancels = |(_, action, _): &(_, Action, u64)| match action {
            Action::Cancel(_) => true,
            Action::Submit(source, _) if name_of(source) == "toy" => {
                submissions += 1;
                submissions > 1
            }
            _ => false,
        };
        let mut all = acknowledged.iter();
        all.any(cancels)
    };
    for (&id, trial) in &dump.trials {
        let state = trial.trial.phase.state();
        let name = trial_name(trial);
        let fired = shared.ledger.fired(name);
        let rows = trial.attempts.iter();
        let failed = rows.filter(|row| row.outcome == "failed").count();
        if failed > fired as usize {
            checker.broken("I9 failures", format!("trial {id}: {failed} of {fired}"));
        }
        let planned = shared.plan.mishaps.get(&name);
        let fatal = planned.is_some_and(|planned| matches!(planned.mishap, Mishap::Panic));
        let parent = trial
            .parent
            .map(|parent| dump.trials[&parent].trial.phase.state());
        let reason = match state {
            TrialState::Succeeded => true,
            TrialState::Failed => {
                fired > 0 && (fatal || trial.trial.failures >= trial.max_failures)
            }
            TrialState::Cancelled => cancelled,
            TrialState::Skipped => parent.is_some_and(|parent| parent != TrialState::Succeeded),
            _ => false,
        };
        if !reason {
            checker.broken("I8 all end", format!("trial {id} is {state}: {trial:?}"));
        }
        if shared.plan.calm && trial.trial.crashes > 0 {
            checker.broken("I9 crashes", format!("trial {id}: {trial:?}"));
        }
    }
}

/// What the user was told is so.
fn sweeps(checker: &mut Checker, shared: &Shared, dump: &Dump) {
    for name in SWEEPS {
        let mut source = None;
        let mut cancelled = false;
        for (_, action, number) in shared.acknowledged.lock().unwrap().iter() {
            match action {
                Action::Submit(text, points) if name_of(text) == name => {
                    source = Some((text.clone(), *points));
                    cancelled = false;
                    if number != points {
                        let text = format!("{name} of {points} points was taken for {number}");
                        checker.broken("I2 submit", text);
                    }
                }
                Action::Cancel(of) if *of == name => cancelled = true,
                Action::Rerun(of, _) if *of == name => cancelled = false,
                _ => {}
            }
        }
        match (source, dump.sweeps.get(name)) {
            (None, None) => {}
            (Some((source, points)), Some(sweep)) => {
                if sweep.source != source {
                    checker.broken("I2 submit", format!("{name} is another file"));
                }
                if !cancelled && (sweep.trials.len() as u64 != points || !sweep.expanded) {
                    let found = sweep.trials.len();
                    checker.broken("no holes", format!("{name}: {found} trials of {points}"));
                }
                if cancelled && sweep.state != SweepState::Cancelled {
                    checker.broken("I2 cancel", format!("{name} is {}", sweep.state));
                }
            }
            (source, sweep) => {
                checker.broken("I2 submit", format!("{name}: {source:?}, {sweep:?}"));
            }
        }
    }
}

fn workers(checker: &mut Checker, shared: &Shared, dump: &Dump) {
    let mut last = Vec::new();
    for (number, worker) in shared.workers.iter().enumerate() {
        let state = worker.lock().unwrap();
        last.push(state.lives);
        for (life, ended) in &state.ended {
            // One that was told to stop while nobody answered leaves things undelivered, and may.
            let in_order = match ended {
                Ok(report) => report.undelivered == 0 || *life < state.lives,
                Err(_) => false,
            };
            if !in_order {
                let text = format!("worker-{number}/{life}: {ended:?}");
                checker.broken("workers end in order", text);
            }
        }
    }
    grants(checker, shared, dump, &last);
}

/// Nothing is granted to a worker that never hears of it, unless it died or began a new session meanwhile, or its request had no answer
/// to the end. It has none where every answer was lost and the attempt was over before one came through, because another worker had
/// claimed the trial or the user had given it up: there may be nothing left to wait for when faults are over.
fn grants(checker: &mut Checker, shared: &Shared, dump: &Dump, last: &[u32]) {
    let mut lives: BTreeMap<_, u32> = BTreeMap::new();
    for life in checker.sessions.values() {
        *lives.entry(*life).or_default() += 1;
    }
    // By session and by claim, which all its trials have the time of: when the first was seen, and what they are.
    let mut unheard: BTreeMap<_, (Duration, Vec<String>)> = BTreeMap::new();
    for (&id, trial) in &dump.trials {
        for row in &trial.attempts {
            let heard = checker.granted.contains(&(row.session, id, row.number));
            let Some(life) = checker.sessions.get(&row.session).filter(|_| !heard) else {
                continue;
            };
            let is_last = last[life.worker] == life.number;
            if lives[life] == 1 && is_last && !shared.was_killed(*life) {
                let seen = checker.seen[&(id, row.number)];
                let claim = (*life, row.session, row.started_at);
                let (first, rows) = unheard.entry(claim).or_insert((seen, Vec::new()));
                *first = seen.min(*first);
                rows.push(format!("trial {id}: {row:?}"));
            }
        }
    }
    let slots = shared.plan.slots as usize;
    for worker in &shared.workers {
        for (session, asked) in &worker.lock().unwrap().asked {
            // Each slot has one at most, and repeats it under its own name until it is answered.
            if asked.most_open > slots {
                let text = format!("session {session}: {} at a time", asked.most_open);
                checker.broken("requests are repeated", text);
            }
        }
    }
    for ((life, session, _), (seen, rows)) in unheard {
        let mut state = shared.workers[life.worker].lock().unwrap();
        // Each explains one claim.
        let open = state.asked.get_mut(&session).and_then(|asked| {
            let mut open = asked.open.iter();
            let request = *open.find(|(_, since)| **since <= seen)?.0;
            asked.open.remove(&request)
        });
        if open.is_none() {
            checker.broken("grants are heard of", rows.join(", "));
        }
    }
}
