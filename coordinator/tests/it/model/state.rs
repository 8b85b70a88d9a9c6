//! The whole world at one moment, and every step that it can take from there.

use super::flaw::Flaw;
use super::message::{Report, Request, Sent, Slot};
use super::queue::{Directive, Queue, Seen};
use super::scope::{Rules, SESSIONS, WORKERS};
use super::worker::{Inbox, Stage, Worker};

/// What a coordinator has read and not acted upon yet. It dies with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Look {
    /// A session is silent, and held these trials.
    Silent { session: usize, held: Seen },
    /// A trial's delay is over.
    Due { trial: usize },
}

/// A claim that has chosen, and not taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Choice {
    by: usize,
    ask: usize,
    trial: usize,
}

/// The whole world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) queue: Queue,
    /// What is durable, where that is less than what was executed.
    pub(super) synced: Option<Box<Queue>>,
    pub(super) workers: [Worker; WORKERS],
    pub(super) sent: Sent,
    pub(super) looks: [Option<Look>; 2],
    pub(super) choices: [Option<Choice>; 2],
}

/// What a worker hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Granted,
    Accepted,
    Stopped,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A worker asks for work.
    Ask(usize),
    /// A worker does not ask any longer: it is to stop, or was answered by nobody.
    GiveUp(usize),
    /// An answer reaches a worker.
    Hear(usize, Heard),
    /// A worker reports the end of its attempt.
    Report(usize, Report),
    /// A worker closes its session.
    Close(usize),
    /// A worker's process dies, and is started again if it has a life left.
    Crash(usize),
    /// A worker reports, under its new session, what it finds of its former life.
    Recall(usize),
    /// A request reaches the coordinator.
    Arrive(Request),
    /// A claim takes what it has chosen.
    Take(usize),
    /// A sweeper looks.
    Look(usize, Look),
    /// A sweeper acts upon what it has seen.
    Act(usize),
    /// The user cancels.
    Cancel,
    /// The user asks once more.
    Rerun,
    /// What was executed becomes durable, and is answered.
    Sync,
    /// The coordinator dies, and is started again.
    Restart,
}

impl State {
    pub(super) fn new(rules: &Rules) -> Self {
        let mut state = Self {
            queue: Queue::new(rules),
            synced: None,
            workers: [0, 1].map(Worker::new),
            sent: Sent::default(),
            looks: [None; 2],
            choices: [None; 2],
        };
        for worker in 0..WORKERS {
            if rules.scope.lives[worker] == 0 {
                state.workers[worker].stage = Stage::Dead;
            } else {
                state.begin_life(worker);
            }
        }
        state
    }

    /// What would be left if the coordinator died now.
    pub(super) fn durable(&self) -> &Queue {
        self.synced.as_deref().unwrap_or(&self.queue)
    }

    /// A worker opens its session and says that it holds nothing. (Opening is repeated until it is answered, and harmless.)
    fn begin_life(&mut self, worker: usize) {
        let by = self.workers[worker].session();
        self.queue.open(by);
        if let Some(synced) = &mut self.synced {
            synced.open(by);
        }
        self.sent.add(Request::Beat { by, listed: None });
    }

    /// What can happen next.
    pub(super) fn actions(&self, rules: &Rules, actions: &mut Vec<Action>) {
        // When everything has ended for good, only what is on its way already could still do harm.
        let over = self.queue.is_over(rules);
        for (w, worker) in self.workers.iter().enumerate() {
            hearing(w, worker, actions);
            if !over {
                doing(rules, w, worker, actions);
            }
        }
        actions.extend(self.sent.iter().map(Action::Arrive));
        let choices = (0..2).filter(|&at| self.choices[at].is_some());
        actions.extend(choices.map(Action::Take));
        for at in 0..rules.scope.sweepers {
            match self.looks[at] {
                Some(_) => actions.push(Action::Act(at)),
                // Sweepers are alike: the first that is free looks.
                None if self.looks[..at].contains(&None) => {}
                None => self.looks_of(rules, at, actions),
            }
        }
        if rules.scope.cancel && !self.queue.cancelled {
            actions.push(Action::Cancel);
        }
        if self.queue.reruns < rules.scope.reruns {
            actions.push(Action::Rerun);
        }
        if self.synced.is_some() {
            actions.push(Action::Sync);
        }
        if self.synced.is_some() || self.looks != [None; 2] || self.choices != [None; 2] {
            actions.push(Action::Restart);
        }
    }

    fn looks_of(&self, rules: &Rules, at: usize, actions: &mut Vec<Action>) {
        for session in (0..SESSIONS).filter(|&session| self.queue.may_be_silent(session)) {
            let held = self.queue.held_by(session);
            actions.push(Action::Look(at, Look::Silent { session, held }));
        }
        for trial in 0..rules.scope.trials {
            use descent_coordinator::core::trial::TrialPhase;
            if let TrialPhase::Delayed { .. } = self.queue.rows[trial].trial.phase {
                actions.push(Action::Look(at, Look::Due { trial }));
            }
        }
    }

