//! Asking for trials: only what this worker can serve, and never more than it can answer for.

use std::time::Duration;

use descent_spec::id::{PackKey, SessionId};
use descent_spec::lease::Claimed;
use tokio::time::Instant;

use crate::config::OrphanPolicy;
use crate::context::Context;
use crate::link::{Ask, Granted, LinkError};
use crate::place::Place;
use crate::random::share;
use crate::report::RunError;

/// Pause after an empty answer that came at once, so that a coordinator that cannot wait is not asked without end.
const EMPTY_PAUSE: Duration = Duration::from_millis(500);

/// How long a request may wait that says what memory other packs leave: they may give some back meanwhile.
const MEMORY_WAIT: Duration = Duration::from_secs(1);

/// Trials of one pack, and the session that they belong to; most probably of the `last` pack's kind. `None`: the worker
/// drains or gives up, or the device is lost.
pub(super) async fn trials(
    context: &Context,
    place: &Place,
    last: Option<PackKey>,
) -> Option<(SessionId, Vec<Claimed>)> {
    tokio::select! {
        biased; // Nothing is taken that would have to be handed back at once.
        () = context.shutdown.draining() => None,
        () = place.lost.cancelled() => None,
        granted = ask_until_granted(context, place, last) => granted,
    }
}

async fn ask_until_granted(
    context: &Context,
    place: &Place,
    last: Option<PackKey>,
) -> Option<(SessionId, Vec<Claimed>)> {
    let unsettled_max = context.config.unsettled_trials_max();
    loop {
        context.registry.below(unsettled_max).await;
        // An orphan that stopped takes nothing before a beat was answered: it would hand it back at once.
        let _ = context
            .orphaned
            .subscribe()
            .wait_for(|orphaned| orphaned.is_none_or(|policy| policy == OrphanPolicy::Finish))
            .await;
        let session = *context.session.borrow();
        let memory_bytes = place.memory.free_bytes();
        let ask = Ask {
            session,
            // One name for all repetitions: a lost answer is answered again, not leased again.
            request: context.request_id(),
            max_trials: most_trials(context, place, last),
            memory_bytes,
            data: place.trainer.data_hashes(),
            samples: place.memory.samples_held(),
            wait: if memory_bytes < place.memory.bytes {
                context.config.lease_wait.min(MEMORY_WAIT)
            } else {
                context.config.lease_wait
            },
        };
        let asked_at = Instant::now();
        match repeat(context, &ask).await {
            Ok(granted) => {
                complain(context, &granted.missing_data);
                if !granted.quarantine.is_empty() && context.first_complaint(&granted.quarantine) {
                    tracing::error!(
                        reason = granted.quarantine,
                        "the coordinator gives this worker no trials for a while: look at the machine, then start the worker again"
                    );
                }
                if !granted.trials.is_empty() {
                    return Some((session, granted.trials));
                }
                if asked_at.elapsed() < EMPTY_PAUSE.min(context.config.lease_wait) {
                    let random = context.world.random.as_ref();
                    tokio::time::sleep(EMPTY_PAUSE.mul_f64(0.5 + share(random))).await;
                }
            }
            Err(LinkError::Refused(reason) | LinkError::Invalid(reason)) => {
                context.give_up(RunError::Refused(reason));
                return None;
            }
            Err(_) => {
                // The heartbeat opens the new session; whoever waits here takes it from there.
                context.beat_now.notify_one();
                let mut sessions = context.session.subscribe();
                let _ = sessions.wait_for(|&now| now != session).await;
            }
        }
    }
}

/// A pack as large as is known to fit.
fn most_trials(context: &Context, place: &Place, last: Option<PackKey>) -> u32 {
    let size = last.and_then(|kind| place.pack_size(kind));
    let size = size.and_then(|size| u32::try_from(size).ok());
    let most = context.config.pack_trials;
    size.map_or(most, |size| most.min(size))
}

/// Repeats one request until it is answered, or its session is replaced.
async fn repeat(context: &Context, ask: &Ask) -> Result<Granted, LinkError> {
    let mut pauses = context.pauses();
    loop {
        let answer = context.world.link.lease(ask).await;
        if *context.session.borrow() != ask.session {
            // Whatever was granted went down with the old session.
            return Err(LinkError::SessionClosed);
        }
        let Err(LinkError::Unavailable(reason)) = answer else {
            return answer;
        };
        tracing::debug!(reason, "no answer to a request for trials, repeating");
        tokio::time::sleep(pauses.next().expect("pauses never end")).await;
    }
}

/// Says once for each data set what is missing and the way out.
fn complain(context: &Context, missing: &[String]) {
    for name in missing {
        if context.first_complaint(name) {
            tracing::warn!(
                data = name,
                "trials wait for a data set that this worker lacks: point at it with --data-dir, or fetch it with \
                 `descent data fetch`"
            );
        }
    }
}
