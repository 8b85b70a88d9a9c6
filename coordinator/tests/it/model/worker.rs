//! A worker: what it does, what it has been told, what is on its way to it.

use super::message::{Report, Slot};
use super::scope::LIVES;

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Nothing; its session is open.
    Idle,
    /// Asks for work, and repeats it until it is answered.
    Asking { ask: usize },
    /// Trains.
    Training { slot: Slot },
    /// Has reported, and repeats it until it is answered.
    Reporting { slot: Slot, report: Report },
    /// Has closed its session.
    Closed,
    /// Is dead and does not come back.
    Dead,
}

/// Answers that are on their way: to what it is doing now. Others would find nobody who waits for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Inbox {
    /// The attempt that it was given.
    pub(super) granted: Option<Slot>,
    /// Its report was taken.
    pub(super) accepted: bool,
    /// It is to stop: fenced, or cancelled.
    pub(super) stopped: bool,
}

/// A worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) life: usize,
    pub(super) stage: Stage,
    /// Requests for work in this life.
    pub(super) asked: usize,
    pub(super) inbox: Inbox,
    /// Answers that wait until what they say is durable.
    pub(super) owed: Inbox,
    /// The last result of which it was told that it is taken.
    pub(super) told: Option<Slot>,
    /// What its former life left behind.
    pub(super) disk: Option<Slot>,
}

impl Worker {
    pub(super) fn new(number: usize) -> Self {
        Self {
            number,
            life: 0,
            stage: Stage::Idle,
            asked: 0,
            inbox: Inbox::default(),
            owed: Inbox::default(),
            told: None,
            disk: None,
        }
    }

    /// Its session. Drawn anew at every start.
    pub(super) fn session(&self) -> usize {
        self.number * LIVES + self.life
    }

    /// The attempt that it works on.
    pub(super) fn slot(&self) -> Option<Slot> {
        match self.stage {
            Stage::Training { slot } | Stage::Reporting { slot, .. } => Some(slot),
            Stage::Idle | Stage::Asking { .. } | Stage::Closed | Stage::Dead => None,
        }
    }

    /// Whether its process runs and its session is open, as far as it knows.
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.stage, Stage::Closed | Stage::Dead)
    }

    /// Goes over to something else. Being told to stop holds as long as it is about the same attempt.
    pub(super) fn turn_to(&mut self, stage: Stage) {
        let before = self.slot();
        self.stage = stage;
        let stopped = |inbox: Inbox| Inbox {
            stopped: inbox.stopped && before == self.slot(),
            ..Inbox::default()
        };
        (self.inbox, self.owed) = (stopped(self.inbox), stopped(self.owed));
    }
}
