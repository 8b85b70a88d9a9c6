//! What must hold, whatever happened: looked at once a simulated second, after every crash, and at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use descent_coordinator::core::sweep::hands_out;
use descent_coordinator::core::trial::TrialPhase;
use descent_coordinator::store::memory::{AttemptDump, Dump, SweepDump, TrialDump};
use descent_spec::id::{AttemptNumber, SessionId, TrialId};
use descent_spec::lease::{Directive, Fence, Purpose, Verdict};
use descent_spec::state::{SweepState, TrialState};

use crate::record::{Answer, Call, Life, Told, What};
use crate::shared::Shared;

/// Watches one simulation.
pub(crate) struct Checker {
    shared: Arc<Shared>,
    previous: Dump,
    /// When each attempt was first seen on the disk.
    pub(crate) seen: BTreeMap<(TrialId, AttemptNumber), Duration>,
    /// Lines of the record that were looked at.
    read: usize,
    /// The worker's life that opened each session, and what it was granted.
    pub(crate) sessions: BTreeMap<SessionId, Life>,
    pub(crate) granted: BTreeSet<(SessionId, TrialId, AttemptNumber)>,
    /// The last weights that each attempt was told are stored.
    pub(crate) weights: BTreeMap<(TrialId, AttemptNumber), descent_spec::id::ContentHash>,
    pub(crate) violations: Vec<String>,
}

impl Checker {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            previous: Dump::default(),
            seen: BTreeMap::new(),
            read: 0,
            sessions: BTreeMap::new(),
            granted: BTreeSet::new(),
            weights: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    pub(crate) fn broken(&mut self, rule: &str, what: impl Into<String>) {
        // The first few tell what happened; what follows from them does not.
        if self.violations.len() < 5 {
            let at = self.shared.now().as_secs_f64();
            self.violations
                .push(format!("{rule} at {at:.3} s: {}", what.into()));
        }
    }

    pub(crate) fn look(&mut self) -> Dump {
        let dump = self.shared.disk.dump();
        let previous = std::mem::take(&mut self.previous);
        for (&id, trial) in &dump.trials {
            self.trial(id, trial, &dump);
            if let Some(before) = previous.trials.get(&id) {
                self.change(id, before, trial);
            }
        }
        self.counters(&dump);
        self.told(&dump);
        let now = self.shared.now();
        for (&id, trial) in &dump.trials {
            for attempt in &trial.attempts {
                self.seen.entry((id, attempt.number)).or_insert(now);
            }
        }
        self.previous = dump.clone();
        dump
    }

    /// What holds of a trial at any time.
    fn trial(&mut self, id: TrialId, trial: &TrialDump, dump: &Dump) {
        let numbers = trial.attempts.iter().map(|attempt| attempt.number.0);
        let last = trial.trial.attempt.0;
        if !numbers.eq(1..=last) {
            self.broken(
                "I3 attempts count up",
                format!("trial {id}: {:?}", trial.attempts),
            );
        }
        let ended = |how: &str| {
            let attempts = trial.attempts.iter();
            attempts.filter(|attempt| attempt.outcome == how).count()
        };
        let state = trial.trial.phase.state();
        let latch = trial.result.as_ref().map(|(attempt, _)| *attempt);
        if (state == TrialState::Succeeded) != latch.is_some() || ended("succeeded") > 1 {
            self.broken(
                "I1 one result",
                format!("trial {id} is {state} with the result of attempt {latch:?}"),
            );
        }
        if let Some(attempt) = latch
            && trial
                .attempts
                .iter()
                .any(|row| (row.outcome == "succeeded") != (row.number == attempt))
        {
            self.broken("I1 one result", format!("trial {id}: {:?}", trial.attempts));
        }
        if state.is_terminal() && trial.attempts.iter().any(|row| row.ended_at.is_none()) {
            self.broken(
                "I1 ended",
                format!("trial {id} is {state}: {:?}", trial.attempts),
            );
        }
        let counts = trial.trial;
        if counts.releases as usize != ended("released")
            || counts.failures as usize > ended("failed")
            || counts.crashes as usize > ended("lost")
        {
            self.broken(
                "I9 charges",
                format!("trial {id}: {counts:?}, {:?}", trial.attempts),
            );
        }
        let running = matches!(
            state,
            TrialState::Ready | TrialState::Leased | TrialState::Delayed | TrialState::Succeeded
        );
        let parent = trial.parent.map(|parent| dump.trials[&parent].trial.phase);
        if running && parent.is_some_and(|parent| parent != TrialPhase::Succeeded) {
            self.broken(
                "I7 dependants wait",
                format!("trial {id} is {state}, its parent {parent:?}"),
            );
        }
        let handing =
            |sweep: &SweepDump| trial.sweeps.contains(&sweep.id) && hands_out(sweep.state);
        let wanted = dump.sweeps.values().any(handing) && state == TrialState::Ready;
        if wanted != trial.claimable {
            self.broken(
                "I5 claimable",
                format!(
                    "trial {id} is {state}, wanted {wanted}, in the index {}",
                    trial.claimable
                ),
            );
        }
    }

    /// What can become of a trial.
    fn change(&mut self, id: TrialId, before: &TrialDump, after: &TrialDump) {
        if after.trial.attempt < before.trial.attempt {
            self.broken(
                "I3 attempts count up",
                format!("trial {id}: {before:?}, then {after:?}"),
            );
        }
        if before.result.is_some() && before.result != after.result {
            self.broken(
                "I1 one result",
                format!("trial {id}: {before:?}, then {after:?}"),
            );
        }
        for (then, now) in before.attempts.iter().zip(&after.attempts) {
            let same = then == now || then.ended_at.is_none();
            if !same || now.metric_seq < then.metric_seq || now.session != then.session {
                self.broken(
                    "I2 what ended stays",
                    format!("trial {id}: {then:?}, then {now:?}"),
                );
            }
        }
    }

