//! Where SQLite's SQL differs from PostgreSQL's. One writer at a time, so nothing is ever locked.

/// The rows of a JSON array, as `r (key, value)`.
macro_rules! rows {
    ($parameter:literal) => {
        concat!("json_each(", $parameter, ") AS r")
    };
}
/// The whole numbers of a JSON array.
macro_rules! ints {
    ($parameter:literal) => {
        concat!("(SELECT value FROM json_each(", $parameter, "))")
    };
}
/// A query of the whole numbers of a JSON array.
macro_rules! listed {
    ($parameter:literal) => {
        concat!("SELECT value FROM json_each(", $parameter, ")")
    };
}
/// The texts of a JSON array.
macro_rules! texts {
    ($parameter:literal) => {
        concat!("(SELECT value FROM json_each(", $parameter, "))")
    };
}
/// Locks the rows that a query names.
macro_rules! for_update {
    ($table:literal) => {
        ""
    };
}
/// Locks them and passes over those that others have locked.
macro_rules! skip_locked {
    () => {
        ""
    };
}
/// The time by the database's own clock.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
}
pub(super) use {for_update, ints, listed, now, rows, skip_locked, texts};

/// Whether several coordinators may use one database at a time.
pub(super) const SHARED: bool = false;

/// The next parameter of a statement that is put together. It has no name: with names, SQLite looks through those of all
/// parameters at each that is bound, which took three quarters of the time of thousands.
pub(super) fn parameter(sql: &mut String, _number: usize) {
    sql.push('?');
}

/// Brings every sweep's counters back to one row each; nothing to do here.
pub(super) const FOLD: Option<&str> = None;

/// The value of an axis, by the literal of its name, in a view.
pub(super) fn axis(name: &str, kind: &str) -> String {
    format!("CAST(json_extract(link.axes, '$.\"{name}\"') AS {kind})")
}

/// How SQLite calls a number that need not be whole.
pub(super) const REAL: &str = "REAL";
