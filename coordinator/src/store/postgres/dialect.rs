//! Where PostgreSQL's SQL differs from SQLite's.

/// The rows of a JSON array, as `r (key, value)`.
macro_rules! rows {
    ($parameter:literal) => {
        concat!(
            "json_array_elements(CAST(",
            $parameter,
            " AS JSON)) WITH ORDINALITY AS r (value, key)"
        )
    };
}
/// The whole numbers of a JSON array.
macro_rules! ints {
    ($parameter:literal) => {
        concat!(
            "(SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST(",
            $parameter,
            " AS JSON)))"
        )
    };
}
/// A query of the whole numbers of a JSON array.
macro_rules! listed {
    ($parameter:literal) => {
        concat!(
            "SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST(",
            $parameter,
            " AS JSON))"
        )
    };
}
/// The texts of a JSON array.
macro_rules! texts {
    ($parameter:literal) => {
        concat!(
            "(SELECT value FROM json_array_elements_text(CAST(",
            $parameter,
            " AS JSON)))"
        )
    };
}
/// Locks the rows that a query names.
macro_rules! for_update {
    ($table:literal) => {
        concat!(" FOR UPDATE OF ", $table)
    };
}
/// Locks them and passes over those that others have locked.
macro_rules! skip_locked {
    () => {
        " FOR UPDATE SKIP LOCKED"
    };
}
/// The time by the database's own clock, that of this statement rather than of its transaction.
macro_rules! now {
    () => {
        "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
    };
}
pub(super) use {for_update, ints, listed, now, rows, skip_locked, texts};

/// Whether several coordinators may use one database at a time.
pub(super) const SHARED: bool = true;

/// A parameter of a statement that is put together.
pub(super) fn parameter(sql: &mut String, number: usize) {
    sql.push('$');
    sql.push_str(&number.to_string());
}

/// Brings every sweep's counters back to one row each. Two that do it at once are harmless: each folds what it has deleted.
pub(super) const FOLD: Option<&str> = Some(
    "WITH gone AS (DELETE FROM sweep_tally RETURNING sweep_id, state, trials, cost)
     INSERT INTO sweep_tally (sweep_id, state, trials, cost)
     SELECT sweep_id, state, SUM(trials), SUM(cost) FROM gone
     GROUP BY sweep_id, state HAVING SUM(trials) <> 0",
);

/// The value of an axis, by the literal of its name, in a view.
pub(super) fn axis(name: &str, kind: &str) -> String {
    format!("CAST(CAST(link.axes AS JSONB) ->> '{name}' AS {kind})")
}

/// How PostgreSQL calls a number that need not be whole.
pub(super) const REAL: &str = "DOUBLE PRECISION";
