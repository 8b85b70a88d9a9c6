//! Reading results: SQL over the documented views, from the database or from a coordinator, and the curves that figures draw.

use std::collections::BTreeMap;

use descent_coordinator::reader::{self, ColumnKind, Reader};
use descent_coordinator::store::StoreError;
use descent_proto::v1::QueryRequest;
use descent_spec::details::Details;

use crate::exit::Failed;
use crate::figure::{Comparable, Curve, Measured, Number, Size, curves};
use crate::global::Global;
use crate::output::{Cell, Column, Form, Rows};
use crate::reach;

/// Version of the views that exports name; raised when a column changes its meaning or goes.
pub(crate) const VIEW_VERSION: u32 = 1;

/// More rows than any sweep has: for commands that read a sweep whole.
pub(crate) const ALL_ROWS: u32 = 50_000_000;

/// What a query answered.
pub(crate) struct Answer {
    /// The rows.
    pub(crate) rows: Rows,
    /// Whether there are more than were asked for.
    pub(crate) cut: bool,
}

/// Runs one read-only query. The database itself refuses to write: it is opened read-only, whatever the text says.
///
/// # Errors
/// When the query is wrong, or the database or the coordinator is out of reach.
pub(crate) async fn query(global: &Global, sql: &str, max_rows: u32) -> anyhow::Result<Answer> {
    let mut answer = if global.coordinator.is_empty() {
        from_database(global, sql, max_rows).await?
    } else {
        from_coordinator(global, sql, max_rows).await?
    };
    settle_forms(&mut answer.rows);
    Ok(answer)
}

async fn from_database(global: &Global, sql: &str, max_rows: u32) -> anyhow::Result<Answer> {
    let reader = Reader::open(&global.db)
        .await
        .map_err(|error| match error {
            StoreError::NotFound { .. } => Failed::unreachable(format!(
                "{error}: `descent run` or `descent submit` makes it; --db names another"
            )),
            error => refused(&error),
        })?;
    let limit = usize::try_from(max_rows).unwrap_or(usize::MAX);
    let table = reader.query(sql, limit).await;
    reader.close().await;
    let table = table.map_err(|error| refused(&error))?;
    let cell = |value| match value {
        reader::Cell::Null => Cell::Null,
        reader::Cell::Int(value) => Cell::Int(value),
        reader::Cell::Float(value) => Cell::Real(value),
        reader::Cell::Text(text) => Cell::Text(text),
        reader::Cell::Bool(value) => Cell::Flag(value),
    };
    let columns = table.columns.into_iter().map(|column| {
        // The database knows the type where no row can tell.
        let form = match (Form::of(&column.name), column.kind) {
            (Form::Text, ColumnKind::Int) => Form::Count,
            (Form::Text, ColumnKind::Float) => Form::Number,
            (Form::Text, ColumnKind::Bool) => Form::Flag,
            (form, _) => form,
        };
        Column {
            name: column.name,
            form,
        }
    });
    let columns = columns.collect();
    let rows = table
        .rows
        .into_iter()
        .map(|row| row.into_iter().map(cell).collect())
        .collect();
    Ok(Answer {
        rows: Rows { columns, rows },
        cut: table.truncated,
    })
}

/// An error of the database with its exit code: a wrong query is the user's, the rest is not.
fn refused(error: &StoreError) -> anyhow::Error {
    match error {
        StoreError::Query(_) | StoreError::BadAddress(_) | StoreError::NotFound { .. } => {
            Failed::usage(error.to_string())
        }
        _ => Failed::unreachable(error.to_string()),
    }
}

async fn from_coordinator(global: &Global, sql: &str, max_rows: u32) -> anyhow::Result<Answer> {
    let connection = reach::connect(&global.coordinator, global)?;
    let refused = |status: tonic::Status| reach::explain(&status, global);
    let request = QueryRequest {
        sql: sql.to_owned(),
        max_rows,
    };
    let mut pages = connection
        .sweeps()
        .query(request)
        .await
        .map_err(refused)?
        .into_inner();
    let mut answer = Answer {
        rows: Rows::default(),
        cut: false,
    };
    while let Some(page) = pages.message().await.map_err(refused)? {
        if !page.columns.is_empty() {
            answer.rows.columns = columns(page.columns);
        }
        answer.cut |= page.truncated;
        for row in &page.rows_json {
            let values: Vec<serde_json::Value> = serde_json::from_str(row)?;
            answer
                .rows
                .rows
                .push(values.into_iter().map(from_json).collect());
        }
    }
    Ok(answer)
}

