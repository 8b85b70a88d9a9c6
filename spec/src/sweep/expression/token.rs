//! The words of a condition.

use std::ops::Range;

use super::parse::Flaw;

/// One word or sign.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name of a setting, or a keyword.
    Name(String),
    /// A number.
    Number(f64),
    /// A text in quotes.
    Text(String),
    /// `==`, `(` and the like.
    Sign(&'static str),
}

/// Two-letter signs first, so that `<=` is not read as `<`.
const SIGNS: [&str; 8] = ["==", "!=", "<=", ">=", "<", ">", "(", ")"];
/// What people write out of habit, and what is written here.
const HABITS: [(&str, &str); 5] = [
    ("&&", "and"),
    ("||", "or"),
    ("!", "not"),
    ("=", "=="),
    ("≠", "!="),
];

/// Splits a condition into tokens, each with its bytes.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Flaw> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            found.push((Token::Sign(sign), at..at + sign.len()));
            at += sign.len();
        } else if let Some((habit, right)) =
            HABITS.iter().find(|(habit, _)| rest.starts_with(habit))
        {
            return Err(
                Flaw::new(at..at + habit.len(), format!("`{habit}` is not known here"))
                    .help(format!("write `{right}`")),
            );
        } else if first == '"' || first == '\'' {
            let end = rest[1..].find(first).ok_or_else(|| {
                Flaw::new(at..text.len(), "this text has no closing quote".to_owned())
            })?;
            found.push((Token::Text(rest[1..=end].to_owned()), at..at + end + 2));
            at += end + 2;
        } else if first.is_ascii_digit() || matches!(first, '+' | '-' | '.') {
            let end = number_end(rest);
            let number = rest[..end].replace('_', "").parse::<f64>().ok();
            let number = number.filter(|number| number.is_finite()).ok_or_else(|| {
                Flaw::new(
                    at..at + end.max(first.len_utf8()),
                    format!("`{}` is not a number", &rest[..end]),
                )
            })?;
            found.push((Token::Number(number), at..at + end));
            at += end;
        } else if first.is_ascii_alphabetic() {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.')))
                .unwrap_or(rest.len());
            found.push((Token::Name(rest[..end].to_owned()), at..at + end));
            at += end;
        } else {
            return Err(Flaw::new(
                at..at + first.len_utf8(),
                format!("`{first}` is not known here"),
            ));
        }
    }
    Ok(found)
}

/// Where a number that starts the text ends: digits, points, underscores, and a sign at the start or after an exponent's `e`.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 1;
    while end < bytes.len() {
        let goes_on = bytes[end].is_ascii_alphanumeric()
            || matches!(bytes[end], b'.' | b'_')
            || (matches!(bytes[end], b'+' | b'-') && matches!(bytes[end - 1], b'e' | b'E'));
        if !goes_on {
            break;
        }
        end += 1;
    }
    end
}
