//! Reports: what was measured, beside what is published, as Markdown or as rows.

mod quantity;

use std::fmt::Write as _;

pub(crate) use quantity::{Expected, Measured, Quantity};

use crate::output::{Cell, Column, Form, Rows, number};

/// A report of one sweep.
pub(crate) struct Report {
    /// Its heading: the sweep.
    pub(crate) title: String,
    /// What the numbers are: losses, means over seeds.
    pub(crate) about: String,
    /// Measured numbers: a heading and a table each.
    pub(crate) tables: Vec<(String, Rows)>,
    /// What is compared with the published.
    pub(crate) quantities: Vec<Quantity>,
    /// What a reader must know of the comparison: protocols that differ, values that cannot be compared.
    pub(crate) remarks: Vec<String>,
}

impl Report {
    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n{}\n", self.title, self.about);
        for (heading, rows) in &self.tables {
            let _ = write!(text, "\n## {heading}\n\n");
            table(&mut text, rows);
        }
        if !self.quantities.is_empty() {
            text.push_str("\n## Beside the published\n\n");
            table(&mut text, &self.rows());
        }
        for remark in &self.remarks {
            let _ = write!(text, "\n{remark}\n");
        }
        text
    }

    /// The quantities as rows, for programs.
    pub(crate) fn rows(&self) -> Rows {
        let mut rows = Rows::new([
            ("quantity", Form::Text),
            ("published", Form::Text),
            ("source", Form::Text),
            ("tolerance", Form::Text),
            ("measured_mean", Form::Number),
            ("measured_sd", Form::Number),
            ("n", Form::Count),
            ("agrees", Form::Text),
            ("by", Form::Text),
        ]);
        for quantity in &self.quantities {
            let measured = quantity.measured.as_ref();
            let (agrees, by) = quantity.verdict().words();
            rows.push([
                quantity.name.as_str().into(),
                quantity.expected.to_string().as_str().into(),
                quantity.source.into(),
                quantity.reason.into(),
                measured.map_or(Cell::Null, |measured| Cell::Real(measured.mean)),
                measured
                    .filter(|measured| measured.n > 1)
                    .map_or(Cell::Null, |measured| Cell::Real(measured.sd)),
                measured.map_or(Cell::Int(0), |measured| measured.n.into()),
                agrees.into(),
                by.as_str().into(),
            ]);
        }
        rows
    }
}

/// Rows as a Markdown table.
fn table(text: &mut String, rows: &Rows) {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let names = rows.columns.iter().map(heading).collect();
    text.push_str(&line(names));
    let rules = rows.columns.iter().map(|column| {
        let rule = if column.form.is_number() {
            "---:"
        } else {
            "---"
        };
        rule.to_owned()
    });
    text.push_str(&line(rules.collect()));
    for row in &rows.rows {
        text.push_str(&line(row.iter().map(words).collect()));
    }
}

fn heading(column: &Column) -> String {
    column.name.replace('_', " ")
}

/// A cell as a reader wants it.
fn words(cell: &Cell) -> String {
    match cell {
        Cell::Null => "–".to_owned(),
        Cell::Int(value) => value.to_string(),
        Cell::Real(value) => number(*value),
        Cell::Text(text) => text.replace('|', "\\|"),
        Cell::Flag(value) => if *value { "yes" } else { "no" }.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_sets_the_measured_beside_the_published() {
        let mut rows = Rows::new([("width", Form::Count), ("test_error_mean", Form::Share)]);
        rows.push([Cell::Int(3), Cell::Real(0.25)]);
        let report = Report {
            title: "sweep".to_owned(),
            about: "Means over seeds.".to_owned(),
            tables: vec![("Measured".to_owned(), rows)],
            quantities: vec![Quantity {
                name: "d_int90".to_owned(),
                expected: Expected::Near {
                    value: 750.0,
                    tolerance: 175.0,
                },
                source: "Li et al. 2018, Table 1",
                reason: "spread of their own repeats",
                measured: Some(Measured {
                    mean: 800.0,
                    sd: 20.0,
                    n: 5,
                }),
            }],
            remarks: vec!["Protocols differ.".to_owned()],
        };
        let text = report.markdown();
        for line in [
            "| 3 | 0.2500 |",
            "| d_int90 | 750 ± 175 | Li et al. 2018, Table 1 | spread of their own repeats | 800 | 20 | 5 | yes | +50 (+6.7 %) |",
            "Protocols differ.",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
