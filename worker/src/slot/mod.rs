//! One slot: leases a pack, has it trained on its stage, and asks for the next.

mod drive;
mod driver;
mod entry;
mod prepare;
mod request;
mod reserve;
mod train;

use std::sync::Arc;

use descent_spec::id::SessionId;
use descent_spec::lease::{Claimed, Fence};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::account::Account;
use crate::context::Context;
use crate::courier;
use crate::lease::Lease;
use crate::place::Place;
use prepare::Ready;

/// Works until the worker drains or gives up.
pub(crate) async fn work(context: Arc<Context>, number: usize) {
    let place = Arc::clone(context.place(number));
    let mut last = None;
    loop {
        // One slot asks at a time: what it gets is reserved before the next one says how much is free.
        let turn = tokio::select! {
            biased;
            () = context.shutdown.draining() => return,
            () = place.lost.cancelled() => return,
            turn = place.asking.lock() => turn,
        };
        let Some((session, grants)) = request::trials(&context, &place, last).await else {
            return;
        };
        last = grants.first().map(|claimed| claimed.pack_key);
        let mut leases: Vec<Lease> = grants
            .into_iter()
            .map(|claimed| take(&context, session, claimed))
            .collect();
        let size = last.and_then(|kind| place.pack_size(kind));
        for surplus in leases.split_off(size.unwrap_or(usize::MAX).min(leases.len())) {
            surplus.release();
        }
        let ready = make_ready(&context, &place, leases).await;
        drop(turn);
        train(&context, &place, number, ready).await;
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

/// Trains a pack, and after it those that have to start once more.
async fn train(context: &Arc<Context>, place: &Arc<Place>, number: usize, ready: Vec<Ready>) {
    let mut after = train::pack(context, place, number, ready).await;
    loop {
        if let Some(members) = after.crowded.take() {
            // Nothing starts here before a neighbour has ended, which may take hours.
            after.release();
            tokio::select! {
                biased;
                () = context.shutdown.draining() => {}
                () = place.lost.cancelled() => {}
                () = place.fewer_than(members) => {}
            }
        }
        let Some(leases) = after.next() else {
            return;
        };
        let ready = make_ready(context, place, leases).await;
        after.then(train::pack(context, place, number, ready).await);
    }
}

/// Fetches what the trials start from and reserves their memory. Order as granted: most urgent first.
async fn make_ready(context: &Arc<Context>, place: &Arc<Place>, leases: Vec<Lease>) -> Vec<Ready> {
    let mut fetching = JoinSet::new();
    for (i, lease) in leases.into_iter().enumerate() {
        if let Some((lease, spec)) = prepare::resolve(lease) {
            let (context, place) = (Arc::clone(context), Arc::clone(place));
            let fetch = async move { (i, prepare::fetch_all(&context, &place, lease, spec).await) };
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
        fitting.extend(reserve::memory(context, place, ready, fitting.is_empty()).await);
    }
    fitting
}
