//! Log lines on stderr: levels, formats, and how `RUST_LOG` overrides them.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::global::{Global, Log};

/// Installs the subscriber. `RUST_LOG` goes before `--verbose`.
pub(crate) fn start(global: &Global) {
    let level = match global.verbose {
        0 => "warn",
        1 => "info,sqlx=warn",
        _ => "debug,h2=info,hyper=info,tower=info,sqlx=info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match global.log {
        Log::Text => subscriber
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .init(),
        Log::Json => subscriber
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .init(),
    }
}
