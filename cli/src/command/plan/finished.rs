//! Which trials have a result already: asked of the database or of a coordinator.

use std::collections::HashSet;
use std::path::Path;

use descent_coordinator::reader::Reader;
use descent_proto::channel::Connection;
use descent_proto::v1::QueryRequest;
use descent_spec::id::Identity;

use crate::exit::Failed;
use crate::global::Global;
use crate::reach;

/// Who knows which trials have a result.
pub(super) enum Results {
    /// Nobody: there is no database yet.
    None,
    /// The database, read-only.
    Database(Reader),
    /// The given coordinator.
    Coordinator(Connection),
}

impl Results {
    /// Finds who to ask.
    pub(super) async fn open(global: &Global) -> anyhow::Result<Self> {
        if !global.coordinator.is_empty() {
            return reach::connect(&global.coordinator, global).map(Self::Coordinator);
        }
        if !database_exists(&global.db) {
            return Ok(Self::None);
        }
        Reader::open(&global.db)
            .await
            .map(Self::Database)
            .map_err(|error| Failed::unreachable(error.to_string()))
    }

    /// Which of these trials have a result.
    pub(super) async fn finished(&self, identities: &[Identity]) -> anyhow::Result<Vec<Identity>> {
        match self {
            _ if identities.is_empty() => Ok(Vec::new()),
            Self::None => Ok(Vec::new()),
            Self::Database(reader) => {
                let found = reader.finished(identities).await;
                found.map_err(|error| Failed::unreachable(error.to_string()))
            }
            Self::Coordinator(connection) => from_coordinator(connection, identities).await,
        }
    }

    /// Ends the connections.
    pub(super) async fn close(&self) {
        if let Self::Database(reader) = self {
            reader.close().await;
        }
    }
}

async fn from_coordinator(
    connection: &Connection,
    identities: &[Identity],
) -> anyhow::Result<Vec<Identity>> {
    let unreachable = |status: tonic::Status| {
        Failed::unreachable(format!(
            "ask the coordinator for results: {}",
            status.message()
        ))
    };
    let list: Vec<String> = identities
        .iter()
        .map(|identity| format!("'{identity}'"))
        .collect();
    let request = QueryRequest {
        sql: format!(
            "SELECT DISTINCT identity FROM results WHERE identity IN ({})",
            list.join(",")
        ),
        max_rows: u32::try_from(identities.len()).unwrap_or(u32::MAX),
    };
    let mut pages = connection
        .sweeps()
        .query(request)
        .await
        .map_err(unreachable)?
        .into_inner();
    let mut found = HashSet::new();
    while let Some(page) = pages.message().await.map_err(unreachable)? {
        for row in &page.rows_json {
            let (name,): (String,) = serde_json::from_str(row)?;
            found.insert(name.parse::<Identity>()?);
        }
    }
    Ok(found.into_iter().collect())
}

/// Whether there is a database to ask: before the first run, there is no file.
fn database_exists(url: &str) -> bool {
    match url.strip_prefix("sqlite:") {
        Some(path) => {
            let path = path.trim_start_matches("//");
            Path::new(path.split('?').next().unwrap_or(path)).exists()
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_not_there_is_not_asked() {
        assert!(!database_exists("sqlite:/nowhere/at/all.db"));
        assert!(!database_exists("sqlite:///nowhere/at/all.db?mode=ro"));
        assert!(database_exists("postgres://db/descent"));
    }
}