    /// The world after a step; `None`: nothing changes.
    pub(super) fn after(&self, rules: &Rules, action: Action) -> Option<Self> {
        let mut state = self.clone();
        state.step(rules, action);
        (state != *self).then_some(state)
    }

    fn step(&mut self, rules: &Rules, action: Action) {
        match action {
            Action::Ask(w) => {
                let worker = &mut self.workers[w];
                let (by, ask) = (worker.session(), worker.asked);
                worker.asked += 1;
                worker.turn_to(Stage::Asking { ask });
                self.sent.add(Request::Claim { by, ask });
            }
            Action::GiveUp(w) => self.workers[w].turn_to(Stage::Idle),
            Action::Hear(w, heard) => self.hear(rules, w, heard),
            Action::Report(w, report) => {
                let worker = &mut self.workers[w];
                let by = worker.session();
                if let Some(slot) = worker.slot() {
                    worker.turn_to(Stage::Reporting { slot, report });
                    self.sent.add(Request::Report { by, slot, report });
                }
            }
            Action::Close(w) => {
                let by = self.workers[w].session();
                self.workers[w].turn_to(Stage::Closed);
                self.sent.add(Request::Close { by });
            }
            Action::Crash(w) => self.crash(rules, w),
            Action::Recall(w) => {
                let worker = &mut self.workers[w];
                let by = worker.session();
                if let Some(slot) = worker.disk.take() {
                    let report = Report::Complete;
                    self.sent.add(Request::Report { by, slot, report });
                }
            }
            Action::Arrive(request) => self.arrive(rules, request),
            Action::Take(at) => {
                if let Some(Choice { by, ask, trial }) = self.choices[at].take() {
                    let slot = self.queue.take_for(rules, trial, by, ask);
                    self.grant(rules, by, ask, slot);
                }
            }
            Action::Look(at, look) => self.looks[at] = Some(look),
            Action::Act(at) => match self.looks[at].take() {
                Some(Look::Silent { session, held }) => {
                    self.execute(rules, |queue| queue.silence(rules, session, held));
                }
                Some(Look::Due { trial }) => {
                    self.execute(rules, |queue| queue.promote(rules, trial));
                }
                None => {}
            },
            Action::Cancel => self.queue.cancel(rules),
            Action::Rerun => self.queue.rerun(rules),
            Action::Sync => {
                self.synced = None;
                for worker in &mut self.workers {
                    let owed = std::mem::take(&mut worker.owed);
                    worker.inbox = merged(worker.inbox, owed);
                }
            }
            Action::Restart => {
                if let Some(synced) = self.synced.take() {
                    self.queue = *synced;
                }
                (self.looks, self.choices) = ([None; 2], [None; 2]);
                for worker in &mut self.workers {
                    worker.owed = Inbox::default();
                }
            }
        }
    }

    fn hear(&mut self, rules: &Rules, w: usize, heard: Heard) {
        let worker = &mut self.workers[w];
        let by = worker.session();
        match heard {
            Heard::Granted => {
                let Some(slot) = worker.inbox.granted else {
                    return;
                };
                worker.turn_to(Stage::Training { slot });
                let listed = Some(slot);
                self.sent.add(Request::Beat { by, listed });
                if rules.scope.checkpoints {
                    let report = Report::Commit;
                    self.sent.add(Request::Report { by, slot, report });
                }
            }
            Heard::Accepted => {
                if let Stage::Reporting {
                    slot,
                    report: Report::Complete,
                } = worker.stage
                {
                    worker.told = Some(slot);
                }
                worker.turn_to(Stage::Idle);
            }
            Heard::Stopped => worker.turn_to(Stage::Idle),
        }
    }

    fn crash(&mut self, rules: &Rules, w: usize) {
        let worker = &mut self.workers[w];
        let (life, disk) = (worker.life, worker.slot());
        worker.turn_to(Stage::Dead);
        if life + 1 < rules.scope.lives[w] {
            *worker = Worker {
                life: life + 1,
                disk: disk.filter(|_| rules.scope.confused),
                ..Worker::new(w)
            };
            self.begin_life(w);
        }
    }

    /// Does something in the tables, and keeps what is durable where that comes later.
    fn execute<T>(&mut self, rules: &Rules, operation: impl FnOnce(&mut Queue) -> T) -> T {
        let before = rules.scope.group_commit.then_some(self.queue);
        let answer = operation(&mut self.queue);
        if let Some(before) = before
            && before != self.queue
        {
            self.synced.get_or_insert_with(|| Box::new(before));
        }
        answer
    }

