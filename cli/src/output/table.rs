//! Tables for people: aligned columns, digits that can be compared at a glance.

use comfy_table::{Attribute, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::rows::{Cell, Form, Rows};

/// The table as text, ending in a line break; wrapped to the terminal when there is one.
pub(crate) fn render(rows: &Rows, to_terminal: bool) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─')));
    if to_terminal {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.force_no_tty();
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(rows.columns.iter().map(|column| {
        let cell = comfy_table::Cell::new(&column.name).set_alignment(alignment(column.form));
        if to_terminal {
            cell.add_attribute(Attribute::Bold)
        } else {
            cell
        }
    }));
    for row in &rows.rows {
        let cells = row.iter().zip(&rows.columns);
        table.add_row(cells.map(|(cell, column)| {
            comfy_table::Cell::new(show(cell, column.form)).set_alignment(alignment(column.form))
        }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text: String = table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect();
    if rows.rows.is_empty() {
        text.push_str("(no rows)\n");
    }
    text
}

fn alignment(form: Form) -> CellAlignment {
    if form.is_number() {
        CellAlignment::Right
    } else {
        CellAlignment::Left
    }
}

/// One value as people read it.
fn show(cell: &Cell, form: Form) -> String {
    match cell {
        Cell::Null => "–".to_owned(),
        Cell::Int(value) => value.to_string(),
        Cell::Real(value) if form == Form::Share && value.abs() <= 1.0 => format!("{value:.4}"),
        Cell::Real(value) => number(*value),
        Cell::Text(text) => text.replace(['\n', '\t', '\r'], " "),
        Cell::Flag(value) => if *value { "yes" } else { "no" }.to_owned(),
    }
}

/// Four leading digits: 0.04612, 1807, 1.884e6, 3.200e-12.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return value.to_string();
    }
    let size = value.abs().log10().floor();
    if !(-4.0..6.0).contains(&size) {
        return format!("{value:.3e}");
    }
    if value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    let decimals = (3.0 - size).clamp(0.0, 8.0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_tell_losses_apart_at_any_size() {
        let shown = [
            0.046_123_4,
            1807.26,
            220.8,
            0.000_123_45,
            3.2e-12,
            1.884e6,
            0.0,
            0.1,
        ]
        .map(number);
        assert_eq!(
            shown,
            [
                "0.04612",
                "1807",
                "220.8",
                "0.0001234",
                "3.200e-12",
                "1.884e6",
                "0",
                "0.1000"
            ]
        );
    }

    #[test]
    fn numbers_are_flush_right_and_lines_have_no_trailing_blanks() {
        let mut rows = Rows::new([
            ("sweep", Form::Text),
            ("width", Form::Count),
            ("test_error", Form::Share),
        ]);
        rows.push(["smoke".into(), 8_i64.into(), 0.25.into()]);
        rows.push(["smoke".into(), 128_i64.into(), Cell::Null]);
        let text = render(&rows, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "sweep  width  test_error");
        assert_eq!(lines[2], "smoke      8      0.2500");
        assert_eq!(lines[3], "smoke    128           –");
    }
}
