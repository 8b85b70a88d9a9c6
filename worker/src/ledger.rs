//! What a worker notes down for an auditor: what it trained, and what the coordinator acknowledged. Each line is on disk before the
//! worker goes on, so that it is there whatever happens to the worker. For tests of whole clusters; it costs a sync a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use descent_spec::lease::Fence;

/// A file of lines, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Option<Arc<Mutex<File>>>);

impl Ledger {
    /// Lines go to the end of this file; it is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Some(Arc::new(Mutex::new(file)))))
    }

    /// An attempt begins to train, or goes on, at this step.
    pub(crate) fn start(&self, fence: Fence, step: u64) {
        self.line(|| format!("start {} {} {step}\n", fence.trial.0, fence.attempt.0));
    }

    /// It has come so far.
    pub(crate) fn at(&self, fence: Fence, step: u64) {
        self.line(|| format!("at {} {} {step}\n", fence.trial.0, fence.attempt.0));
    }

    /// The coordinator acknowledged a call that was sent then; `number` is that of the chunk, or the step of the file.
    pub(crate) fn ack(&self, what: &str, fence: Fence, sent_ms: i64, number: u64) {
        let (trial, attempt) = (fence.trial.0, fence.attempt.0);
        self.line(|| format!("ack {what} {trial} {attempt} {sent_ms} {number}\n"));
    }

    /// When a call is sent, in milliseconds since 1970; 0 where nobody notes it.
    #[allow(
        clippy::disallowed_methods,
        reason = "compared with other processes' times by an auditor, and by nobody else"
    )]
    pub(crate) fn now_ms(&self) -> i64 {
        if self.0.is_none() {
            return 0;
        }
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
    }

    fn line(&self, line: impl FnOnce() -> String) {
        let Some(file) = &self.0 else { return };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file
            .write_all(line().as_bytes())
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            tracing::error!(%error, "the ledger cannot be written: what it says is not all that happened");
        }
    }
}
