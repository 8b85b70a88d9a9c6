//! One statement, and only one: SQLite would run what follows a semicolon.

use crate::store::StoreError;

/// The query as the inner part of a `SELECT`, where nothing but a query fits.
pub(super) fn wrap(sql: &str) -> String {
    // The line break ends a comment on the last line.
    format!("SELECT * FROM (\n{sql}\n) AS query")
}

/// The text without the semicolon at its end.
///
/// # Errors
/// When something follows a semicolon, by SQLite's rules of what is a string and what a comment.
pub(super) fn single(sql: &str) -> Result<&str, StoreError> {
    let refuse = |why: &str| Err(StoreError::Query(why.to_owned()));
    if sql.contains('\0') {
        return refuse("a query holds no NUL character");
    }
    let end = match semicolon(sql) {
        None => sql.len(),
        Some(at) if is_blank(&sql[at + 1..]) => at,
        Some(_) => return refuse("one query at a time: something follows the semicolon"),
    };
    if is_blank(&sql[..end]) {
        return refuse("the query is empty");
    }
    Ok(&sql[..end])
}

/// Where the first semicolon is that ends a statement.
fn semicolon(sql: &str) -> Option<usize> {
    let mut at = 0;
    while at < sql.len() {
        match token(&sql[at..]) {
            (b';', _) => return Some(at),
            (_, length) => at += length,
        }
    }
    None
}

/// Whether there is nothing but white space, comments and semicolons.
fn is_blank(sql: &str) -> bool {
    let mut at = 0;
    while at < sql.len() {
        match token(&sql[at..]) {
            (b' ' | b'\t' | b'\n' | b'\r' | 0x0c | b';' | b'-', length)
                if length > 1 || !sql[at..].starts_with('-') =>
            {
                at += length;
            }
            (b'/', length) if length > 1 => at += length,
            _ => return false,
        }
    }
    true
}

/// The first byte of a text, and how long the string, the quoted name or the comment is that it opens; 1 if none.
fn token(sql: &str) -> (u8, usize) {
    let bytes = sql.as_bytes();
    let until = |from: usize, end: &str| {
        sql[from..]
            .find(end)
            .map_or(sql.len(), |at| from + at + end.len())
    };
    let length = match bytes {
        [b'\'', ..] => until(1, "'"),
        [b'"', ..] => until(1, "\""),
        [b'`', ..] => until(1, "`"),
        [b'[', ..] => until(1, "]"),
        [b'-', b'-', ..] => until(2, "\n"),
        [b'/', b'*', ..] => until(2, "*/"),
        _ => sql.chars().next().map_or(1, char::len_utf8),
    };
    (bytes[0], length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_passes_and_loses_its_semicolon() {
        for (sql, inner) in [
            ("SELECT 1", "SELECT 1"),
            ("SELECT 1;", "SELECT 1"),
            ("SELECT 1 ; -- done; really\n /* ; */ ;", "SELECT 1 "),
            (
                "SELECT ';', \"a;b\", `;`, [;] -- ;",
                "SELECT ';', \"a;b\", `;`, [;] -- ;",
            ),
            ("SELECT 'it''s; fine'", "SELECT 'it''s; fine'"),
            ("SELECT 'é;' /* ; */", "SELECT 'é;' /* ; */"),
            ("SELECT 3 - 1", "SELECT 3 - 1"),
        ] {
            assert_eq!(single(sql).ok(), Some(inner), "{sql}");
        }
    }

    #[test]
    fn a_second_statement_is_refused_however_it_is_hidden() {
        for sql in [
            "SELECT 1; DROP TABLE trial",
            "SELECT 1); DELETE FROM trial; SELECT * FROM (SELECT 1",
            "SELECT 'a'';'; ATTACH 'x' AS y",
            "-- '\nSELECT 1; ATTACH 'x' AS y",
            "/* ' */ SELECT 1; VACUUM INTO 'x' -- '",
            "SELECT 1; -",
            "",
            " ; -- nothing",
            "SELECT 1\0; DROP TABLE trial",
        ] {
            assert!(single(sql).is_err(), "{sql}");
        }
    }
}
