//! Versions of the schema, and addresses of databases.

use sqlx::migrate::Migrator;

use super::StoreError;

/// The newest step that a database has been through.
pub(crate) const NEWEST: &str = "SELECT MAX(version) FROM _sqlx_migrations";

/// Refuses a database that a newer program has changed.
pub(crate) fn check(found: Option<i64>, known: &Migrator) -> Result<(), StoreError> {
    let known = known.iter().map(|step| step.version).max().unwrap_or(0);
    match found {
        Some(found) if found > known => Err(StoreError::NewerSchema { found, known }),
        _ => Ok(()),
    }
}

/// The address as it may be shown and logged.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let Some((user, host)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    let user = user.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}@{host}")
}

/// The file that `sqlite:PATH` means; `sqlite://PATH` is understood too.
pub(crate) fn sqlite_path(path: &str) -> &str {
    path.strip_prefix("//").unwrap_or(path)
}
