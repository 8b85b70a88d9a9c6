//! The right to train one attempt: a value that moves. Ending it consumes it, so nothing can end twice.

use std::sync::Arc;

use descent_spec::lease::Claimed;
use descent_spec::outcome::{Measurement, TrialResult};

use crate::account::{Account, Ending, Snapshot};
use crate::budget::Memory;
use crate::failure::Cause;
use crate::spool::Content;

/// One attempt in this worker's hands. Not `Clone`. Dropped without an ending, it hands the trial back.
pub(crate) struct Lease {
    /// `None` once ended.
    account: Option<Arc<Account>>,
    /// Its share of the worker's memory, given back with the lease.
    memory: Option<Memory>,
    /// The samples that it shares with others.
    samples: Option<Arc<Memory>>,
}

impl Lease {
    pub(crate) fn new(account: Arc<Account>) -> Self {
        Self {
            account: Some(account),
            memory: None,
            samples: None,
        }
    }

    pub(crate) fn reserve(&mut self, memory: Memory, samples: Option<Arc<Memory>>) {
        self.memory = Some(memory);
        self.samples = samples;
    }

    pub(crate) fn holds_memory(&self) -> bool {
        self.memory.is_some()
    }

    pub(crate) fn claimed(&self) -> &Claimed {
        &self.account().claimed
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        self.account
            .as_ref()
            .expect("only endings take the account, and they consume the lease")
    }

    /// Whether the coordinator took the attempt away.
    pub(crate) fn is_dropped(&self) -> bool {
        self.account().dropped.is_cancelled()
    }

    pub(crate) fn measured(&self, measurement: Measurement) {
        self.account().measured(measurement);
    }

    pub(crate) fn checkpointed(&self, content: Vec<u8>, epoch: u32, step: u64) {
        self.account().checkpointed(Snapshot {
            content: Content::Memory(content.into()),
            epoch,
            step,
        });
    }

    pub(crate) fn finish(mut self, result: Box<TrialResult>, weights: Option<Vec<u8>>) {
        let weights = weights.map(|weights| Content::Memory(weights.into()));
        self.end(Ending::Finished { result, weights });
    }

    pub(crate) fn fail(mut self, cause: Cause) {
        self.end(Ending::Failed(cause.into()));
    }

    pub(crate) fn release(mut self) {
        self.end(Ending::Released);
    }

    fn end(&mut self, ending: Ending) {
        if let Some(account) = self.account.take() {
            account.end(ending);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end(Ending::Released);
    }
}
