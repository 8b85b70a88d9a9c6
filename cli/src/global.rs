//! Options that every command takes.

use clap::ValueEnum;

/// Where the queue is, and how to talk.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Global {
    /// Database: `sqlite:PATH` or `postgres://…`.
    #[arg(
        long,
        global = true,
        env = "DESCENT_DB",
        default_value = "sqlite:descent.db",
        value_name = "URL",
        hide_env_values = true
    )]
    pub(crate) db: String,

    /// Coordinator to ask instead of opening the database; several of one database, separated by commas: when one dies or falls silent, the
    /// next is asked.
    #[arg(
        long,
        global = true,
        env = "DESCENT_COORDINATOR",
        value_delimiter = ',',
        value_name = "URL"
    )]
    pub(crate) coordinator: Vec<String>,

    /// Shared secret between coordinator, workers and commands (better given as DESCENT_TOKEN than typed).
    #[arg(
        long,
        global = true,
        env = "DESCENT_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub(crate) token: Option<String>,

    /// How results are printed.
    #[arg(long, global = true, env = "DESCENT_FORMAT", value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,

    /// More detail on stderr; twice for even more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, env = "DESCENT_VERBOSE")]
    pub(crate) verbose: u8,

    /// How log lines are written to stderr.
    #[arg(long, global = true, env = "DESCENT_LOG", value_enum, default_value_t = Log::Text)]
    pub(crate) log: Log,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns, for people.
    Table,
    /// Comma-separated, with a header.
    Csv,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Parquet (only where a file is written or stdout is redirected).
    Parquet,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Log {
    /// For people.
    Text,
    /// One JSON object a line, for clusters.
    Json,
}

/// A database's address without the password that may be in it.
pub(crate) fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((credentials, host)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (url, text) in [
            ("sqlite:descent.db", "sqlite:descent.db"),
            ("postgres://db/descent", "postgres://db/descent"),
            (
                "postgres://me:p@ss:word@db:5432/descent",
                "postgres://me@db:5432/descent",
            ),
        ] {
            assert_eq!(shown(url), text);
        }
    }
}
