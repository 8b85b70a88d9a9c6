//! Memory: packs reserve theirs before they are built, so that a worker with several slots never takes more than it may use.

use std::sync::Arc;

use super::prepare::Ready;
use crate::budget::units;
use crate::context::Context;
use crate::failure::Cause;
use crate::place::Place;

/// Reserves a trial's memory, and that of the samples unless a pack in training shares them. The first of a pack waits for
/// it, the others take what is free now. `None`: handed back, or failed because it is larger than all that there is.
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
    let budget = place.budget(&ready.spec);
    let mut samples = budget.samples(of);
    let shared = if samples.is_some() {
        0
    } else {
        ready.data_bytes
    };
    // Rounded together: the coordinator reckons in bytes, and what it takes for fitting shall fit.
    let needed = units(ready.memory_bytes.saturating_add(shared));
    let shared = units(shared).min(needed);
    if budget.units < needed {
        let needed = ready.memory_bytes.saturating_add(ready.data_bytes);
        ready
            .lease
            .fail(Cause::TooLarge(needed, budget.bytes, budget.way_out));
        return None;
    }
    let free = Arc::clone(&budget.free);
    let permit = if first {
        tokio::select! {
            biased;
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
        budget.hold_samples(of, &part);
        samples = Some(part);
    }
    ready.lease.reserve(permit, samples);
    Some(ready)
}
