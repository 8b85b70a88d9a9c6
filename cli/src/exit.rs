//! Exit codes: what a script can branch on.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All succeeded.
    Success,
    /// It worked, but some trials did not succeed (or a check found something).
    Incomplete,
    /// Bad usage or a bad sweep file.
    Usage,
    /// The coordinator or the database is out of reach.
    Unreachable,
    /// Interrupted by this signal; the same command resumes.
    #[cfg_attr(
        not(feature = "worker"),
        allow(dead_code, reason = "only commands that train use it")
    )]
    Interrupted(u8),
}

impl Exit {
    /// The process's exit code.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Success => 0,
            Self::Incomplete => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Interrupted(signal) => 128 + signal,
        })
    }
}

/// An error that knows its exit code and what to print.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failed {
    /// The code.
    pub(crate) exit: Exit,
    /// What a person needs to know.
    pub(crate) message: String,
}

impl Failed {
    /// Bad usage.
    pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
        Self {
            exit: Exit::Usage,
            message: message.into(),
        }
        .into()
    }

    /// It worked, but some trials have no result.
    #[cfg(feature = "worker")]
    pub(crate) fn incomplete(message: impl Into<String>) -> anyhow::Error {
        Self {
            exit: Exit::Incomplete,
            message: message.into(),
        }
        .into()
    }

    /// Something is out of reach.
    pub(crate) fn unreachable(message: impl Into<String>) -> anyhow::Error {
        Self {
            exit: Exit::Unreachable,
            message: message.into(),
        }
        .into()
    }
}

/// Prints an error once, in one line (with its causes), and gives its code.
#[allow(
    clippy::print_stderr,
    reason = "the one place where errors reach the terminal"
)]
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("descent: {error:#}");
    code_of(error).code()
}

/// The code an error carries, or 2: an error without one comes from how the command was used.
fn code_of(error: &anyhow::Error) -> Exit {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failed>())
        .map_or(Exit::Usage, |failed| failed.exit)
}