/// A JSON value as a cell; documents stay text.
pub(crate) fn from_json(value: serde_json::Value) -> Cell {
    match value {
        serde_json::Value::Null => Cell::Null,
        serde_json::Value::Bool(value) => Cell::Flag(value),
        serde_json::Value::Number(number) => number
            .as_i64()
            .map_or_else(|| number.as_f64().into(), Cell::Int),
        serde_json::Value::String(text) => Cell::Text(text),
        document => Cell::Text(document.to_string()),
    }
}

fn columns(names: Vec<String>) -> Vec<Column> {
    names
        .into_iter()
        .map(|name| Column {
            form: Form::of(&name),
            name,
        })
        .collect()
}

/// Makes forms and cells agree: a query may give any name to any value, and SQLite shows yes and no as 1 and 0.
fn settle_forms(rows: &mut Rows) {
    for at in 0..rows.columns.len() {
        let form = rows.columns[at].form;
        let cells = || {
            rows.rows
                .iter()
                .map(|row| &row[at])
                .filter(|cell| **cell != Cell::Null)
        };
        let words = cells().any(|cell| matches!(cell, Cell::Text(_)));
        let fractions = cells().any(|cell| matches!(cell, Cell::Real(_)));
        let any = cells().next().is_some();
        let flags = any && cells().all(|cell| matches!(cell, Cell::Flag(_) | Cell::Int(0 | 1)));
        rows.columns[at].form = match form {
            Form::Json | Form::Text if words => form,
            _ if words => Form::Text,
            Form::Flag if flags || !any => Form::Flag,
            Form::Count if fractions => Form::Number,
            Form::Flag | Form::Text | Form::Json if fractions => Form::Number,
            Form::Flag | Form::Text | Form::Json if any => Form::Count,
            form => form,
        };
        if rows.columns[at].form == Form::Flag {
            for cell in rows.rows.iter_mut().map(|row| &mut row[at]) {
                if let Cell::Int(value) = cell {
                    *cell = Cell::Flag(*value != 0);
                }
            }
        }
    }
}

/// Text as a literal of SQL.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A sweep's results, ready to be drawn or described.
pub(crate) struct Results {
    /// Its curves.
    pub(crate) curves: Vec<Curve>,
    /// What they can be compared with.
    pub(crate) comparable: Comparable,
}

/// Reads a sweep's results.
///
/// # Errors
/// When there are none, or they cannot be read.
pub(crate) async fn of_sweep(global: &Global, sweep: &str) -> anyhow::Result<Results> {
    const COLUMNS: &str = "experiment, width, parameters, samples, outputs, axes, params, details, \
                           train_loss, train_error, test_loss, test_error, dead_units, coefficient_norm";
    let sql = format!(
        "SELECT {COLUMNS} FROM results WHERE sweep = {} ORDER BY trial",
        quoted(sweep)
    );
    let rows = query(global, &sql, ALL_ROWS).await?.rows;
    if rows.rows.is_empty() {
        return Err(Failed::usage(format!(
            "sweep `{sweep}` has no results yet: `descent status` shows which sweeps there are and how far they are"
        )));
    }
    let place = |name: &str| rows.column(name).expect("the query names its columns");
    let experiment = rows.rows[0][place("experiment")].text();
    let features = experiment == Some("random-features");
    let size = match experiment {
        Some("random-features") => Size::Features,
        Some("expressivity") => Size::Samples,
        _ => Size::Parameters,
    };
    let mut measured = Vec::with_capacity(rows.rows.len());
    let mut comparable = None;
    for row in &rows.rows {
        let count = |name: &str| {
            row[place(name)]
                .int()
                .and_then(|value| u64::try_from(value).ok())
                .unwrap_or(0)
        };
        let mut numbers: BTreeMap<Number, f64> = Number::COMMON
            .into_iter()
            .filter_map(|number| Some((number, row[place(number.column())].number()?)))
            .collect();
        if let Some(json) = row[place("details")].text() {
            numbers.extend(details(json));
        }
        let mut axes = axes(row[place("axes")].text().unwrap_or("{}"));
        let by_samples = size == Size::Samples;
        axes.retain(|name, _| !by_samples || name.rsplit('.').next() != Some("samples"));
        measured.push(Measured {
            width: count(if by_samples { "samples" } else { "width" }),
            parameters: count("parameters"),
            samples: if by_samples { 0 } else { count("samples") },
            outputs: count("outputs"),
            axes,
            numbers,
        });
        let here = comparable_with(features, row[place("params")].text().unwrap_or("{}"));
        comparable = Some(comparable.map_or(here, |so_far| {
            if so_far == here {
                here
            } else {
                Comparable::Nothing
            }
        }));
    }
    Ok(Results {
        curves: curves(&measured, size),
        comparable: comparable.unwrap_or(Comparable::Nothing),
    })
}

