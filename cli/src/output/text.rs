//! CSV (RFC 4180) and JSON, with every digit that reading the same number back takes.

use std::io::{self, Write};

use serde_json::{Map, Value};

use super::rows::{Cell, Form, Rows};

/// A line of column names (when wanted), then a line a row.
pub(crate) fn csv(rows: &Rows, header: bool, to: &mut dyn Write) -> io::Result<()> {
    if header {
        let names: Vec<String> = rows
            .columns
            .iter()
            .map(|column| field(&column.name))
            .collect();
        writeln!(to, "{}", names.join(","))?;
    }
    for row in &rows.rows {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| match cell {
                Cell::Null => String::new(),
                Cell::Int(value) => value.to_string(),
                Cell::Real(value) => real(*value),
                Cell::Text(text) => field(text),
                Cell::Flag(value) => value.to_string(),
            })
            .collect();
        writeln!(to, "{}", cells.join(","))?;
    }
    Ok(())
}

/// The shortest text that reads back as the same number.
fn real(value: f64) -> String {
    serde_json::Number::from_f64(value)
        .map_or_else(|| value.to_string(), |number| number.to_string())
}

fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// One JSON array of objects.
pub(crate) fn json(rows: &Rows, to: &mut dyn Write) -> io::Result<()> {
    let objects: Vec<Value> = (0..rows.rows.len()).map(|at| object(rows, at)).collect();
    serde_json::to_writer_pretty(&mut *to, &objects)?;
    writeln!(to)
}

/// One JSON object a line.
pub(crate) fn jsonl(rows: &Rows, to: &mut dyn Write) -> io::Result<()> {
    for at in 0..rows.rows.len() {
        serde_json::to_writer(&mut *to, &object(rows, at))?;
        writeln!(to)?;
    }
    Ok(())
}

/// A row as a JSON object; JSON columns are nested rather than quoted.
fn object(rows: &Rows, at: usize) -> Value {
    let mut object = Map::new();
    for (column, cell) in rows.columns.iter().zip(&rows.rows[at]) {
        let value = match cell {
            Cell::Null => Value::Null,
            Cell::Int(value) => Value::from(*value),
            Cell::Real(value) => Value::from(*value),
            Cell::Text(text) if column.form == Form::Json => {
                serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.clone()))
            }
            Cell::Text(text) => Value::from(text.clone()),
            Cell::Flag(value) => Value::from(*value),
        };
        object.insert(column.name.clone(), value);
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let mut rows = Rows::new([
            ("sweep", Form::Text),
            ("test_loss", Form::Number),
            ("axes", Form::Json),
        ]);
        rows.push(["a, \"b\"".into(), 0.1.into(), "{\"width\":3}".into()]);
        rows.push([Cell::Null, 1e-7.into(), Cell::Null]);
        rows
    }

    fn written(write: impl Fn(&Rows, &mut dyn Write) -> io::Result<()>) -> String {
        let mut bytes = Vec::new();
        write(&rows(), &mut bytes).expect("memory takes every write");
        String::from_utf8(bytes).expect("output is text")
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let text = written(|rows, to| csv(rows, true, to));
        assert_eq!(
            text,
            "sweep,test_loss,axes\n\"a, \"\"b\"\"\",0.1,\"{\"\"width\"\":3}\"\n,1e-7,\n"
        );
    }

    #[test]
    fn json_nests_documents_and_keeps_every_digit() {
        let lines = written(jsonl);
        let first: Value = serde_json::from_str(lines.lines().next().expect("two lines"))
            .expect("a line is a document");
        assert_eq!(first["axes"]["width"], 3);
        assert_eq!(first["sweep"], "a, \"b\"");
        let parsed: Value =
            serde_json::from_str(&written(json)).expect("the output is one JSON document");
        assert_eq!(parsed[1]["test_loss"], 1e-7);
        assert!(parsed[1]["axes"].is_null());
    }
}
