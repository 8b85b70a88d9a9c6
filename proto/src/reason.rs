//! Refusals that a worker branches on, by a word in the status's details rather than by its text.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Who speaks in `ErrorInfo.domain`.
const DOMAIN: &str = "descent";

/// Why a call was refused, where the code alone does not say what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The attempt is no longer the trial's current one, or the trial is no longer wanted: stop it, write nothing more.
    Fenced,
    /// The session is unknown or closed: open a new one.
    SessionClosed,
    /// A metric chunk leaves a gap: go on after the chunk named in `last`.
    MetricGap {
        /// Number of the last stored chunk.
        last: u64,
    },
    /// The two sides are of different versions: the same call will never succeed.
    Version,
}

impl Reason {
    /// Its word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fenced => "FENCED",
            Self::SessionClosed => "SESSION_CLOSED",
            Self::MetricGap { .. } => "METRIC_GAP",
            Self::Version => "VERSION",
        }
    }

    /// A refusal: FAILED_PRECONDITION, because repeating the same call cannot help.
    #[must_use]
    pub fn status(self, message: impl Into<String>) -> Status {
        let metadata = match self {
            Self::MetricGap { last } => vec![("last".to_owned(), last.to_string())],
            Self::Fenced | Self::SessionClosed | Self::Version => Vec::new(),
        };
        let details = ErrorDetails::with_error_info(
            self.word(),
            DOMAIN,
            metadata
                .into_iter()
                .collect::<std::collections::HashMap<_, _>>(),
        );
        Status::with_error_details(Code::FailedPrecondition, message, details)
    }

    /// The reason that a status carries, if it carries one of ours.
    #[must_use]
    pub fn of(status: &Status) -> Option<Self> {
        let info = status.get_details_error_info()?;
        if info.domain != DOMAIN {
            return None;
        }
        match info.reason.as_str() {
            "FENCED" => Some(Self::Fenced),
            "SESSION_CLOSED" => Some(Self::SessionClosed),
            "METRIC_GAP" => Some(Self::MetricGap {
                last: info.metadata.get("last")?.parse().ok()?,
            }),
            "VERSION" => Some(Self::Version),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_survives_the_wire() {
        for reason in [
            Reason::Fenced,
            Reason::SessionClosed,
            Reason::MetricGap { last: 7 },
            Reason::Version,
        ] {
            assert_eq!(Reason::of(&reason.status("no")), Some(reason));
        }
        assert_eq!(Reason::of(&Status::failed_precondition("no")), None);
    }
}
