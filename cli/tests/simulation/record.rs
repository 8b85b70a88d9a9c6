//! What happened, in order: every call that a worker or a user made and what it was told, every fault, every step.

use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use descent_spec::id::{AttemptNumber, ContentHash, RequestId, SessionId, TrialId};
use descent_spec::lease::{Directive, Fence, Purpose, Verdict};
use descent_spec::state::TrialState;

/// One life of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Life {
    pub(crate) worker: usize,
    pub(crate) number: u32,
}

/// A worker's call.
#[expect(dead_code, reason = "some fields are only shown")]
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Open(SessionId),
    Lease(SessionId, RequestId),
    Beat(SessionId, Vec<(TrialId, AttemptNumber)>),
    Metrics(Fence, u64),
    Artifact(Fence, Purpose, ContentHash),
    Read(ContentHash),
    Complete(Vec<Fence>),
    Fail(Fence),
    Release(Vec<Fence>),
    Close(SessionId),
}

/// What it was told.
#[expect(dead_code, reason = "some fields are only shown")]
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Done,
    Granted(Vec<(TrialId, AttemptNumber)>),
    Verdicts(Vec<Verdict>),
    State(TrialState),
    Directives(Vec<(TrialId, Directive)>),
    No(String),
}

/// A call that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) life: Life,
    /// When the call began.
    pub(crate) began: Duration,
    pub(crate) call: Call,
    pub(crate) answer: Answer,
    /// Whether it repeats a call that was answered before; the worker does not see the answer.
    pub(crate) repeat: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Told(Told),
    Fault(String),
    User(String),
    /// Steps computed: of which trial, and the epoch after them.
    Steps(Life, String, u32),
    Ended(Life, String),
}

#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at: Duration,
    pub(crate) what: What,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3} ", self.at.as_secs_f64())?;
        match &self.what {
            What::Told(told) => write!(
                f,
                "worker-{}/{} {}{:?} -> {:?} (since {:.3})",
                told.life.worker,
                told.life.number,
                if told.repeat { "again " } else { "" },
                told.call,
                told.answer,
                told.began.as_secs_f64()
            ),
            What::Fault(text) => write!(f, "*** {text}"),
            What::User(text) => write!(f, "user: {text}"),
            What::Steps(life, trial, epoch) => write!(
                f,
                "worker-{}/{} computed {trial} epoch {epoch}",
                life.worker, life.number
            ),
            What::Ended(life, how) => {
                write!(f, "worker-{}/{} ended: {how}", life.worker, life.number)
            }
        }
    }
}

/// All lines.
#[derive(Default)]
pub(crate) struct Record(Mutex<Vec<Line>>);

impl Record {
    pub(crate) fn note(&self, at: Duration, what: What) {
        self.0.lock().unwrap().push(Line { at, what });
    }

    pub(crate) fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap()
    }
}
