//! One value of a setting: what a sweep file gives, what an axis sweeps, what an identity covers.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A checked value. Floats are finite and never −0, so that equal values have equal bits.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number, at least 0.
    Integer(u64),
    /// A finite number; not −0.
    Float(f64),
    /// One of the words that a setting allows.
    Word(&'static str),
    /// Free text.
    Text(Arc<str>),
}

// No value is NaN (see the constructors in `setting`), so equality is reflexive.
impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Boolean(value) => value.hash(state),
            Self::Integer(value) => value.hash(state),
            Self::Float(value) => value.to_bits().hash(state),
            Self::Word(value) => value.hash(state),
            Self::Text(value) => value.hash(state),
        }
    }
}

impl Value {
    /// The value as JSON: shortest decimal form that reads back to the same bits.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Boolean(value) => (*value).into(),
            Self::Integer(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Word(value) => (*value).into(),
            Self::Text(value) => (&**value).into(),
        }
    }

    /// The value as a number, where it is one. Integers beyond 2⁵³ lose their last digits.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "documented; used to compare and to sort"
    )]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Boolean(_) | Self::Word(_) | Self::Text(_) => None,
        }
    }

    /// The value as text, where it is a word or free text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Word(value) => Some(value),
            Self::Text(value) => Some(value),
            Self::Boolean(_) | Self::Integer(_) | Self::Float(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Word(value) => write!(f, "\"{value}\""),
            Self::Text(value) => write!(f, "{value:?}"),
        }
    }
}