/// The numbers in a result's details.
fn details(json: &str) -> Vec<(Number, f64)> {
    let Ok(Details::Expressivity(fit)) = Details::from_json(json) else {
        return Vec::new();
    };
    let numbers = [
        (Number::MaxError, fit.max_error),
        (Number::SmallestGap, fit.smallest_gap),
        (Number::LargestWeight, fit.largest_weight),
        (Number::Misfits, Some(fit.misfits.into())),
    ];
    numbers
        .into_iter()
        .filter_map(|(number, value)| Some((number, value?)))
        .collect()
}

/// The axes that tell curves apart: not the size, and none of the seeds.
fn axes(json: &str) -> BTreeMap<String, String> {
    let axes: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).unwrap_or_default();
    let apart = axes.into_iter().filter(|(axis, _)| {
        let name = axis.rsplit('.').next().unwrap_or(axis);
        name != "width" && name != "seed" && name != "order_seed"
    });
    apart
        .map(|(axis, value)| {
            let words = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (axis, words)
        })
        .collect()
}

/// Which known values settings (without defaults) can be set beside.
fn comparable_with(features: bool, params: &str) -> Comparable {
    let params: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(params).unwrap_or_default();
    let word = |name: &str| params.get(name).and_then(serde_json::Value::as_str);
    let mnist = word("data.dataset").is_none_or(|name| name == "mnist" || name == "mnist-4k");
    match (features, word("model.kind")) {
        _ if !mnist => Comparable::Nothing,
        (true, Some("fourier-features")) => Comparable::Fourier,
        (true, Some("relu-features")) => Comparable::Relu,
        (false, _) if word("train.loss").is_none_or(|loss| loss == "squared") => {
            Comparable::Squared
        }
        _ => Comparable::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_width_make_no_curves_of_their_own() {
        let axes = axes(
            r#"{"width":3,"seed":1,"data.seed":1,"train.order_seed":0,"data.label_noise":0.2,"train.weight_reuse":"never"}"#,
        );
        let names: Vec<(&str, &str)> = axes
            .iter()
            .map(|(axis, value)| (axis.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            names,
            [("data.label_noise", "0.2"), ("train.weight_reuse", "never")]
        );
    }

    #[test]
    fn columns_are_shown_as_what_they_hold_whatever_they_are_called() {
        let mut rows = Rows {
            columns: columns(
                ["diverged", "total", "n", "width"]
                    .map(str::to_owned)
                    .to_vec(),
            ),
            rows: vec![vec![
                Cell::Int(1),
                Cell::Real(0.5),
                Cell::Text("many".to_owned()),
                Cell::Null,
            ]],
        };
        settle_forms(&mut rows);
        let forms: Vec<Form> = rows.columns.iter().map(|column| column.form).collect();
        assert_eq!(forms, [Form::Flag, Form::Number, Form::Text, Form::Count]);
        assert_eq!(rows.rows[0][0], Cell::Flag(true));
    }

    #[test]
    fn literals_keep_their_quotes_inside() {
        assert_eq!(quoted("a'b; --"), "'a''b; --'");
    }

    #[test]
    fn only_like_is_compared_with_like() {
        assert_eq!(comparable_with(false, "{}"), Comparable::Squared);
        assert_eq!(
            comparable_with(false, r#"{"train.loss":"cross-entropy"}"#),
            Comparable::Nothing
        );
        assert_eq!(
            comparable_with(false, r#"{"data.dataset":"cifar10"}"#),
            Comparable::Nothing
        );
        assert_eq!(
            comparable_with(true, r#"{"model.kind":"relu-features"}"#),
            Comparable::Relu
        );
    }
}
