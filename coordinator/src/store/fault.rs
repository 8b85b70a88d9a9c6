//! What a database's errors mean to us.

use sqlx::migrate::MigrateError;

use super::StoreError;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        match error {
            sqlx::Error::Database(inner) => {
                let code = inner.code().unwrap_or_default();
                let sqlite = inner
                    .try_downcast_ref::<sqlx::sqlite::SqliteError>()
                    .is_some();
                if sqlite {
                    from_sqlite(&code, text)
                } else {
                    from_postgres(&code, text)
                }
            }
            sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => Self::DiskFull,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(text),
            _ => Self::Database(text),
        }
    }
}

/// By SQLite's result codes; the low byte is the primary one (<https://sqlite.org/rescode.html>).
fn from_sqlite(code: &str, text: String) -> StoreError {
    let code: i32 = code.parse().unwrap_or_default();
    match code & 0xff {
        5 | 6 => StoreError::Unavailable(format!("another process keeps it locked ({text})")),
        3 | 8 | 14 | 23 => StoreError::ReadOnly(text),
        13 => StoreError::DiskFull,
        26 => StoreError::NotADatabase("the file".to_owned()),
        // Writing or syncing fails with an I/O error where a quota is used up.
        10 => StoreError::Unavailable(text),
        _ => StoreError::Database(text),
    }
}

/// By SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn from_postgres(code: &str, text: String) -> StoreError {
    match code {
        "40001" | "40P01" | "55P03" => StoreError::Contention(text),
        "53100" => StoreError::DiskFull,
        "25006" | "42501" => StoreError::ReadOnly(text),
        "57014" => StoreError::Unavailable(format!("{text} (statement_timeout)")),
        _ if ["08", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            StoreError::Unavailable(text)
        }
        _ => StoreError::Database(text),
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            MigrateError::VersionMismatch(version) => Self::Database(format!(
                "step {version} of its schema is not the one that this descent knows: \
                 it was made by a development version; use that one, or another database"
            )),
            other => Self::Database(other.to_string()),
        }
    }
}

impl StoreError {
    /// Whether the caller's request was at fault, and the database is as well as before.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. }
                | Self::Conflict(_)
                | Self::SessionClosed(_)
                | Self::MetricGap { .. }
        )
    }
}
