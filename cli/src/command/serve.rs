//! `descent serve`: the coordinator.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use descent_coordinator::clock::SystemClock;
use descent_coordinator::config::{Config, Tls};
use descent_coordinator::may_listen;
use tokio::net::TcpListener;

use crate::exit::{Exit, Failed};
use crate::global::{self, Global};
use crate::signals::Signals;
use crate::{VERSION, embedded, output};

/// Serves the queue to workers and commands, until it is told to stop. kill -9 loses nothing that was acknowledged.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent serve                                          SQLite, this machine only\n  DESCENT_TOKEN=… descent serve --listen 0.0.0.0:4780 --db postgres://descent@db/descent"
)]
pub(crate) struct Args {
    /// Address to listen on. Beyond this machine a token is needed.
    #[arg(
        long,
        env = "DESCENT_LISTEN",
        default_value = "127.0.0.1:4780",
        value_name = "HOST:PORT"
    )]
    listen: SocketAddr,
    /// Folder of checkpoints and weights [default: beside the SQLite file, or ./descent.artifacts].
    #[arg(long, env = "DESCENT_ARTIFACTS", value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// Listen beyond this machine without a token: anybody who reaches the port may change everything.
    #[arg(long, env = "DESCENT_INSECURE")]
    insecure: bool,
    /// How long a worker may be silent before others may take its trials, in milliseconds. It beats six times as often.
    #[arg(long, env = "DESCENT_LEASE_MS", default_value_t = 30_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(600..=3_600_000))]
    lease_ms: u64,
    /// Shut out a coordinator that has the SQLite file and hangs: it can write nothing more, and ends when it notices.
    #[arg(long, env = "DESCENT_TAKE_OVER")]
    take_over: bool,
    /// Certificate chain, PEM; with --tls-key.
    #[arg(
        long,
        env = "DESCENT_TLS_CERT",
        requires = "tls_key",
        value_name = "FILE"
    )]
    tls_cert: Option<PathBuf>,
    /// Private key, PEM; with --tls-cert.
    #[arg(
        long,
        env = "DESCENT_TLS_KEY",
        requires = "tls_cert",
        value_name = "FILE"
    )]
    tls_key: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let signals = Signals::listen()?;
    let artifacts = match &args.artifacts {
        Some(folder) => folder.clone(),
        None => embedded::artifacts_beside(&global.db)?,
    };
    let mut config = Config::new(artifacts);
    config.database = Some(global.db.clone());
    config.token.clone_from(&global.token);
    config.insecure = args.insecure;
    config.timing.lease = Duration::from_millis(args.lease_ms);
    config.timing.heartbeat = config.timing.lease / 6;
    config.timing.unlisted = config.timing.heartbeat * 2;
    VERSION.clone_into(&mut config.version);
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        config.tls = Some(Tls {
            certificate: read(certificate)?,
            key: read(key)?,
        });
    }
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        Failed::unreachable(format!(
            "listen on {}: {error}; choose another address with --listen",
            args.listen
        ))
    })?;
    // Told before anything is opened, so that a refusal leaves no database behind.
    may_listen(args.listen.ip(), global.token.as_deref(), args.insecure)
        .map_err(|refusal| Failed::usage(refusal.to_string()))?;
    let store = if args.take_over {
        embedded::take_over(&global.db).await?
    } else {
        embedded::open(&global.db).await?
    };
    output::note(&format!(
        "serving {} on {}",
        global::shown(&global.db),
        listener.local_addr()?
    ));
    let served = descent_coordinator::serve(
        config,
        store,
        listener,
        Arc::new(SystemClock),
        signals.first(),
    )
    .await;
    served.map_err(|error| Failed::unreachable(error.to_string()))?;
    // Serving until told to stop is what it was started for: an orderly end is a success.
    Ok(Exit::Success)
}

/// Reads a PEM file.
fn read(path: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Failed::usage(format!("read {}: {error}", path.display())))
}
