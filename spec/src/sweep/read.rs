//! From TOML to checked values: the places where a key, a type or a bound is judged.

use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::mistake::Report;
use super::suggest;
use crate::setting::{Kind, Unfit};
use crate::value::Value;

/// A TOML value with its place.
pub(crate) type Item<'s> = Spanned<DeValue<'s>>;

/// One key of a table: its name, its place, its value.
pub(crate) type Entry<'t, 's> = (&'t str, Range<usize>, &'t Item<'s>);

/// The entries of a table in the order of the file.
pub(crate) fn entries<'t, 's>(table: &'t DeTable<'s>) -> Vec<Entry<'t, 's>> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| (key.get_ref().as_ref(), key.span(), value))
        .collect();
    entries.sort_by_key(|(_, span, _)| span.start);
    entries
}

/// Checks a value against a kind.
pub(crate) fn checked(kind: Kind, item: &DeValue<'_>) -> Result<Value, Unfit> {
    match item {
        DeValue::Boolean(value) => kind.boolean(*value),
        DeValue::String(text) => kind.text(text),
        DeValue::Integer(integer) => {
            match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(value) => kind.integer(value),
                // Beyond 63 bits; as a float it is judged by the bounds.
                Err(_) => Err(Unfit {
                    expected: kind.to_string(),
                    found: integer.to_string(),
                }),
            }
        }
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            Ok(value) => kind.float(value),
            Err(_) => Err(Unfit {
                expected: kind.to_string(),
                found: float.as_str().to_owned(),
            }),
        },
        DeValue::Datetime(date) => Err(Unfit {
            expected: kind.to_string(),
            found: format!("the date {date}"),
        }),
        DeValue::Array(_) => Err(Unfit {
            expected: kind.to_string(),
            found: "a list".to_owned(),
        }),
        DeValue::Table(_) => Err(Unfit {
            expected: kind.to_string(),
            found: "a table".to_owned(),
        }),
    }
}

/// What a TOML value is, for messages.
pub(crate) fn type_of(item: &DeValue<'_>) -> &'static str {
    match item {
        DeValue::Boolean(_) => "true or false",
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The value as a checked one, or a mistake.
pub(crate) fn value(
    report: &mut Report<'_>,
    path: &str,
    kind: Kind,
    item: &Item<'_>,
) -> Option<Value> {
    checked(kind, item.get_ref())
        .map_err(|unfit| {
            let help = match (kind, item.get_ref()) {
                (Kind::Word(words), DeValue::String(text)) => {
                    suggest::did_you_mean(text, words.iter().copied())
                }
                (_, DeValue::Array(_)) => Some("to sweep it, write it under [axes]".to_owned()),
                (_, DeValue::String(text)) if text.parse::<f64>().is_ok() => {
                    Some("write the number without quotes".to_owned())
                }
                _ => None,
            };
            report.add_with_help(item.span(), path, unfit.to_string(), help);
        })
        .ok()
}

/// The value as a table, or a mistake.
pub(crate) fn table<'t, 's>(
    report: &mut Report<'_>,
    path: &str,
    item: &'t Item<'s>,
) -> Option<&'t DeTable<'s>> {
    let found = item.get_ref();
    if found.as_table().is_none() {
        report.add(
            item.span(),
            path,
            format!("expected a table, found {}", type_of(found)),
        );
    }
    found.as_table()
}

/// The value as a list of tables, `[[path]]` in the file, or a mistake.
pub(crate) fn tables<'t, 's>(
    report: &mut Report<'_>,
    path: &str,
    name: &str,
    item: &'t Item<'s>,
    limit: usize,
) -> Vec<(Range<usize>, &'t DeTable<'s>)> {
    let Some(array) = item.get_ref().as_array() else {
        report.add_with_help(
            item.span(),
            path,
            format!(
                "expected a list of tables, found {}",
                type_of(item.get_ref())
            ),
            format!("write [[{name}]] with two brackets"),
        );
        return Vec::new();
    };
    if array.len() > limit {
        report.add(
            item.span(),
            path,
            format!("at most {limit} are allowed, found {}", array.len()),
        );
        return Vec::new();
    }
    array
        .iter()
        .filter_map(|item| Some((item.span(), table(report, path, item)?)))
        .collect()
}

/// The value as a list, or a mistake.
pub(crate) fn list<'t, 's>(
    report: &mut Report<'_>,
    path: &str,
    item: &'t Item<'s>,
) -> Option<&'t DeArray<'s>> {
    let found = item.get_ref();
    if found.as_array().is_none() {
        report.add(
            item.span(),
            path,
            format!("expected a list, found {}", type_of(found)),
        );
    }
    found.as_array()
}

/// The value as text, or a mistake.
pub(crate) fn text<'t>(report: &mut Report<'_>, path: &str, item: &'t Item<'_>) -> Option<&'t str> {
    let found = item.get_ref();
    if found.as_str().is_none() {
        report.add(
            item.span(),
            path,
            format!("expected a text, found {}", type_of(found)),
        );
    }
    found.as_str()
}

/// Notes a key that nothing knows.
pub(crate) fn unknown_key<'k>(
    report: &mut Report<'_>,
    span: Range<usize>,
    path: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) {
    let help = suggest::did_you_mean(path, known.clone()).or_else(|| {
        let known: Vec<&str> = known.into_iter().collect();
        (known.len() <= 16 && !known.is_empty())
            .then(|| format!("known here: {}", known.join(", ")))
    });
    report.add_with_help(span, path, "this key is not known here", help);
}

/// Joins a path and a key.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
