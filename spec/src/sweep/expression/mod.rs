//! Conditions of `when`: comparisons of settings with numbers, words and switches, joined by and, or, not.

mod parse;
mod token;

pub use parse::MAX_CONDITION_BYTES;
pub(crate) use parse::parse;

use crate::setting::Key;
use crate::value::Value;

/// A condition on the settings of a point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    /// One of the two holds.
    Or(Box<Self>, Box<Self>),
    /// Both hold.
    And(Box<Self>, Box<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// A comparison.
    Compare(Operand, Comparison, Operand),
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    /// The value of a setting.
    Setting(Key),
    /// A number.
    Number(f64),
    /// A word or text.
    Text(String),
    /// A switch.
    Boolean(bool),
}

/// How two operands are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Condition {
    /// Whether it holds. `value` tells a setting's value at the point; without one ("all" of unknown extent, or nothing), only
    /// `!=` holds. Numbers are compared as floats.
    pub(crate) fn holds(&self, value: &dyn Fn(Key) -> Option<Value>) -> bool {
        match self {
            Self::Or(left, right) => left.holds(value) || right.holds(value),
            Self::And(left, right) => left.holds(value) && right.holds(value),
            Self::Not(inner) => !inner.holds(value),
            Self::Compare(left, comparison, right) => {
                compare(&left.at(value), *comparison, &right.at(value))
            }
        }
    }
}

impl Operand {
    fn at(&self, value: &dyn Fn(Key) -> Option<Value>) -> Option<Value> {
        match self {
            Self::Setting(key) => value(*key),
            Self::Number(number) => Some(Value::Float(*number)),
            Self::Text(text) => Some(Value::Text(text.as_str().into())),
            Self::Boolean(boolean) => Some(Value::Boolean(*boolean)),
        }
    }
}

fn compare(left: &Option<Value>, comparison: Comparison, right: &Option<Value>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return comparison == Comparison::NotEqual;
    };
    if let (Some(left), Some(right)) = (left.as_number(), right.as_number()) {
        return match comparison {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
        };
    }
    let equal = match (left.as_text(), right.as_text()) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    };
    equal == (comparison == Comparison::Equal)
}
