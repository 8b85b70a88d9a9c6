//! The attempts that this worker answers for: from the grant until their ending is settled.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use descent_spec::id::{AttemptNumber, TrialId};
use descent_spec::lease::Held;
use tokio::sync::watch;

use crate::account::Account;

type Accounts = BTreeMap<(TrialId, AttemptNumber), Arc<Account>>;

/// All open accounts. Heartbeats list exactly these.
pub(crate) struct Registry {
    accounts: Mutex<Accounts>,
    /// Their number, to be waited on.
    open: watch::Sender<usize>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            accounts: Mutex::new(BTreeMap::new()),
            open: watch::Sender::new(0),
        }
    }

    pub(crate) fn insert(&self, account: Arc<Account>) {
        let mut accounts = self.lock();
        accounts.insert(account.name(), account);
        self.open.send_replace(accounts.len());
    }

    pub(crate) fn remove(&self, account: &Account) {
        let mut accounts = self.lock();
        accounts.remove(&account.name());
        self.open.send_replace(accounts.len());
    }

    pub(crate) fn get(&self, trial: TrialId, attempt: AttemptNumber) -> Option<Arc<Account>> {
        self.lock().get(&(trial, attempt)).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Account>> {
        self.lock().values().cloned().collect()
    }

    /// What a heartbeat lists.
    pub(crate) fn held(&self) -> Vec<Held> {
        self.lock().values().map(|account| account.held()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        *self.open.borrow()
    }

    /// Waits until fewer than this many are open.
    pub(crate) async fn below(&self, limit: usize) {
        let mut open = self.open.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = open.wait_for(|&n| n < limit).await;
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        // A panic while holding this lock leaves the map whole.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
