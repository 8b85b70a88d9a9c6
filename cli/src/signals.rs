//! SIGINT and SIGTERM: the first asks for an orderly end, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::output;

/// Listens for signals from its making on.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    first: CancellationToken,
    received: Arc<AtomicU8>,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let signals = Self {
            first: CancellationToken::new(),
            received: Arc::default(),
        };
        let heard = signals.clone();
        tokio::spawn(async move {
            loop {
                let number = tokio::select! {
                    _ = interrupt.recv() => 2,
                    _ = terminate.recv() => 15,
                };
                if heard.first.is_cancelled() {
                    // The second one: whatever is under way is dropped, which kill -9 must survive as well.
                    std::process::exit(128 + i32::from(number));
                }
                heard.received.store(number, Ordering::Relaxed);
                output::note(
                    "stopping: checkpointing and handing back (a second signal ends at once)",
                );
                heard.first.cancel();
            }
        });
        Ok(signals)
    }

    /// Cancelled by the first signal.
    pub(crate) fn first(&self) -> CancellationToken {
        self.first.clone()
    }

    /// The exit code: interrupted by the signal received, or success when none was.
    #[cfg_attr(
        not(feature = "worker"),
        allow(dead_code, reason = "only commands that train use it")
    )]
    pub(crate) fn exit(&self) -> Exit {
        match self.received.load(Ordering::Relaxed) {
            0 => Exit::Success,
            number => Exit::Interrupted(number),
        }
    }
}
