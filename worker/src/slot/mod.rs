//! One slot: leases a pack, has it trained on a thread of its own, and asks for the next.

mod drive;
mod entry;
mod prepare;
mod request;
mod reserve;
mod thread;

use std::sync::Arc;

use descent_spec::id::SessionId;
use descent_spec::lease::{Claimed, Fence};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::account::Account;
use crate::context::Context;
use crate::courier;
use crate::lease::Lease;
use prepare::Ready;
use thread::Thread;

/// Works until the worker drains or gives up.
pub(crate) async fn work(context: Arc<Context>, number: usize) {
    let thread = Thread::start(Arc::clone(&context), number);
    while let Some((session, grants)) = request::trials(&context).await {
        let leases = grants
            .into_iter()
            .map(|claimed| take(&context, session, claimed))
            .collect();
        train(&context, &thread, leases).await;
    }
}

/// Opens the account of a granted trial: from here on heartbeats list it, and its courier tells what becomes of it.
fn take(context: &Arc<Context>, session: SessionId, claimed: Claimed) -> Lease {
    let fence = Fence {
        session,
        trial: claimed.trial,
        attempt: claimed.attempt,
    };
    let account = Arc::new(Account::new(fence, claimed, &context.config.worker));
    context.registry.insert(Arc::clone(&account));
    let courier = courier::serve(Arc::clone(context), Arc::clone(&account));
    tokio::spawn(courier.in_current_span());
    Lease::new(account)
}

/// Trains leases as one pack; those that have to start once more are trained alone, one after the other.
async fn train(context: &Arc<Context>, thread: &Thread, leases: Vec<Lease>) {
    let ready = make_ready(context, leases).await;
    let mut again = thread.train(ready).await;
    while let Some(lease) = again.pop() {
        let ready = make_ready(context, vec![lease]).await;
        again.extend(thread.train(ready).await);
    }
}

/// Fetches what the trials start from and reserves their memory. Order as granted: most urgent first.
async fn make_ready(context: &Arc<Context>, leases: Vec<Lease>) -> Vec<Ready> {
    let mut fetching = JoinSet::new();
    for (i, lease) in leases.into_iter().enumerate() {
        if let Some((lease, spec)) = prepare::resolve(lease) {
            let context = Arc::clone(context);
            let fetch = async move { (i, prepare::fetch_all(&context, lease, spec).await) };
            fetching.spawn(fetch.in_current_span());
        }
    }
    let mut fetched = Vec::new();
    while let Some(done) = fetching.join_next().await {
        if let Ok((i, Some(ready))) = done {
            fetched.push((i, ready));
        }
    }
    fetched.sort_by_key(|(i, _)| *i);
    let mut fitting = Vec::with_capacity(fetched.len());
    for (_, ready) in fetched {
        fitting.extend(reserve::memory(context, ready, fitting.is_empty()).await);
    }
    fitting
}
