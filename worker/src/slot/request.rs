//! Asking for trials: only what this worker can serve, and never more than it can answer for.

use std::time::Duration;

use descent_spec::id::SessionId;
use descent_spec::lease::Claimed;
use tokio::time::Instant;

use crate::context::Context;
use crate::link::{Ask, Granted, LinkError};
use crate::random::share;
use crate::report::RunError;

/// Pause after an empty answer that came at once, so that a coordinator that cannot wait is not asked without end.
const EMPTY_PAUSE: Duration = Duration::from_millis(500);

/// Trials of one pack, and the session that they belong to. `None`: the worker drains or gives up.
pub(super) async fn trials(context: &Context) -> Option<(SessionId, Vec<Claimed>)> {
    tokio::select! {
        biased; // Nothing is taken that would have to be handed back at once.
        () = context.shutdown.draining() => None,
        granted = ask_until_granted(context) => granted,
    }
}

async fn ask_until_granted(context: &Context) -> Option<(SessionId, Vec<Claimed>)> {
    let unsettled_max = context.config.unsettled_trials_max();
    loop {
        context.registry.below(unsettled_max).await;
        // An orphan that stopped takes nothing before a beat was answered: it would hand it back at once.
        let _ = context
            .orphaned
            .subscribe()
            .wait_for(|orphaned| !orphaned)
            .await;
        let session = *context.session.borrow();
        let ask = Ask {
            session,
            // One name for all repetitions: a lost answer is answered again, not leased again.
            request: context.request_id(),
            max_trials: context.config.pack_trials,
            memory_bytes: context.free_memory_bytes(),
            data: context.world.trainer.data_hashes(),
            wait: context.config.lease_wait,
        };
        let asked_at = Instant::now();
        match repeat(context, &ask).await {
            Ok(granted) => {
                complain(context, &granted.missing_data);
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