    fn arrive(&mut self, rules: &Rules, request: Request) {
        match request {
            Request::Claim { by, ask } if rules.scope.slow_claims => self.choose(rules, by, ask),
            Request::Claim { by, ask } => {
                let slot = self.execute(rules, |queue| queue.claim(rules, by, ask));
                self.grant(rules, by, ask, slot);
            }
            Request::Beat { by, listed } => {
                let directive = self.execute(rules, |queue| queue.beat(rules, by, listed));
                if directive == Some(Directive::Stop) {
                    self.stop(rules, by, listed);
                }
            }
            Request::Report { by, slot, report } => {
                if self.execute(rules, |queue| queue.report(rules, by, slot, report)) {
                    self.accept(rules, by, slot, report);
                } else {
                    self.stop(rules, by, Some(slot));
                }
            }
            Request::Close { by } => self.execute(rules, |queue| queue.close(rules, by)),
        }
    }

    fn choose(&mut self, rules: &Rules, by: usize, ask: usize) {
        match self.queue.asks(rules, by, ask) {
            Err(slot) => self.grant(rules, by, ask, slot),
            Ok(()) => {
                let trials = 0..rules.scope.trials;
                let mut ready = trials.filter(|&trial| self.queue.is_claimable(rules, trial));
                let free = self.choices.iter_mut().find(|choice| choice.is_none());
                if let (Some(trial), Some(free)) = (ready.next(), free) {
                    *free = Some(Choice { by, ask, trial });
                }
            }
        }
    }

    /// Puts an answer on its way to whoever waits for it.
    fn answer(&mut self, rules: &Rules, by: usize, fits: impl Fn(&Worker) -> bool, answer: Inbox) {
        let later = self.synced.is_some() && !rules.has(Flaw::AnsweredEarly);
        let mut workers = self.workers.iter_mut();
        let waiting =
            workers.find(|worker| worker.session() == by && worker.is_alive() && fits(worker));
        if let Some(worker) = waiting {
            let place = if later {
                &mut worker.owed
            } else {
                &mut worker.inbox
            };
            *place = merged(*place, answer);
        }
    }

    fn grant(&mut self, rules: &Rules, by: usize, ask: usize, granted: Option<Slot>) {
        let answer = Inbox {
            granted,
            ..Inbox::default()
        };
        let fits = |worker: &Worker| worker.stage == Stage::Asking { ask };
        self.answer(rules, by, fits, answer);
    }

    fn accept(&mut self, rules: &Rules, by: usize, slot: Slot, report: Report) {
        let answer = Inbox {
            accepted: true,
            ..Inbox::default()
        };
        let fits = |worker: &Worker| worker.stage == Stage::Reporting { slot, report };
        self.answer(rules, by, fits, answer);
    }

    fn stop(&mut self, rules: &Rules, by: usize, slot: Option<Slot>) {
        let answer = Inbox {
            stopped: true,
            ..Inbox::default()
        };
        let fits = |worker: &Worker| slot.is_some() && worker.slot() == slot;
        self.answer(rules, by, fits, answer);
    }
}

/// What a worker can hear.
fn hearing(w: usize, worker: &Worker, actions: &mut Vec<Action>) {
    let heard = [
        (worker.inbox.granted.is_some(), Heard::Granted),
        (worker.inbox.accepted, Heard::Accepted),
        (worker.inbox.stopped, Heard::Stopped),
    ];
    let heard = heard.iter().filter(|(waits, _)| *waits);
    actions.extend(heard.map(|&(_, heard)| Action::Hear(w, heard)));
}

/// What a worker can do.
fn doing(rules: &Rules, w: usize, worker: &Worker, actions: &mut Vec<Action>) {
    let scope = &rules.scope;
    match worker.stage {
        Stage::Idle if worker.asked < scope.asks[w] => actions.push(Action::Ask(w)),
        Stage::Asking { .. } if scope.hand_backs => actions.push(Action::GiveUp(w)),
        Stage::Training { .. } => {
            actions.push(Action::Report(w, Report::Complete));
            if scope.failures > 0 {
                actions.push(Action::Report(w, Report::Fail));
            }
            if scope.hand_backs {
                actions.push(Action::Report(w, Report::Release));
            }
        }
        Stage::Idle | Stage::Asking { .. } | Stage::Reporting { .. } => {}
        Stage::Closed | Stage::Dead => {}
    }
    if worker.disk.is_some() {
        actions.push(Action::Recall(w));
    }
    if scope.hand_backs && worker.is_alive() {
        actions.push(Action::Close(w));
    }
    if worker.stage != Stage::Dead {
        actions.push(Action::Crash(w));
    }
}

/// What is on its way, with something more.
fn merged(inbox: Inbox, more: Inbox) -> Inbox {
    Inbox {
        granted: more.granted.or(inbox.granted),
        accepted: inbox.accepted || more.accepted,
        stopped: inbox.stopped || more.stopped,
    }
}
