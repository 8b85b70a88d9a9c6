//! The sweeps that are measured with: as many trials as wanted, alike but for width and seed, whose data nobody has to have.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use descent_proto::channel::Connection;
use descent_proto::v1;
use descent_spec::data::KnownData;
use descent_spec::id::ContentHash;

use crate::request;

/// Seeds of a point where there are enough trials.
const SEEDS: u32 = 100;
/// How often to look whether a sweep is expanded.
const LOOK: Duration = Duration::from_millis(20);

/// The data set of all of them, under this name.
const DATA: &str = "bench";

/// What the coordinator is told of the data set.
pub(super) fn data() -> KnownData {
    KnownData {
        hash: ContentHash::of(b"descent bench queue"),
        inputs: 64,
        outputs: 10,
        train_samples: 1_000,
        test_samples: 1_000,
        image: None,
    }
}

/// A sweep of so many trials, at most 100 seeds a point; rounded up to whole points.
pub(super) struct Points {
    /// Its name.
    pub(super) name: String,
    source: String,
}

impl Points {
    /// The `number`-th sweep of this run; no two have a trial in common.
    pub(super) fn new(number: u32, trials: u32) -> Self {
        let seeds = (trials / 2).clamp(1, SEEDS);
        let widths = trials.div_ceil(seeds).max(2);
        let name = format!("bench-queue-{number}");
        // Epochs tell the sweeps' trials apart and leave them what may be trained together.
        let source = format!(
            "name = \"{name}\"\nexperiment = \"risk-curve\"\n[data]\ndataset = \"{DATA}\"\nsamples = 100\n[train]\n\
            batch = 100\noptimizer = {{ kind = \"sgd\", lr = 0.01 }}\nepochs = {}\n[axes]\nwidth = {{ range = [1, {widths}], step = 1 }}\nseed = {{ count = {seeds} }}\n",
            1_000 + number
        );
        Self { name, source }
    }

    /// Submits it; answers when it is acknowledged.
    ///
    /// # Errors
    /// When the coordinator refuses.
    pub(super) async fn submit(&self, connection: &Connection) -> anyhow::Result<()> {
        let request = v1::SubmitRequest {
            request_id: request::id(),
            source: self.source.clone(),
            file: String::new(),
            data: [(DATA.to_owned(), data().into())].into(),
            dry_run: false,
            allow_removal: false,
        };
        connection
            .sweeps()
            .submit(request)
            .await
            .context("submit")?;
        Ok(())
    }

    /// Waits until all of its points are trials.
    ///
    /// # Errors
    /// When the coordinator does not answer, or takes longer than half an hour.
    pub(super) async fn expanded(&self, connection: &Connection) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            if self.get(connection).await?.state() != v1::SweepState::Expanding {
                return Ok(());
            }
            if start.elapsed() > Duration::from_secs(1_800) {
                bail!("{} was not expanded in half an hour", self.name);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Its status.
    pub(super) async fn get(&self, connection: &Connection) -> anyhow::Result<v1::Sweep> {
        let request = v1::GetRequest {
            sweep: self.name.clone(),
        };
        let got = connection.sweeps().get(request).await.context("status")?;
        got.into_inner().sweep.context("an answer without a sweep")
    }

    /// Gives up what is not done of it.
    pub(super) async fn cancel(&self, connection: &Connection) -> anyhow::Result<()> {
        let request = v1::CancelRequest {
            request_id: request::id(),
            sweep: self.name.clone(),
        };
        connection
            .sweeps()
            .cancel(request)
            .await
            .context("cancel")?;
        Ok(())
    }

    /// Removes it with its results.
    pub(super) async fn delete(&self, connection: &Connection) -> anyhow::Result<()> {
        let request = v1::DeleteRequest {
            request_id: request::id(),
            sweep: self.name.clone(),
        };
        connection
            .sweeps()
            .delete(request)
            .await
            .context("delete")?;
        Ok(())
    }
}
