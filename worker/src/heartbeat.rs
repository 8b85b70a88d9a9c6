//! One heartbeat for the whole session, from a task of its own: whatever trainers do, it beats.

use std::sync::Arc;
use std::time::Duration;

use descent_spec::id::SessionId;
use descent_spec::lease::{Directive, SessionDirective};
use tokio_util::sync::CancellationToken;

use crate::config::OrphanPolicy;
use crate::context::Context;
use crate::link::{Beat, LinkError, TrialDirective};
use crate::report::{RunError, Tally};
use crate::session;

/// Pauses between tries.
type Pauses<'a> = Box<dyn Iterator<Item = Duration> + Send + 'a>;

/// Beats until `stop`; carries out what the coordinator says.
pub(crate) async fn beat(context: &Arc<Context>, interval: Duration, stop: CancellationToken) {
    let mut interval = interval;
    let mut answered_at = context.world.clock.now();
    // Set while the coordinator does not answer.
    let mut pauses: Option<Pauses<'_>> = None;
    loop {
        let pause = match &mut pauses {
            None => interval,
            // Out of reach: try again soon, but never more rarely than one beats.
            Some(pauses) => pauses.next().expect("pauses never end").min(interval),
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = context.beat_now.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        let session = *context.session.borrow();
        let held = context.registry.held();
        let sent_at = context.world.clock.now();
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            answer = context.world.link.heartbeat(session, &held) => answer,
        };
        let reopen = match answer {
            Ok(beat) => {
                if pauses.take().is_some() {
                    let silent_ms = sent_at.saturating_sub(answered_at).as_millis();
                    tracing::info!(silent_ms, "the coordinator answers again");
                }
                context.heard();
                answered_at = sent_at;
                obey(context, beat)
            }
            Err(LinkError::SessionClosed) => true,
            Err(LinkError::Refused(reason)) => {
                context.give_up(RunError::Refused(reason));
                return;
            }
            Err(error) => {
                let silent = sent_at.saturating_sub(answered_at);
                if pauses.is_none() {
                    Tally::count(&context.tally.outages);
                    tracing::warn!(reason = %error, "the coordinator does not answer, training goes on");
                    pauses = Some(Box::new(context.pauses()));
                }
                context.unheard();
                mind_the_silence(context, silent);
                false
            }
        };
        if reopen {
            let Some(welcomed) = reopen_session(context, session).await else {
                return;
            };
            interval = welcomed;
            answered_at = context.world.clock.now();
            pauses = None;
        }
    }
}

/// Carries out what a beat brought back. Answers whether a new session is wanted.
fn obey(context: &Context, beat: Beat) -> bool {
    for directive in beat.trials {
        obey_trial(context, directive);
    }
    match beat.session {
        SessionDirective::None => false,
        SessionDirective::Reopen => true,
        SessionDirective::Drain => {
            if !context.shutdown.is_draining() {
                tracing::info!("the coordinator asks this worker to drain");
                context.shutdown.drain();
            }
            false
        }
    }
}

fn obey_trial(context: &Context, told: TrialDirective) {
    let Some(account) = context.registry.get(told.trial, told.attempt) else {
        return;
    };
    match told.directive {
        Directive::Continue => account.want_back(false),
        Directive::Release => account.want_back(true),
        Directive::CheckpointNow => account.want_checkpoint(),
        // An ending that is on its way gets its own answer: this beat may have crossed it.
        Directive::Cancel | Directive::Fenced if account.has_ended() => {}
        Directive::Cancel | Directive::Fenced => account.dropped.cancel(),
    }
}

/// After the grace, lets the policy decide what becomes of trials that nobody may be waiting for.
fn mind_the_silence(context: &Context, silent: Duration) {
    let (policy, silent_s) = (context.config.orphan_policy, silent.as_secs());
    if silent < context.config.orphan_grace || context.orphaned.send_replace(Some(policy)).is_some()
    {
        return;
    }
    match policy {
        OrphanPolicy::Finish => tracing::warn!(
            silent_s,
            "the coordinator has been silent for long; what is in training is trained to its end and then waits"
        ),
        OrphanPolicy::Stop => tracing::error!(
            silent_s,
            "the coordinator has been silent for too long, training stops; checkpoints wait for it"
        ),
        OrphanPolicy::Pause => tracing::error!(
            silent_s,
            "the coordinator has been silent for too long, training pauses until it answers"
        ),
    }
}

/// Replaces a closed session; answers its time between beats, or `None` when there is none to be had.
async fn reopen_session(context: &Context, closed: SessionId) -> Option<Duration> {
    tracing::warn!(session = %closed, "the session is closed, its trials are no longer this worker's");
    for account in context.registry.all() {
        // A result that is on its way may still be the one that is wanted: its own answer decides.
        if !account.has_ended() {
            account.dropped.cancel();
        }
    }
    let session = SessionId(context.world.random.bits());
    match session::open(context, session, None).await {
        Ok(welcome) => {
            context.session.send_replace(session);
            Some(welcome.heartbeat)
        }
        Err(error @ RunError::Refused(_)) => {
            context.give_up(error);
            None
        }
        // Told to stop meanwhile: nothing is held any more.
        Err(RunError::Unreachable(_) | RunError::DeviceLost { .. }) => None,
    }
}
