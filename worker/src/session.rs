//! Opening sessions: the first one within the caller's patience, later ones until the coordinator is back.

use std::time::Duration;

use descent_spec::id::SessionId;
use tokio::time::Instant;

use crate::context::Context;
use crate::link::{Hello, LinkError, Welcome};
use crate::report::RunError;

/// Opens a session of this name.
///
/// # Errors
/// When the coordinator refuses the worker, cannot be reached within `patience`, or the worker is told to stop.
pub(crate) async fn open(
    context: &Context,
    session: SessionId,
    patience: Option<Duration>,
) -> Result<Welcome, RunError> {
    let hello = hello(context, session);
    let deadline = patience.map(|patience| Instant::now() + patience);
    let mut pauses = context.pauses();
    let mut said = false;
    loop {
        let stopped = || RunError::Unreachable("stopped before it answered".to_owned());
        let answer = tokio::select! {
            biased;
            () = context.shutdown.draining() => return Err(stopped()),
            answer = context.world.link.open_session(&hello) => answer,
        };
        let reason = match answer {
            Ok(welcome) => {
                tracing::info!(
                    worker = hello.worker,
                    session = %session,
                    coordinator = welcome.coordinator,
                    slots = hello.slots,
                    device = hello.device,
                    instruction_set = hello.instruction_set,
                    "session open"
                );
                return Ok(welcome);
            }
            Err(LinkError::Refused(reason) | LinkError::Invalid(reason)) => {
                return Err(RunError::Refused(reason));
            }
            Err(error) => error.to_string(),
        };
        let pause = pauses.next().expect("pauses never end");
        if deadline.is_some_and(|deadline| deadline < Instant::now() + pause) {
            return Err(RunError::Unreachable(reason));
        }
        if !said {
            tracing::warn!(
                reason,
                "the coordinator does not answer yet, trying until it does"
            );
            said = true;
        }
        tokio::select! {
            biased;
            () = context.shutdown.draining() => return Err(stopped()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn hello(context: &Context, session: SessionId) -> Hello {
    let config = &context.config;
    let trainer = &context.places[0].trainer;
    let devices: Vec<String> = context
        .places
        .iter()
        .map(|place| place.trainer.device())
        .collect();
    Hello {
        session,
        worker: config.worker.clone(),
        version: config.version.clone(),
        device: devices.join(","),
        instruction_set: trainer.instruction_set(),
        slots: config.slots.max(1),
        memory_bytes: config.memory_bytes,
        data: trainer.data_hashes(),
    }
}
