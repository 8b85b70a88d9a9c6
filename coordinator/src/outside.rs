//! All that a coordinator touches outside itself, handed in, so that the same code runs in a simulation.

use std::sync::Arc;

use async_trait::async_trait;

use crate::artifacts::{ArtifactError, Artifacts};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::Store;

/// The outside.
pub struct Outside {
    /// The queue.
    pub store: Arc<dyn Store>,
    /// Checkpoints and weights.
    pub artifacts: Artifacts,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where it computes what would hold others up.
    pub offload: Arc<dyn Offload>,
}

impl Outside {
    /// The folder of artifacts that the configuration names, and the runtime's threads for computing.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn real(
        config: &Config,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ArtifactError> {
        Ok(Self {
            store,
            artifacts: Artifacts::open(&config.artifacts, config.limits.artifact_bytes)?,
            clock,
            offload: Arc::new(Blocking),
        })
    }
}

/// Where a coordinator computes what would hold others up: a million points take a second.
#[async_trait]
pub trait Offload: Send + Sync + 'static {
    /// Does it, and answers when it is done. Work that panics is gone.
    async fn compute(&self, work: Box<dyn FnOnce() + Send>);
}

/// The runtime's threads for what blocks.
#[derive(Clone, Copy, Debug)]
pub struct Blocking;

#[async_trait]
impl Offload for Blocking {
    async fn compute(&self, work: Box<dyn FnOnce() + Send>) {
        // Who waits for the result notices that there is none.
        let _ = tokio::task::spawn_blocking(work).await;
    }
}