    fn counters(&mut self, dump: &Dump) {
        for (name, sweep) in &dump.sweeps {
            let mut counts: BTreeMap<TrialState, u64> = BTreeMap::new();
            for trial in &sweep.trials {
                *counts
                    .entry(dump.trials[trial].trial.phase.state())
                    .or_default() += 1;
            }
            if counts != sweep.counts {
                self.broken(
                    "I5 counters",
                    format!("{name}: {:?}, rows {counts:?}", sweep.counts),
                );
            }
            let live = counts.keys().any(|state| !state.is_terminal());
            if sweep.state == SweepState::Finished && (live || !sweep.expanded) {
                self.broken("I5 finished", format!("{name} with {counts:?}"));
            }
        }
    }

    /// What somebody was told since the last look.
    fn told(&mut self, dump: &Dump) {
        let new: Vec<Told> = {
            let lines = self.shared.record.lines();
            let new = lines[self.read..]
                .iter()
                .filter_map(|line| match &line.what {
                    What::Told(told) => Some(told.clone()),
                    _ => None,
                });
            let new = new.collect();
            self.read = lines.len();
            new
        };
        for told in new {
            self.one(&told, dump);
        }
    }

    fn one(&mut self, told: &Told, dump: &Dump) {
        match (&told.call, &told.answer) {
            (Call::Open(session), Answer::Done) => {
                self.sessions.insert(*session, told.life);
            }
            (Call::Lease(session, _), Answer::Granted(grants)) => {
                for &(trial, attempt) in grants {
                    let fence = Fence {
                        session: *session,
                        trial,
                        attempt,
                    };
                    self.kept(told, fence, dump, |_| true);
                    if !told.repeat {
                        self.granted.insert((*session, trial, attempt));
                    }
                }
            }
            (Call::Beat(session, held), Answer::Directives(directives)) => {
                for (&(trial, attempt), (_, directive)) in held.iter().zip(directives) {
                    let fence = Fence {
                        session: *session,
                        trial,
                        attempt,
                    };
                    if *directive == Directive::Continue {
                        self.not_after_a_newer(told, fence, dump, None);
                    }
                }
            }
            (Call::Metrics(fence, seq), Answer::Done) => {
                self.kept(told, *fence, dump, |row| row.metric_seq >= *seq);
                self.not_after_a_newer(told, *fence, dump, None);
            }
            (Call::Artifact(fence, purpose, hash), Answer::Done) => {
                self.not_after_a_newer(told, *fence, dump, None);
                if *purpose == Purpose::Weights {
                    self.weights.insert((fence.trial, fence.attempt), *hash);
                }
            }
            (Call::Complete(fences), Answer::Verdicts(verdicts)) => {
                for (fence, verdict) in fences.iter().zip(verdicts) {
                    if *verdict == Verdict::Accepted {
                        self.kept(told, *fence, dump, |row| row.outcome == "succeeded");
                        self.not_after_a_newer(told, *fence, dump, Some("succeeded"));
                    }
                }
            }
            (Call::Release(fences), Answer::Verdicts(verdicts)) => {
                for (fence, verdict) in fences.iter().zip(verdicts) {
                    if *verdict == Verdict::Accepted {
                        self.kept(told, *fence, dump, |row| row.outcome == "released");
                        self.not_after_a_newer(told, *fence, dump, Some("released"));
                    }
                }
            }
            (Call::Fail(fence), Answer::State(_)) => {
                self.kept(told, *fence, dump, |row| row.outcome == "failed");
                self.not_after_a_newer(told, *fence, dump, Some("failed"));
            }
            _ => {}
        }
    }

    /// What was acknowledged is on the disk.
    fn kept(
        &mut self,
        told: &Told,
        fence: Fence,
        dump: &Dump,
        holds: impl Fn(&AttemptDump) -> bool,
    ) {
        let attempts = dump.trials.get(&fence.trial).map(|trial| &trial.attempts);
        let row = attempts.and_then(|attempts| {
            let mut rows = attempts.iter();
            rows.find(|row| row.number == fence.attempt && row.session == fence.session)
        });
        if !row.is_some_and(&holds) {
            self.broken("I2 acknowledged is durable", format!("{told:?}: {row:?}"));
        }
    }

    /// Who held a trial before is told nothing good any more, but for a repetition of what ended its attempt.
    fn not_after_a_newer(
        &mut self,
        told: &Told,
        fence: Fence,
        dump: &Dump,
        ended: Option<&'static str>,
    ) {
        let next = AttemptNumber(fence.attempt.0 + 1);
        let newer = self.seen.get(&(fence.trial, next)).copied();
        if newer.is_none_or(|at| told.began <= at) {
            return;
        }
        let attempts = dump.trials.get(&fence.trial).map(|trial| &trial.attempts);
        let is_repetition = ended.is_some_and(|ended| {
            let rows = attempts.into_iter().flatten();
            let mut rows = rows.filter(|row| row.number == fence.attempt);
            rows.any(|row| row.session == fence.session && row.outcome == ended)
        });
        if !is_repetition {
            self.broken(
                "I4 fenced",
                format!("{told:?} though attempt {next} was there at {newer:?}"),
            );
        }
    }
}
