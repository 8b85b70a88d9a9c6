//! A client's connection to one or several coordinators.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tonic::body::Body;
use tonic::codegen::http::{HeaderValue, Request, Response, header};
use tonic::codegen::{BoxFuture, Service};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::MAX_MESSAGE_BYTES;
use crate::v1::sweeps_client::SweepsClient;
use crate::v1::work_client::WorkClient;

/// How long to try for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent connection is asked whether it lives, calls under way or not: a half-open peer is found in
/// `KEEPALIVE_INTERVAL + KEEPALIVE_TIMEOUT` instead of TCP's quarter of an hour.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long the answer may take.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why no connection can be made from the given addresses.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTarget {
    /// Nothing was given.
    #[error("no coordinator is given: pass its URL, such as http://127.0.0.1:4780")]
    Empty,
    /// An address is not a URL.
    #[error("`{url}` is not a coordinator's URL (http://HOST:PORT or https://HOST:PORT)")]
    Url {
        /// What was given.
        url: String,
    },
    /// TLS cannot be set up.
    #[error("TLS to `{url}`: {reason}")]
    Tls {
        /// For which address.
        url: String,
        /// What the TLS library reported.
        reason: String,
    },
    /// The token cannot travel in a header.
    #[error("the token has characters that cannot travel in a header: use visible ASCII")]
    Token,
}

/// What goes with every call, and whom to trust.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Bearer token.
    pub token: Option<String>,
    /// PEM of a certificate authority to trust besides the public ones.
    pub authority: Option<String>,
}

/// A connection to whichever of several coordinators answers. Cheap to clone; connects when first used, and again after a loss.
///
/// All coordinators of one database answer alike, so any will do: calls go to one until it cannot be reached, and from then
/// on to the next. The failed call itself is not repeated here; [`crate::retry`] says whether it may be.
#[derive(Clone)]
pub struct Connection {
    channels: Arc<[Channel]>,
    current: Arc<AtomicUsize>,
    authorization: Option<HeaderValue>,
}

impl Connection {
    /// Prepares connections to `urls` (`http://` or `https://`). Nothing is sent yet.
    ///
    /// # Errors
    /// When a URL, the token or a certificate cannot be used.
    pub fn new<S: AsRef<str>>(
        urls: &[S],
        credentials: &Credentials,
    ) -> Result<Self, InvalidTarget> {
        let channels = urls
            .iter()
            .map(|url| Ok(endpoint(url.as_ref(), credentials)?.connect_lazy()))
            .collect::<Result<Vec<_>, InvalidTarget>>()?;
        Self::from_channels(channels, credentials.token.as_deref())
    }

    /// The same over channels that exist already (pipes within a process, simulated networks).
    ///
    /// # Errors
    /// When there is no channel, or the token cannot be used.
    pub fn from_channels(
        channels: Vec<Channel>,
        token: Option<&str>,
    ) -> Result<Self, InvalidTarget> {
        if channels.is_empty() {
            return Err(InvalidTarget::Empty);
        }
        let authorization = token
            .map(|token| {
                let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                    .map_err(|_| InvalidTarget::Token)?;
                value.set_sensitive(true);
                Ok(value)
            })
            .transpose()?;
        Ok(Self {
            channels: channels.into(),
            current: Arc::default(),
            authorization,
        })
    }

    /// The service for workers, with our message limit on answers. Requests are limited by the coordinator, whose refusal has a
    /// code of its own; tonic's client would report its own as a broken connection, which looks worth repeating.
    #[must_use]
    pub fn work(&self) -> WorkClient<Self> {
        WorkClient::new(self.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The service for people and their tools, limited in the same way.
    #[must_use]
    pub fn sweeps(&self) -> SweepsClient<Self> {
        SweepsClient::new(self.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

/// One address with our keepalive and timeouts.
fn endpoint(url: &str, credentials: &Credentials) -> Result<Endpoint, InvalidTarget> {
    let url = url.trim();
    let invalid = || InvalidTarget::Url {
        url: url.to_owned(),
    };
    let tls = match url.split_once("://") {
        Some(("https", rest)) if !rest.is_empty() => true,
        Some(("http", rest)) if !rest.is_empty() => false,
        _ => return Err(invalid()),
    };
    let mut endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|_| invalid())?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    if tls {
        let mut config = ClientTlsConfig::new().with_enabled_roots();
        if let Some(pem) = &credentials.authority {
            config = config.ca_certificate(Certificate::from_pem(pem));
        }
        endpoint = endpoint
            .tls_config(config)
            .map_err(|error| InvalidTarget::Tls {
                url: url.to_owned(),
                reason: error.to_string(),
            })?;
    }
    Ok(endpoint)
}

impl Service<Request<Body>> for Connection {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Readiness is awaited inside the call, of the channel that it goes to.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(value) = &self.authorization {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, value.clone());
        }
        let tried = self.current.load(Ordering::Relaxed);
        let current = Arc::clone(&self.current);
        let count = self.channels.len();
        let mut channel = self.channels[tried % count].clone();
        Box::pin(async move {
            let answer = async {
                std::future::poll_fn(|cx| channel.poll_ready(cx)).await?;
                channel.call(request).await
            }
            .await;
            if answer.is_err() {
                // Many calls may fail at once; only the first of them moves on.
                let next = (tried + 1) % count;
                let _ = current.compare_exchange(tried, next, Ordering::Relaxed, Ordering::Relaxed);
            }
            answer
        })
    }
}
