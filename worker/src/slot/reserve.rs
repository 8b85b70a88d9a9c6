//! Memory: packs reserve theirs before they are built, so that a worker with several slots never takes more than it may use.

use std::sync::Arc;

use super::prepare::Ready;
use crate::context::Context;
use crate::failure::Cause;
use crate::place::{Place, units};

/// Reserves a trial's memory, and that of the samples unless a pack in training shares them. The first of a pack waits for
/// it, the others take what is free now. `None`: handed back, or failed because it is larger than the whole worker.
pub(super) async fn memory(
    context: &Context,
    place: &Place,
    mut ready: Ready,
    first: bool,
) -> Option<Ready> {
    if ready.lease.holds_memory() {
        return Some(ready);
    }
    let claimed = ready.lease.claimed();
    let of = (claimed.pack_key, claimed.data);
    let mut samples = place.samples(of);
    let shared = if samples.is_some() {
        0
    } else {
        units(ready.data_bytes)
    };
    let needed = units(ready.memory_bytes).saturating_add(shared);
    if place.memory_units < needed {
        let needed = ready.memory_bytes.saturating_add(ready.data_bytes);
        ready
            .lease
            .fail(Cause::TooLarge(needed, place.memory_bytes));
        return None;
    }
    let free = Arc::clone(&place.free);
    let permit = if first {
        tokio::select! {
            () = context.shutdown.draining() => None,
            permit = free.acquire_many_owned(needed) => permit.ok(),
        }
    } else {
        free.try_acquire_many_owned(needed).ok()
    };
    let Some(mut permit) = permit else {
        ready.lease.release();
        return None;
    };
    if let Some(part) = permit.split(shared as usize).filter(|_| shared > 0) {
        let part = Arc::new(part);
        place.hold_samples(of, &part);
        samples = Some(part);
    }
    ready.lease.reserve(permit, samples);
    Some(ready)
}
