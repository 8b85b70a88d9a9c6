//! Who may call: the rule for listening, and the token that goes with every call.

use std::net::IpAddr;

use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Why a coordinator refuses to listen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Others could reach it, and nothing would keep them out.
    #[error(
        "{address} can be reached from other machines: set a token (--token or DESCENT_TOKEN) that workers and users show, \
         listen on 127.0.0.1, or say --insecure to let everybody in"
    )]
    Open {
        /// The address asked for.
        address: IpAddr,
    },
    /// A token that keeps nobody out.
    #[error("the token is empty: choose one, or leave it out and listen on 127.0.0.1")]
    EmptyToken,
}

/// Whether a coordinator may listen on this address. Loopback is free; elsewhere it takes a token or explicit consent.
///
/// # Errors
/// [`Refusal`] names the ways out.
pub fn may_listen(address: IpAddr, token: Option<&str>, insecure: bool) -> Result<(), Refusal> {
    match token {
        Some("") => Err(Refusal::EmptyToken),
        Some(_) => Ok(()),
        None if address.to_canonical().is_loopback() || insecure => Ok(()),
        None => Err(Refusal::Open { address }),
    }
}

/// Lets a call through when it shows the token.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// Hash of the token; the token itself is not kept. `None`: everybody may call.
    token: Option<blake3::Hash>,
}

impl Gate {
    /// A gate for this token.
    #[must_use]
    pub(crate) fn new(token: Option<&str>) -> Self {
        Self {
            token: token.map(|token| blake3::hash(token.as_bytes())),
        }
    }

    /// Whether the value of an `authorization` header opens it. Hashes are compared, in constant time (that is how
    /// `blake3::Hash` is compared), so that the time taken tells nothing about the token.
    fn opens(&self, authorization: Option<&str>) -> bool {
        let Some(expected) = self.token else {
            return true;
        };
        authorization
            .and_then(|value| value.strip_prefix("Bearer "))
            .is_some_and(|token| blake3::hash(token.as_bytes()) == expected)
    }
}

impl Interceptor for Gate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let authorization = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        if self.opens(authorization) {
            Ok(request)
        } else {
            Err(Status::unauthenticated(match authorization {
                None => "this coordinator wants a token: set DESCENT_TOKEN",
                Some(_) => "the token is not this coordinator's: check DESCENT_TOKEN",
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_free_and_everything_else_takes_a_token_or_consent() {
        let open = |address: &str| Refusal::Open {
            address: address.parse().unwrap(),
        };
        for (address, token, insecure, expected) in [
            ("127.0.0.1", None, false, Ok(())),
            ("127.8.8.8", None, false, Ok(())),
            ("::1", None, false, Ok(())),
            ("::ffff:127.0.0.1", None, false, Ok(())),
            ("0.0.0.0", None, false, Err(open("0.0.0.0"))),
            ("::", None, false, Err(open("::"))),
            ("10.0.0.7", None, false, Err(open("10.0.0.7"))),
            ("10.0.0.7", None, true, Ok(())),
            ("10.0.0.7", Some("secret"), false, Ok(())),
            ("10.0.0.7", Some(""), true, Err(Refusal::EmptyToken)),
            ("127.0.0.1", Some(""), false, Err(Refusal::EmptyToken)),
        ] {
            let found = may_listen(address.parse().unwrap(), token, insecure);
            assert_eq!(found, expected, "{address} {token:?} {insecure}");
        }
    }

    #[test]
    fn only_the_whole_token_opens() {
        let gate = Gate::new(Some("secret"));
        assert!(gate.opens(Some("Bearer secret")));
        for wrong in [
            "Bearer secre",
            "Bearer secret ",
            "secret",
            "bearer secret",
            "",
        ] {
            assert!(!gate.opens(Some(wrong)), "{wrong:?}");
        }
        assert!(!gate.opens(None));
        assert!(Gate::new(None).opens(None));
    }
}
