//! Where a setting means something: a rule that another setting makes irrelevant must not tell two equal trials apart.

use std::fmt;

use super::Key;
use crate::value::Value;

/// What is asked of another setting's value in effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Test {
    /// It is one of these words.
    OneOf(&'static [&'static str]),
    /// It is none of these words.
    NoneOf(&'static [&'static str]),
    /// It has a value (its default is "all").
    Given,
    /// It is a number other than 0.
    NonZero,
    /// It has no value.
    Absent,
    /// It is so.
    Is(bool),
}

/// A test of one other setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// The other setting.
    pub key: Key,
    /// What is asked of it.
    pub test: Test,
}

/// Where a setting means something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Applies {
    /// In every trial.
    Always,
    /// Where all of these hold.
    All(&'static [Condition]),
    /// Where one of these holds.
    Any(&'static [Condition]),
}

impl Condition {
    /// Whether the other setting's value in effect passes; `None` (it means nothing itself, is "all", or is left
    /// out) passes none but [`Test::Absent`].
    #[must_use]
    pub fn holds(&self, value: Option<&Value>) -> bool {
        let word = value.and_then(Value::as_text);
        match self.test {
            Test::OneOf(words) => word.is_some_and(|word| words.contains(&word)),
            Test::NoneOf(words) => word.is_some_and(|word| !words.contains(&word)),
            Test::Given => value.is_some(),
            Test::NonZero => value
                .and_then(Value::as_number)
                .is_some_and(|number| number != 0.0),
            Test::Absent => value.is_none(),
            Test::Is(wanted) => value == Some(&Value::Boolean(wanted)),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.key.setting().name;
        let list = |words: &[&str]| {
            words
                .iter()
                .map(|word| format!("\"{word}\""))
                .collect::<Vec<_>>()
                .join(" or ")
        };
        match self.test {
            Test::OneOf(words) => write!(f, "{name} is {}", list(words)),
            Test::NoneOf(words) => write!(f, "{name} is not {}", list(words)),
            Test::Given => write!(f, "{name} is given"),
            Test::NonZero => write!(f, "{name} is not 0"),
            Test::Absent => write!(f, "{name} is not given"),
            Test::Is(wanted) => write!(f, "{name} is {wanted}"),
        }
    }
}

impl fmt::Display for Applies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (conditions, between) = match self {
            Self::Always => return f.write_str("always"),
            Self::All(conditions) => (conditions, " and "),
            Self::Any(conditions) => (conditions, " or "),
        };
        for (i, condition) in conditions.iter().enumerate() {
            write!(f, "{}{condition}", if i == 0 { "" } else { between })?;
        }
        Ok(())
    }
}
