//! Values on their way between rows and domain types.

use std::str::FromStr;

use sqlx::Row as _;

use super::super::super::StoreError;
use super::Row;

/// A whole number.
pub(super) fn int(row: &Row, column: &str) -> Result<i64, StoreError> {
    Ok(row.try_get(column)?)
}

/// A whole number that may be missing.
pub(super) fn int_or_none(row: &Row, column: &str) -> Result<Option<i64>, StoreError> {
    Ok(row.try_get(column)?)
}

/// A whole number that is not negative and fits.
pub(super) fn unsigned<T: TryFrom<i64>>(row: &Row, column: &str) -> Result<T, StoreError> {
    let found = int(row, column)?;
    T::try_from(found).map_err(|_| odd(column, &found.to_string()))
}

/// A number.
pub(super) fn real(row: &Row, column: &str) -> Result<f64, StoreError> {
    Ok(row.try_get(column)?)
}

/// A text.
pub(super) fn text(row: &Row, column: &str) -> Result<String, StoreError> {
    Ok(row.try_get(column)?)
}

/// A text that may be missing.
pub(super) fn text_or_none(row: &Row, column: &str) -> Result<Option<String>, StoreError> {
    Ok(row.try_get(column)?)
}

/// A digest in hexadecimal.
pub(super) fn digest<T: FromStr>(row: &Row, column: &str) -> Result<T, StoreError> {
    parse(column, &text(row, column)?)
}

/// A digest in hexadecimal that may be missing.
pub(super) fn digest_or_none<T: FromStr>(row: &Row, column: &str) -> Result<Option<T>, StoreError> {
    let found = text_or_none(row, column)?;
    found.map(|text| parse(column, &text)).transpose()
}

fn parse<T: FromStr>(column: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| odd(column, text))
}

/// A word that names a state or the like.
pub(super) fn word<T>(
    row: &Row,
    column: &str,
    from_word: impl Fn(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let found = text(row, column)?;
    from_word(&found).ok_or_else(|| odd(column, &found))
}

/// A JSON document that may be missing.
pub(super) fn json_or_none<T, E>(
    row: &Row,
    column: &str,
    from_json: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, StoreError> {
    let found = text_or_none(row, column)?;
    found
        .map(|text| from_json(&text).map_err(|_| odd(column, &text)))
        .transpose()
}

/// What the schema's checks rule out, unless somebody wrote to the tables by hand.
fn odd(column: &str, found: &str) -> StoreError {
    StoreError::Database(format!(
        "column {column} holds `{found}`, which descent did not write"
    ))
}

/// A list as the JSON that the statements take.
pub(super) fn list<T: serde::Serialize>(items: &[T]) -> String {
    serde_json::to_string(items).expect("numbers and texts always serialise")
}

/// A number on its way into a column: the database knows signed ones only.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
