//! A client's connection to one or several coordinators.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tonic::Code;
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
/// All coordinators of one database answer alike, so any will do: calls go to one until it cannot be reached, lets a call's
/// deadline pass in silence or answers UNAVAILABLE, and from then on to the next. The failed call itself is not repeated here;
/// [`crate::retry`] says whether it may be. What a session is stands in the database, so that it goes on elsewhere.
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

/// One address with our keepalive and timeouts, for connectors of one's own (simulated networks): see [`Connection::from_channels`].
///
/// # Errors
/// When the URL or a certificate cannot be used.
pub fn endpoint(url: &str, credentials: &Credentials) -> Result<Endpoint, InvalidTarget> {
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
        let count = self.channels.len();
        let mut channel = self.channels[tried % count].clone();
        let mut pending = Pending {
            current: Arc::clone(&self.current),
            tried,
            count,
            silent_at: deadline(&request).map(|deadline| Instant::now() + deadline),
        };
        Box::pin(async move {
            let answer = async {
                std::future::poll_fn(|cx| channel.poll_ready(cx)).await?;
                channel.call(request).await
            }
            .await;
            pending.silent_at = None;
            if !answer.as_ref().is_ok_and(is_available) {
                pending.move_on();
            }
            answer
        })
    }
}

/// A call that has not been answered yet.
struct Pending {
    current: Arc<AtomicUsize>,
    /// Where it went.
    tried: usize,
    count: usize,
    /// When the caller stops waiting; `None`: never, or it was answered.
    silent_at: Option<Instant>,
}

impl Pending {
    /// The next calls go to the next coordinator. Many calls may fail at once; only the first of them moves on.
    fn move_on(&self) {
        let next = (self.tried + 1) % self.count;
        let (tried, order) = (self.tried, Ordering::Relaxed);
        let _ = self.current.compare_exchange(tried, next, order, order);
    }
}

impl Drop for Pending {
    /// A call that is dropped at its deadline was met with silence: a connection that is half open, a machine that hangs. One that
    /// is dropped before says nothing.
    fn drop(&mut self) {
        if self.silent_at.is_some_and(|at| at <= Instant::now() + TICK) {
            self.move_on();
        }
    }
}

/// By how much two timers of one deadline may differ.
const TICK: Duration = Duration::from_millis(20);

/// Whether the coordinator that answered is one to stay with. An answer without a body carries its status among the headers.
fn is_available(response: &Response<Body>) -> bool {
    let status = response.headers().get("grpc-status");
    status
        .is_none_or(|status| status.as_bytes() != (Code::Unavailable as i32).to_string().as_bytes())
}

/// How long the caller waits, as the protocol writes it: a number and a unit.
fn deadline(request: &Request<Body>) -> Option<Duration> {
    let text = request.headers().get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.checked_mul(3600)?),
        "M" => Duration::from_secs(number.checked_mul(60)?),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_as_the_protocol_writes_them() {
        for (text, expected) in [
            ("10S", Some(Duration::from_secs(10))),
            ("1500m", Some(Duration::from_millis(1500))),
            ("30000000u", Some(Duration::from_secs(30))),
            ("2M", Some(Duration::from_secs(120))),
            ("", None),
            ("S", None),
            ("10x", None),
        ] {
            let mut request = Request::new(Body::empty());
            let value = HeaderValue::from_str(text).unwrap();
            request.headers_mut().insert("grpc-timeout", value);
            assert_eq!(deadline(&request), expected, "{text}");
        }
        assert_eq!(deadline(&Request::new(Body::empty())), None);
    }

    #[test]
    fn only_the_first_of_many_failures_moves_on_and_an_early_end_says_nothing() {
        let current = Arc::new(AtomicUsize::new(0));
        let pending = |silent_in: Option<Duration>| Pending {
            current: Arc::clone(&current),
            tried: 0,
            count: 3,
            silent_at: silent_in.map(|wait| Instant::now() + wait),
        };
        drop(pending(Some(Duration::from_secs(60))));
        drop(pending(None));
        assert_eq!(current.load(Ordering::Relaxed), 0);
        let (first, second) = (pending(Some(Duration::ZERO)), pending(Some(Duration::ZERO)));
        drop(first);
        drop(second);
        assert_eq!(current.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_coordinator_that_says_it_is_stopping_is_left() {
        let answer = |status: Option<&'static str>| {
            let mut response = Response::new(Body::empty());
            if let Some(status) = status {
                let value = HeaderValue::from_static(status);
                response.headers_mut().insert("grpc-status", value);
            }
            is_available(&response)
        };
        assert!(answer(None) && answer(Some("0")) && answer(Some("9")));
        assert!(!answer(Some("14")));
    }
}
