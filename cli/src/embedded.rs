//! A coordinator in this process, on a loopback port of its own: for `run`, and for a moment when nobody else serves.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use descent_coordinator::clock::{Clock as _, SystemClock};
use descent_coordinator::config::Config;
use descent_coordinator::store::{Store, StoreError, open_store, take_over_store};
use descent_proto::channel::Connection;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::VERSION;
use crate::exit::{Exit, Failed};
use crate::global::{self, Global};
use crate::reach;

/// Name of the worker beside an embedded coordinator. It lives and dies with the process that has the database open.
pub(crate) const LOCAL_WORKER: &str = "local";

/// A coordinator in this process.
pub(crate) struct Embedded {
    /// A connection to it.
    pub(crate) connection: Connection,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

impl Embedded {
    /// Opens the database (making it if need be) and serves it on a free loopback port.
    ///
    /// # Errors
    /// When the database cannot be opened, or is open in another coordinator.
    pub(crate) async fn start(global: &Global) -> anyhow::Result<Self> {
        let store = open(&global.db).await?;
        if global.db.starts_with("sqlite:") {
            // Its lock says that no other process has the file open: whatever worker an earlier start of this had is dead.
            store
                .disown(LOCAL_WORKER, SystemClock.now())
                .await
                .map_err(|error| Failed::unreachable(error.to_string()))?;
        }
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let mut config = Config::new(artifacts_beside(&global.db)?);
        config.database = Some(global.db.clone());
        config.token.clone_from(&global.token);
        VERSION.clone_into(&mut config.version);
        let connection = reach::connect(&[format!("http://{address}")], global)?;
        let stop = CancellationToken::new();
        let served = tokio::spawn({
            let stop = stop.clone();
            async move {
                let clock = Arc::new(SystemClock);
                if let Err(error) =
                    descent_coordinator::serve(config, store, listener, clock, stop).await
                {
                    tracing::error!(%error, "the embedded coordinator ended");
                }
            }
        });
        Ok(Self {
            connection,
            stop,
            served,
        })
    }

    /// Answers what is under way; serving ends by closing the database and giving the file free.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.served.await {
            tracing::error!(%error, "the embedded coordinator did not end in order");
        }
    }
}

/// Opens the database for writing.
///
/// # Errors
/// With the exit code for a database out of reach.
pub(crate) async fn open(url: &str) -> anyhow::Result<Arc<dyn Store>> {
    let opened = open_store(url).await;
    opened.map_err(|error| cannot_open(url, &error))
}

/// Opens the database for writing, and shuts out a coordinator that has it and hangs.
///
/// # Errors
/// As [`open`].
pub(crate) async fn take_over(url: &str) -> anyhow::Result<Arc<dyn Store>> {
    let opened = take_over_store(url).await;
    opened.map_err(|error| cannot_open(url, &error))
}

fn cannot_open(url: &str, error: &StoreError) -> anyhow::Error {
    let exit = match error {
        StoreError::NotFound { .. } | StoreError::Conflict(_) => Exit::Usage,
        _ => Exit::Unreachable,
    };
    Failed {
        exit,
        message: format!("open {}: {error}", global::shown(url)),
    }
    .into()
}

/// The folder of checkpoints and weights when none is given: beside a SQLite file, else in the working folder.
///
/// # Errors
/// When the URL names no database that descent knows.
pub(crate) fn artifacts_beside(url: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return Ok(PathBuf::from(format!("{path}.artifacts")));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(PathBuf::from("descent.artifacts"));
    }
    Err(Failed::usage(format!(
        "`{url}` is no database: give sqlite:PATH or postgres://USER@HOST/NAME"
    )))
}
