//! A disk under the memory store, for simulations: what was not synced when the host crashed is lost.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::dump::Dump;
use super::tables::Tables;

/// What survives a host: shared by one store after another.
#[derive(Default)]
pub struct Disk {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    durable: Tables,
    /// Transactions carried out since, each as what it left.
    pending: VecDeque<Tables>,
    /// Transactions that are durable.
    synced: u64,
}

/// Makes transactions durable, in its own time.
#[async_trait]
pub trait Device: Send + Sync + 'static {
    /// Answers when transaction `number` and all before it are durable: when it has called [`Disk::sync`] for it.
    async fn flush(&self, number: u64);
}

impl Disk {
    /// Notes what a transaction left; answers its number.
    pub(super) fn write(&self, tables: &Tables) -> u64 {
        let mut state = self.lock();
        state.pending.push_back(tables.clone());
        state.synced + state.pending.len() as u64
    }

    /// Makes transactions up to this number durable.
    pub fn sync(&self, number: u64) {
        let mut state = self.lock();
        while state.synced < number
            && let Some(next) = state.pending.pop_front()
        {
            state.durable = next;
            state.synced += 1;
        }
    }

    /// The host crashes: of the transactions on their way, the disk has got the first `kept`. Answers how many are lost.
    pub fn crash(&self, kept: usize) -> usize {
        let mut state = self.lock();
        let kept = kept.min(state.pending.len());
        let through = state.synced + kept as u64;
        drop(state);
        self.sync(through);
        state = self.lock();
        // Numbers go on behind those that were lost: none is given twice.
        let lost = state.pending.len();
        state.synced += lost as u64;
        state.pending.clear();
        lost
    }

    /// Transactions that are on their way.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.lock().pending.len()
    }

    /// All that is durable.
    #[must_use]
    pub fn dump(&self) -> Dump {
        self.lock().durable.dump()
    }

    /// Looks at what is durable.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Tables) -> T) -> T {
        look(&self.lock().durable)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
