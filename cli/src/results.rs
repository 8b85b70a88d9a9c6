//! Reading results: SQL over the documented views, from the database or from a coordinator, and the curves that figures draw.

use std::collections::BTreeMap;

use descent_coordinator::reader::{self, ColumnKind, Reader};
use descent_coordinator::store::StoreError;
use descent_proto::v1::QueryRequest;

use crate::exit::Failed;
use crate::experiment::strand::{self, Against, Strand};
use crate::experiment::{self, Picture, Shown};
use crate::figure::{Curve, Measured, Number, Size, curves, draw, numbers};
use crate::global::Global;
use crate::output::{Cell, Column, Form, Rows};
use crate::report::Report;
use crate::{reach, request};

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
    let pages = request::repeat(async || connection.sweeps().query(request.clone()).await).await;
    let mut pages = pages.map_err(refused)?.into_inner();
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
pub(crate) enum Results {
    /// Curves against the size of a model.
    Curves(Vec<Curve>),
    /// Curves along something else.
    Strands(Against, Vec<Strand>),
    /// Answers to the questions of an experiment that is shown in its own way.
    Own(Shown, Vec<Rows>),
}

impl Results {
    /// The figure with its numbers.
    ///
    /// # Errors
    /// When there is nothing to draw.
    pub(crate) fn picture(&self, title: &str) -> Result<Picture, String> {
        match self {
            Self::Curves(curves) => Ok(Picture {
                figure: draw(title, curves)?,
                numbers: numbers(curves),
            }),
            Self::Strands(against, strands) => strand::picture(title, *against, strands),
            Self::Own(shown, answers) => (shown.picture)(title, answers),
        }
    }

    /// The numbers that the figure shows.
    ///
    /// # Errors
    /// When there is nothing to show.
    #[cfg_attr(
        not(feature = "worker"),
        allow(dead_code, reason = "only commands that train use it")
    )]
    pub(crate) fn numbers(&self, title: &str) -> Result<Rows, String> {
        match self {
            Self::Curves(curves) => Ok(numbers(curves)),
            Self::Strands(..) | Self::Own(..) => self.picture(title).map(|picture| picture.numbers),
        }
    }

    /// What was measured, beside what is published.
    pub(crate) fn report(&self, title: &str) -> Report {
        match self {
            Self::Curves(curves) => experiment::report(title, curves),
            Self::Strands(against, strands) => strand::report(title, *against, strands),
            Self::Own(shown, answers) => (shown.report)(title, answers),
        }
    }
}

/// Reads a sweep's results. Curves run along `against`; where that is not given, along the size of the model, or along the number of
/// samples or the epoch where the models are all of one size.
///
/// # Errors
/// When there are none, or they cannot be read.
pub(crate) async fn of_sweep(
    global: &Global,
    sweep: &str,
    against: Option<Against>,
) -> anyhow::Result<Results> {
    let name = quoted(sweep);
    let sql = format!("SELECT experiment FROM results WHERE sweep = {name} LIMIT 1");
    let rows = query(global, &sql, 1).await?.rows;
    let experiment = rows.rows.first().and_then(|row| row[0].text());
    let Some(experiment) = experiment else {
        return Err(Failed::usage(format!(
            "sweep `{sweep}` has no results yet: `descent status` shows which sweeps there are and how far they are"
        )));
    };
    let Some(shown) = experiment::shown(experiment) else {
        return curves_of(global, &name, experiment, against).await;
    };
    if against.is_some() {
        return Err(Failed::usage(format!(
            "`--against` is for risk curves and random features: `{sweep}` is of {experiment}"
        )));
    }
    let mut answers = Vec::new();
    for sql in (shown.queries)(&name) {
        answers.push(query(global, &sql, ALL_ROWS).await?.rows);
    }
    Ok(Results::Own(shown, answers))
}

/// The curves of a sweep (an SQL literal) of risk curves or random features.
async fn curves_of(
    global: &Global,
    sweep: &str,
    experiment: &str,
    against: Option<Against>,
) -> anyhow::Result<Results> {
    const COLUMNS: &str = "width, parameters, samples, outputs, axes, params, \
                           train_loss, train_error, test_loss, test_error, dead_units, coefficient_norm";
    let sql = format!("SELECT {COLUMNS} FROM results WHERE sweep = {sweep} ORDER BY trial");
    let rows = query(global, &sql, ALL_ROWS).await?.rows;
    let place = |name: &str| rows.column(name).expect("the query names its columns");
    let size = if experiment == "random-features" {
        Size::Features
    } else {
        Size::Parameters
    };
    let mut measured = Vec::with_capacity(rows.rows.len());
    for row in &rows.rows {
        let count = |name: &str| {
            row[place(name)]
                .int()
                .and_then(|value| u64::try_from(value).ok())
                .unwrap_or(0)
        };
        let numbers: BTreeMap<Number, f64> = Number::ALL
            .into_iter()
            .filter_map(|number| Some((number, row[place(number.column())].number()?)))
            .collect();
        let mut axes = experiment::axes(row[place("axes")].text().unwrap_or("{}"));
        axes.retain(|axis, _| axis.rsplit('.').next() != Some("width"));
        measured.push(Measured {
            width: count("width"),
            parameters: count("parameters"),
            samples: count("samples"),
            outputs: count("outputs"),
            axes,
            settings: experiment::axes(row[place("params")].text().unwrap_or("{}")),
            numbers,
        });
    }
    let several =
        |of: fn(&Measured) -> u64| measured.windows(2).any(|pair| of(&pair[0]) != of(&pair[1]));
    let against = against.unwrap_or_else(|| {
        if several(|result| result.parameters) {
            Against::Parameters
        } else if several(|result| result.samples) {
            Against::Samples
        } else if size == Size::Parameters {
            Against::Epoch
        } else {
            Against::Parameters
        }
    });
    match against {
        Against::Parameters => Ok(Results::Curves(curves(&measured, size))),
        Against::Samples => Ok(Results::Strands(against, strand::by_samples(&measured))),
        Against::Epoch => {
            let sql = format!("SELECT * FROM risk_curve_by_epoch WHERE sweep = {sweep}");
            let rows = query(global, &sql, ALL_ROWS).await?.rows;
            if rows.rows.is_empty() {
                return Err(Failed::usage(
                    "nothing was measured by epoch: closed forms have no epochs".to_owned(),
                ));
            }
            Ok(Results::Strands(against, strand::by_epoch(&rows)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
