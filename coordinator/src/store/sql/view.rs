//! A sweep's own view: a row for each trial, a typed column for each axis.

use std::fmt::Write as _;

use descent_spec::id::SweepId;
use sqlx::AssertSqlSafe;

use super::super::super::{Axis, AxisKind, StoreError};
use super::{Conn, dialect};

/// Columns of the view besides the axes, by their names in `trials`.
const COLUMNS: &[&str] = &[
    "trial",
    "identity",
    "state",
    "attempts",
    "parameters",
    "stop",
    "last_epoch",
    "train_loss",
    "train_error",
    "validation_loss",
    "validation_error",
    "test_loss",
    "test_error",
    "dead_units",
    "coefficient_norm",
    "diverged",
    "weights",
    "device",
    "instruction_set",
    "train_ms",
    "started_at",
    "finished_at",
];

/// The view's text. Names are reduced to letters, digits, `_` and `.` before they get here, so nothing needs quoting.
fn text(view: &str, sweep: SweepId, axes: &[Axis]) -> String {
    let mut columns: Vec<String> = Vec::new();
    let mut select = String::new();
    for axis in axes {
        let column = column(&axis.name);
        let kind = match axis.kind {
            AxisKind::Integer => "BIGINT",
            AxisKind::Real => dialect::REAL,
            AxisKind::Text => "TEXT",
        };
        if !columns.contains(&column) {
            let value = dialect::axis(&axis.name.replace(['\'', '"'], ""), kind);
            let _ = writeln!(select, "{value} AS {column},");
            columns.push(column);
        }
    }
    let rest: Vec<String> = COLUMNS
        .iter()
        .filter(|name| !columns.iter().any(|column| column == *name))
        .map(|name| format!("trials.{name} AS {name}"))
        .collect();
    format!(
        "CREATE VIEW {view} AS SELECT {select}{} FROM sweep_trial AS link \
         JOIN sweep ON sweep.id = link.sweep_id \
         JOIN trials ON trials.sweep = sweep.name AND trials.trial = link.trial_id \
         WHERE link.sweep_id = {sweep}",
        rest.join(", ")
    )
}

/// An axis's name as a column's: `data.label_noise` is `data_label_noise`.
fn column(axis: &str) -> String {
    axis.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect()
}

/// Makes or replaces a sweep's view.
pub(super) async fn create(
    conn: &mut Conn,
    view: &str,
    sweep: SweepId,
    axes: &[Axis],
) -> Result<(), StoreError> {
    drop(conn, view).await?;
    sqlx::raw_sql(AssertSqlSafe(text(view, sweep, axes)))
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// Drops a sweep's view.
pub(super) async fn drop(conn: &mut Conn, view: &str) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(format!("DROP VIEW IF EXISTS {view}")))
        .execute(&mut *conn)
        .await?;
    Ok(())
}
