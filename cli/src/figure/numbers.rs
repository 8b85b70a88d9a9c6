//! The numbers of a figure, to stand beside it as CSV: one row a point of a curve.

use super::point::{Curve, Number};
use crate::output::{Cell, Column, Form, Rows};

/// The points of all curves, with an axis a column where curves differ in it.
pub(crate) fn numbers(curves: &[Curve]) -> Rows {
    let axes: Vec<&String> = curves
        .first()
        .map(|curve| curve.axes.keys().collect())
        .unwrap_or_default();
    let shown: Vec<Number> = Number::ALL
        .into_iter()
        .filter(|number| {
            curves
                .iter()
                .flat_map(|curve| &curve.points)
                .any(|point| point.numbers.contains_key(number))
        })
        .collect();
    let column = |name: &str| Column {
        name: name.to_owned(),
        form: Form::of(name),
    };
    let mut columns: Vec<Column> = axes.iter().map(|axis| column(axis)).collect();
    columns.extend(
        [
            "samples",
            "outputs",
            "width",
            "parameters",
            "n",
            "diverged_trials",
        ]
        .map(column),
    );
    for number in &shown {
        for part in ["mean", "sd", "min", "max"] {
            columns.push(Column {
                name: format!("{}_{part}", number.column()),
                form: Form::Number,
            });
        }
    }
    let mut rows = Rows {
        columns,
        rows: Vec::new(),
    };
    for curve in curves {
        for point in &curve.points {
            let mut row: Vec<Cell> = axes
                .iter()
                .map(|axis| {
                    curve
                        .axes
                        .get(*axis)
                        .map_or(Cell::Null, |value| word(value))
                })
                .collect();
            row.extend([
                curve.samples.into(),
                curve.outputs.into(),
                point.width.into(),
                point.parameters.into(),
                point.n.into(),
                point.diverged.into(),
            ]);
            for number in &shown {
                let spread = point.numbers.get(number);
                row.extend(spread.map_or([const { Cell::Null }; 4], |spread| {
                    [spread.mean, spread.sd, spread.min, spread.max].map(Cell::Real)
                }));
            }
            rows.rows.push(row);
        }
        if !curve.limit.is_empty() {
            rows.rows.push(limit(curve, &axes, &shown));
        }
    }
    rows
}

/// The row of what a curve tends to: it has no width.
fn limit(curve: &Curve, axes: &[&String], shown: &[Number]) -> Vec<Cell> {
    let mut row: Vec<Cell> = axes
        .iter()
        .map(|axis| {
            curve
                .axes
                .get(*axis)
                .map_or(Cell::Null, |value| word(value))
        })
        .collect();
    let size = [Cell::Null, Cell::Null, Cell::Int(1), Cell::Int(0)];
    row.extend([curve.samples.into(), curve.outputs.into()]);
    row.extend(size);
    for number in shown {
        let value = curve.limit.get(number).copied();
        row.extend([value.into(), Cell::Null, value.into(), value.into()]);
    }
    row
}

/// An axis' value: a number where it reads as one.
fn word(value: &str) -> Cell {
    value
        .parse::<i64>()
        .map(Cell::Int)
        .or_else(|_| value.parse().map(Cell::Real))
        .unwrap_or_else(|_| value.into())
}

#[cfg(test)]
mod tests {
    use super::super::point::{Measured, Size, curves};
    use super::*;

    #[test]
    fn a_row_a_point_with_its_axes_and_spreads() {
        let result = |seed: f64, noise: &str| Measured {
            width: 3,
            parameters: 2395,
            samples: 4000,
            outputs: 10,
            axes: [("data.label_noise".to_owned(), noise.to_owned())].into(),
            numbers: [(Number::TestLoss, seed)].into(),
            ..Measured::default()
        };
        let rows = numbers(&curves(
            &[result(0.1, "0"), result(0.3, "0"), result(0.5, "0.2")],
            Size::Parameters,
        ));
        assert_eq!(rows.rows.len(), 2);
        let mean = rows.column("test_loss_mean").expect("losses were measured");
        assert!((rows.rows[0][mean].number().expect("a mean") - 0.2).abs() < 1e-12);
        assert_eq!(
            rows.rows[1][rows
                .column("data.label_noise")
                .expect("curves differ in it")],
            Cell::Real(0.2)
        );
        assert_eq!(
            rows.column("coefficient_norm_mean"),
            None,
            "what was not measured has no column"
        );
    }
}
