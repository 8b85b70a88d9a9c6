//! The errors of a store, each with its way out.

use descent_spec::id::SessionId;

/// What a caller of the store can branch on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such sweep, trial or artifact.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// The thing is in a state that does not allow this.
    #[error("{0}")]
    Conflict(String),
    /// The session is unknown or closed: the worker opens a new one. (One that only expired comes back with its next beat.)
    #[error("session {0} is not open")]
    SessionClosed(SessionId),
    /// The metric chunk leaves a gap.
    #[error("metric chunk {found} does not follow {last}")]
    MetricGap {
        /// The last chunk stored.
        last: u64,
        /// The chunk offered.
        found: u64,
    },
    /// The database was made by a newer descent.
    #[error(
        "the database has schema {found}, this descent knows up to {known}: use the newer descent"
    )]
    NewerSchema {
        /// Version found.
        found: i64,
        /// Newest version known.
        known: i64,
    },
    /// Another coordinator has the database open.
    #[error(
        "{path} is in use by another coordinator ({holder}): stop that one, or talk to it with --coordinator; one that hangs and \
         cannot be stopped is shut out with `descent serve --take-over`"
    )]
    InUse {
        /// The database file.
        path: String,
        /// Process and address of the other one, as far as it left them.
        holder: String,
    },
    /// Another coordinator has taken the database over since this one opened it. Nothing was written.
    #[error("{path} was taken over by another coordinator: this one may write nothing any more")]
    Superseded {
        /// The database file.
        path: String,
    },
    /// SQLite does not keep its promises on this file system.
    #[error(
        "{path} lies on a network file system ({kind}), where SQLite can lose data: put the database on a local disk, or use PostgreSQL (--db postgres://…)"
    )]
    NetworkFileSystem {
        /// The database file.
        path: String,
        /// The kind of file system.
        kind: String,
    },
    /// The file is something else.
    #[error("{0} is not a SQLite database of descent: name another file with --db")]
    NotADatabase(String),
    /// The address names no database that descent knows.
    #[error("`{0}` is no database address: use sqlite:PATH or postgres://USER@HOST/NAME")]
    BadAddress(String),
    /// The database did not take a query; what it says.
    #[error("{0}")]
    Query(String),
    /// The disk is full. Nothing was written.
    #[error(
        "the disk that holds the database is full: free some space and run again; nothing that was acknowledged is lost"
    )]
    DiskFull,
    /// The database cannot be written (permissions, read-only medium).
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    /// The database is out of reach for now; the same call may succeed later.
    #[error("the database is out of reach: {0}")]
    Unavailable(String),
    /// Other transactions were in the way, again and again. Nothing was written; the same call may succeed at once.
    #[error("other transactions were in the way: {0}")]
    Contention(String),
    /// Anything else that the database reported.
    #[error("database error: {0}")]
    Database(String),
}
