//! Wiring: one coordinator from its start to the end of its shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use descent_proto::v1::sweeps_server::SweepsServer;
use descent_proto::v1::work_server::WorkServer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::Connected;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;

use crate::artifacts::ArtifactError;
use crate::clock::{Clock, QueueClock};
use crate::config::Config;
use crate::outside::Outside;
use crate::rpc::auth::{Gate, Refusal, may_listen};
use crate::rpc::{SweepsService, WorkService};
use crate::service::Service;
use crate::store::{Store, StoreError};
use crate::{expand, maintain};

/// How often a silent connection is asked whether it lives, and how long the answer may take: a worker whose machine
/// vanished does not hold a connection for TCP's quarter of an hour.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long those who wait have to be sent away before connections are told to end: their answers go first.
const FAREWELL: Duration = Duration::from_millis(20);

/// Why a coordinator does not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It would be open to everybody.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The folder of artifacts cannot be used.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another coordinator has taken the database over.
    #[error(
        "another coordinator has taken the database over: this one writes nothing any more and ends; what it acknowledged is in there"
    )]
    Superseded,
    /// The certificate or key cannot be used.
    #[error("TLS: {0}")]
    Tls(String),
    /// The listener does not work.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
    /// The server stopped by itself.
    #[error("the server stopped: {0}")]
    Server(String),
}

/// Serves on a listener until `shutdown`, then drains and closes the store.
///
/// # Errors
/// [`ServeError`]: before anything is served when the configuration does not allow it, later when the server fails.
pub async fn serve(
    config: Config,
    store: Arc<dyn Store>,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    may_listen(address.ip(), config.token.as_deref(), config.insecure)?;
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    store
        .announce(&format!("{scheme}://{}", reachable(address)))
        .await?;
    tracing::info!(%address, "serving");
    serve_on(
        config,
        store,
        TcpListenerStream::new(listener),
        clock,
        shutdown,
    )
    .await
}

/// The address by which this machine reaches a listener.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// [`serve`] on any stream of connections, such as pipes within a process. Who may connect is the caller's care.
///
/// # Errors
/// As [`serve`].
pub async fn serve_on<I, C>(
    config: Config,
    store: Arc<dyn Store>,
    incoming: I,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), ServeError>
where
    I: Stream<Item = io::Result<C>> + Send + 'static,
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    C::ConnectInfo: Clone + Send + Sync + 'static,
{
    let outside = Outside::real(&config, store, clock)?;
    serve_in(config, outside, incoming, shutdown).await
}

/// [`serve_on`] with all of the outside handed in: simulations.
///
/// # Errors
/// As [`serve`].
pub async fn serve_in<I, C>(
    config: Config,
    outside: Outside,
    incoming: I,
    shutdown: CancellationToken,
) -> Result<(), ServeError>
where
    I: Stream<Item = io::Result<C>> + Send + 'static,
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    C::ConnectInfo: Clone + Send + Sync + 'static,
{
    let limits = config.limits;
    let drain = config.timing.drain;
    let gate = Gate::new(config.token.as_deref());
    let mut server = Server::builder()
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .concurrency_limit_per_connection(limits.calls_per_connection);
    if let Some(tls) = &config.tls {
        let identity = Identity::from_pem(&tls.certificate, &tls.key);
        server = server
            .tls_config(ServerTlsConfig::new().identity(identity))
            .map_err(|error| ServeError::Tls(error.to_string()))?;
    }
    let queue_clock = QueueClock::new(Arc::clone(&outside.clock));
    queue_clock.set(outside.store.as_ref()).await?;
    let service = Arc::new(Service::new(config, outside, queue_clock));
    let (health, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descent_proto::DESCRIPTORS)
        .build_v1()
        .map_err(|error| ServeError::Server(error.to_string()))?;
    let work = WorkServer::new(WorkService(Arc::clone(&service)))
        .max_decoding_message_size(limits.message_bytes)
        .max_encoding_message_size(limits.message_bytes);
    let sweeps = SweepsServer::new(SweepsService(Arc::clone(&service)))
        .max_decoding_message_size(limits.message_bytes)
        .max_encoding_message_size(limits.message_bytes);
    let stopped = CancellationToken::new();
    let serving = tokio::spawn(
        server
            .add_service(health_service)
            .add_service(InterceptedService::new(reflection, gate.clone()))
            .add_service(InterceptedService::new(work, gate.clone()))
            .add_service(InterceptedService::new(sweeps, gate))
            .serve_with_incoming_shutdown(incoming, stopped.clone().cancelled_owned()),
    );
    let abort = serving.abort_handle();
    let maintenance = tokio::spawn(maintain::run(Arc::clone(&service), health.clone()));
    let expansion = tokio::spawn(expand::run(Arc::clone(&service)));

    tokio::pin!(serving);
    let ended = tokio::select! {
        biased;
        ended = &mut serving => Some(ended),
        () = shutdown.cancelled() => None,
        () = service.superseded.cancelled() => None,
    };
    // The order matters: nobody new comes, those who wait are sent away, calls under way end, writes become durable.
    tracing::info!("stopping");
    service.draining.cancel();
    health
        .set_service_status("", ServingStatus::NotServing)
        .await;
    tokio::time::sleep(FAREWELL).await;
    stopped.cancel();
    let ended = match ended {
        Some(ended) => ended,
        None => match tokio::time::timeout(drain, &mut serving).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::warn!("calls were still under way at the end of the drain");
                abort.abort();
                Ok(Ok(()))
            }
        },
    };
    for task in [maintenance, expansion] {
        if let Err(panic) = task.await {
            tracing::error!(%panic, "a background task panicked");
        }
    }
    service.writes.close();
    if tokio::time::timeout(drain, service.writes.wait())
        .await
        .is_err()
    {
        tracing::warn!("the database did not finish in time; what was not acknowledged is lost");
    }
    if let Some(reader) = service.reader.get() {
        reader.close().await;
    }
    service.store.close().await;
    if service.superseded.is_cancelled() {
        return Err(ServeError::Superseded);
    }
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ServeError::Server(error.to_string())),
        Err(panic) => Err(ServeError::Server(panic.to_string())),
    }
}
