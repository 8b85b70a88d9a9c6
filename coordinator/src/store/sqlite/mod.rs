//! The queue in one SQLite file: one writer with group commit, readers beside it.

mod dialect;
mod epoch;
mod filesystem;
mod lock;
#[path = "../sql/mod.rs"]
#[allow(
    clippy::duplicate_mod,
    reason = "one source, compiled for each of the two engines"
)]
mod sql;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};

use self::lock::Lock;
use self::writer::{Operation, Writer};
use super::lane::Lane;
use super::{StoreError, schema};

pub use self::filesystem::{memory_file_system, network_file_system};
pub use self::lock::{Holder, holder};
pub(crate) use sql::{find_sweep, finished, list_sweeps};

type Db = sqlx::Sqlite;
type Engine = SqliteStore;

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Connections for reading; each is a thread.
const READERS: u32 = 4;
/// How long a statement waits for another process's lock on the file: a backup, or somebody's shell.
const BUSY: Duration = Duration::from_secs(5);

/// How a database file is opened.
#[derive(Clone, Debug)]
pub struct SqliteConfig {
    /// The file; made when it is not there.
    pub path: PathBuf,
    /// The kind of network file system that a folder lies on, if it lies on one.
    pub network_file_system: fn(&Path) -> Option<&'static str>,
    /// Most pages that the file may have; `None`: as many as the disk holds. For tests of a full disk.
    pub max_pages: Option<u32>,
    /// Whether to shut out a coordinator that has the file and cannot be stopped: it may write nothing from then on.
    pub take_over: bool,
}

impl SqliteConfig {
    /// The file at this path, opened as it should be.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            network_file_system,
            max_pages: None,
            take_over: false,
        }
    }
}

/// A store in a SQLite file. One process at a time.
pub struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
    lock: Lock,
}

impl SqliteStore {
    /// Takes hold of the file, brings its schema up to date and starts the writer.
    ///
    /// # Errors
    /// When another coordinator has it, it lies on a network file system, cannot be written, is no database of descent
    /// or was made by a newer one. Nothing is changed then.
    pub async fn open(config: SqliteConfig) -> Result<Self, StoreError> {
        let folder = folder(&config.path);
        if let Some(kind) = (config.network_file_system)(folder) {
            let path = config.path.display().to_string();
            return Err(StoreError::NetworkFileSystem {
                path,
                kind: kind.to_owned(),
            });
        }
        let named = |error| name_file(error, &config.path);
        let lock = match Lock::take(&config.path) {
            Err(StoreError::InUse { .. }) if config.take_over => {
                // First what counts, then what others see of it.
                epoch::shut_out(&config).await.map_err(named)?;
                Lock::take_over(&config.path)?
            }
            taken => taken?,
        };
        let mut conn = connect(&config).await.map_err(named)?;
        let found = newest(&mut conn).await.map_err(named)?;
        schema::check(found, &MIGRATIONS)?;
        MIGRATIONS
            .run(&mut conn)
            .await
            .map_err(StoreError::from)
            .map_err(named)?;
        let epoch = epoch::begin(&mut conn).await.map_err(named)?;
        let reading = SqliteConnectOptions::new()
            .filename(&config.path)
            .read_only(true)
            .busy_timeout(BUSY)
            .disable_statement_logging();
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(reading);
        Ok(Self {
            writer: Writer::start(conn, epoch, config.path.display().to_string()),
            readers,
            lock,
        })
    }

    async fn write<T, F>(&self, lane: Lane, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c mut SqliteConnection) -> Operation<'c, T> + Send + 'static,
    {
        self.writer.write(lane, operation).await
    }

    async fn read<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        F: for<'c> Fn(&'c mut SqliteConnection) -> Operation<'c, T> + Send,
    {
        let mut conn = self.readers.acquire().await?;
        operation(&mut conn).await
    }

    fn leave_address(&self, address: &str) -> Result<(), StoreError> {
        self.lock.announce(address)
    }

    async fn shut_down(&self) {
        // Whoever closes last brings the log back into the file and removes it, which a reader cannot.
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// The folder that a file lies in.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The writer's connection: durable at every commit, readable beside it.
async fn connect(config: &SqliteConfig) -> Result<SqliteConnection, StoreError> {
    let mut options = SqliteConnectOptions::new()
        .filename(&config.path)
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .statement_cache_capacity(256)
        .disable_statement_logging();
    if let Some(pages) = config.max_pages {
        options = options.pragma("max_page_count", pages.to_string());
    }
    Ok(SqliteConnection::connect_with(&options).await?)
}

/// The newest step of the schema that the file has been through. A file with tables of somebody else is refused.
pub(crate) async fn newest(conn: &mut SqliteConnection) -> Result<Option<i64>, StoreError> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .fetch_all(&mut *conn)
            .await?;
    if tables.iter().any(|table| table == "_sqlx_migrations") {
        return Ok(sqlx::query_scalar(schema::NEWEST).fetch_one(conn).await?);
    }
    match tables.is_empty() {
        true => Ok(None),
        false => Err(StoreError::NotADatabase("the file".to_owned())),
    }
}

/// Puts the file's name into errors that are about the file.
pub(crate) fn name_file(error: StoreError, path: &Path) -> StoreError {
    let path = path.display();
    match error {
        StoreError::NotADatabase(_) => StoreError::NotADatabase(path.to_string()),
        StoreError::ReadOnly(text) => StoreError::ReadOnly(format!("{path}: {text}")),
        StoreError::Unavailable(text) => StoreError::Unavailable(format!("{path}: {text}")),
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests;
