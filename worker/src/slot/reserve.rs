//! Memory: packs reserve theirs before they are built, so that a worker with several slots never takes more than it may use.

use std::sync::Arc;

use super::prepare::Ready;
use crate::context::{Context, units};
use crate::failure::Cause;

/// Reserves a trial's memory: the first of a pack waits for it, the others take what is free now. `None`: handed back, or
/// failed because it is larger than the whole worker.
pub(super) async fn memory(context: &Context, mut ready: Ready, first: bool) -> Option<Ready> {
    if ready.lease.holds_memory() {
        return Some(ready);
    }
    let needed = ready.memory_bytes;
    let share = units(needed);
    if context.memory_units < share {
        let there = context.config.memory_bytes;
        ready.lease.fail(Cause::TooLarge(needed, there));
        return None;
    }
    let free = Arc::clone(&context.memory);
    let permit = if first {
        tokio::select! {
            () = context.shutdown.draining() => None,
            permit = free.acquire_many_owned(share) => permit.ok(),
        }
    } else {
        free.try_acquire_many_owned(share).ok()
    };
    let Some(permit) = permit else {
        ready.lease.release();
        return None;
    };
    ready.lease.reserve(permit);
    Some(ready)
}
