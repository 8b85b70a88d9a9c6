//! One worker process's life: open a session, train until told to stop, hand everything back.

use std::sync::Arc;
use std::time::Duration;

use descent_spec::id::SessionId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::activity::SlotActivity;
use crate::config::Config;
use crate::context::Context;
use crate::report::{Report, RunError};
use crate::shutdown::Shutdown;
use crate::world::World;
use crate::{completer, heartbeat, session, slot};

/// How long closing the session may take: the coordinator finds out without it, a little later.
const CLOSE_DEADLINE: Duration = Duration::from_secs(3);

/// Leases and trains until `shutdown`. Draining delivers what can be delivered within [`Config::drain_deadline`]; aborting
/// returns at once.
///
/// # Errors
/// When the coordinator refuses this worker, or is out of reach from the start.
pub async fn run(config: Config, world: World, shutdown: Shutdown) -> Result<Report, RunError> {
    let span = tracing::info_span!("worker", worker = config.worker);
    live(config, world, shutdown).instrument(span).await
}

async fn live(config: Config, world: World, shutdown: Shutdown) -> Result<Report, RunError> {
    let (completions, deliveries) = mpsc::unbounded_channel();
    let session = SessionId(world.random.bits());
    let slots = config.slots.max(1);
    world
        .activity
        .send_replace(vec![SlotActivity::default(); slots as usize]);
    let context = Arc::new(Context::new(config, world, shutdown, session, completions));
    let welcome = match session::open(&context, session, context.config.connect_patience).await {
        Ok(welcome) => welcome,
        Err(RunError::Unreachable(_)) if context.shutdown.is_draining() => {
            return Ok(context.tally.report(0));
        }
        Err(error) => return Err(error),
    };

    let end = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn({
        let (context, end) = (Arc::clone(&context), end.clone());
        async move { heartbeat::beat(&context, welcome.heartbeat, end).await }.in_current_span()
    });
    tasks.spawn(completer::deliver(Arc::clone(&context), deliveries).in_current_span());
    let mut working = JoinSet::new();
    for number in 0..slots as usize {
        working.spawn(slot::work(Arc::clone(&context), number).in_current_span());
    }

    context.shutdown.draining().await;
    let in_order = async {
        while working.join_next().await.is_some() {}
        context.registry.below(1).await;
    };
    tokio::select! {
        biased;
        () = in_order => {}
        () = context.shutdown.aborted() => {}
        () = tokio::time::sleep(context.config.drain_deadline) => {
            tracing::warn!(
                undelivered = context.registry.len(),
                "not everything could be delivered in time; other attempts will go on from the last checkpoints"
            );
        }
    }
    // From here on threads stop without a word, and couriers too.
    let undelivered = context.registry.len();
    let aborted = context.shutdown.is_aborted();
    context.shutdown.abort();
    end.cancel();
    if !aborted {
        close(&context).await;
    }
    context.silence.cancel();
    context
        .world
        .activity
        .send_replace(vec![SlotActivity::default(); slots as usize]);
    match context.fatal.get() {
        Some(error) => Err(error.clone()),
        None => Ok(context.tally.report(undelivered as u64)),
    }
}

async fn close(context: &Context) {
    let session = *context.session.borrow();
    let link = &context.world.link;
    let closing = context.until_answered("close session", || link.close_session(session));
    let patience = CLOSE_DEADLINE.min(context.config.drain_deadline);
    if tokio::time::timeout(patience, closing).await.is_err() {
        tracing::warn!("the coordinator did not answer the farewell; it will miss the heartbeat");
    }
}
