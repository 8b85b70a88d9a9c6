//! The queue in SQL, written once and compiled for each engine.
//!
//! The parent module says which engine: it defines `Db`, `Engine` (with `read` and `write`) and `dialect`, the few places
//! where the two languages differ. Parameters are `$1` in both; lists travel as JSON.

mod alike;
mod attempts;
mod batch;
mod choose;
mod claim;
mod expand;
mod explain;
mod import;
mod lead;
mod log;
mod maintain;
mod queue;
mod record;
mod remove;
mod revoke;
mod row;
mod session;
mod settle;
mod sweeps;
mod view;
mod workers;

use super::{Db, Engine, dialect};

pub(crate) use self::sweeps::{finished, sweep as find_sweep, sweeps as list_sweeps};

/// A connection of this engine.
type Conn = <Db as sqlx::Database>::Connection;
/// A row of this engine.
type Row = <Db as sqlx::Database>::Row;

/// Names a module's statements, so that a test can have each of them described by the database.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* const $name: &str = $sql;)+
        #[cfg(test)]
        pub(super) const STATEMENTS: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}
use statements;

/// Every statement, for the test that has them described.
#[cfg(test)]
pub(super) fn all_statements() -> Vec<(&'static str, &'static str)> {
    let constant = [
        alike::STATEMENTS,
        attempts::STATEMENTS,
        choose::STATEMENTS,
        claim::STATEMENTS,
        expand::STATEMENTS,
        explain::STATEMENTS,
        import::STATEMENTS,
        lead::STATEMENTS,
        log::STATEMENTS,
        maintain::STATEMENTS,
        remove::STATEMENTS,
        revoke::STATEMENTS,
        session::STATEMENTS,
        settle::STATEMENTS,
        sweeps::STATEMENTS,
        workers::STATEMENTS,
    ]
    .concat();
    constant
        .into_iter()
        .chain(record::batches())
        .chain(expand::batches())
        .collect()
}
