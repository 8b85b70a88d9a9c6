//! Types and bounds of settings, and the one way from raw input to a checked value.

use std::fmt;

use crate::robustness::{RobustnessSpec, epochs};
use crate::value::Value;

/// An end of an interval of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The end belongs to it.
    Closed(f64),
    /// The end does not.
    Open(f64),
}

/// Type and bounds of a setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number between two others, both included.
    Integer {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// A finite number.
    Float {
        /// Lower end.
        min: Bound,
        /// Upper end.
        max: Bound,
    },
    /// One of some words.
    Word(&'static [&'static str]),
    /// Text that is not empty, of at most so many bytes.
    Text {
        /// Most bytes.
        max: usize,
    },
    /// Units of hidden layers, as in `300-100`.
    Layers,
    /// Epochs, ascending, as in `0,1,10`.
    Epochs,
}

/// Most hidden layers of a network.
pub const MAX_LAYERS: usize = 32;
/// Most units of one layer.
pub const MAX_UNITS: u64 = 10_000_000;

/// The numbers of a text like `300-100`, if it is one and in its one spelling.
#[must_use]
pub fn layers(text: &str) -> Option<Vec<u32>> {
    let units = |text: &str| {
        let units: u32 = text.parse().ok()?;
        let plain = text.starts_with(|first: char| first.is_ascii_digit() && first != '0');
        (plain && u64::from(units) <= MAX_UNITS).then_some(units)
    };
    let layers: Vec<u32> = text.split('-').map(units).collect::<Option<_>>()?;
    (layers.len() <= MAX_LAYERS).then_some(layers)
}

/// Why a value does not fit a setting: what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct Unfit {
    /// Type and bounds, in words.
    pub expected: String,
    /// What was there.
    pub found: String,
}

/// 2⁶³ as a float: the first whole number that a sweep file cannot hold.
const INTEGER_END: f64 = 9_223_372_036_854_775_808.0;

impl Kind {
    fn unfit(self, found: &dyn fmt::Display) -> Unfit {
        Unfit {
            expected: self.to_string(),
            found: found.to_string(),
        }
    }

    /// A whole number, as input has it.
    ///
    /// # Errors
    /// When the setting is of another type, or the number lies outside its bounds.
    pub fn integer(self, value: i64) -> Result<Value, Unfit> {
        match self {
            Self::Integer { min, max } => u64::try_from(value)
                .ok()
                .filter(|value| (min..=max).contains(value))
                .map(Value::Integer)
                .ok_or_else(|| self.unfit(&value)),
            #[expect(clippy::cast_precision_loss, reason = "the number is meant as a float")]
            Self::Float { .. } => self.float(value as f64).map_err(|_| self.unfit(&value)),
            Self::Boolean | Self::Word(_) | Self::Text { .. } | Self::Layers | Self::Epochs => {
                Err(self.unfit(&value))
            }
        }
    }

    /// A number with a point or an exponent, as input has it. For a whole-number setting, `1e3` is 1000 and `0.5` is a mistake.
    ///
    /// # Errors
    /// When the setting is of another type, or the number lies outside its bounds or is not finite.
    pub fn float(self, value: f64) -> Result<Value, Unfit> {
        let unfit = || self.unfit(&format_args!("{value:?}"));
        match self {
            Self::Integer { .. } => {
                if value.fract() != 0.0 || !(0.0..INTEGER_END).contains(&value) {
                    return Err(unfit());
                }
                #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
                self.integer(value as i64).map_err(|_| unfit())
            }
            Self::Float { min, max } => {
                let above = match min {
                    Bound::Closed(end) => value >= end,
                    Bound::Open(end) => value > end,
                };
                let below = match max {
                    Bound::Closed(end) => value <= end,
                    Bound::Open(end) => value < end,
                };
                if value.is_finite() && above && below {
                    Ok(Value::Float(if value == 0.0 { 0.0 } else { value })) // −0 is 0
                } else {
                    Err(unfit())
                }
            }
            Self::Boolean | Self::Word(_) | Self::Text { .. } | Self::Layers | Self::Epochs => {
                Err(unfit())
            }
        }
    }

    /// A switch, as input has it.
    ///
    /// # Errors
    /// When the setting is of another type.
    pub fn boolean(self, value: bool) -> Result<Value, Unfit> {
        if self == Self::Boolean {
            Ok(Value::Boolean(value))
        } else {
            Err(self.unfit(&value))
        }
    }

    /// Text, as input has it.
    ///
    /// # Errors
    /// When the setting is of another type, does not know the word, or the text is empty or too long.
    pub fn text(self, value: &str) -> Result<Value, Unfit> {
        let found = || {
            let start: String = value.chars().take(80).collect();
            format!(
                "\"{start}\"{}",
                if start.len() < value.len() { "…" } else { "" }
            )
        };
        match self {
            Self::Word(words) => words
                .iter()
                .find(|word| **word == value)
                .map(|word| Value::Word(word))
                .ok_or_else(|| self.unfit(&found())),
            Self::Text { max } if !value.is_empty() && value.len() <= max => {
                Ok(Value::Text(value.into()))
            }
            Self::Layers if layers(value).is_some() => Ok(Value::Text(value.into())),
            Self::Epochs if epochs(value).is_some() => Ok(Value::Text(value.into())),
            Self::Text { .. }
            | Self::Epochs
            | Self::Layers
            | Self::Boolean
            | Self::Integer { .. }
            | Self::Float { .. } => Err(self.unfit(&found())),
        }
    }

    /// A value of JSON.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn json(self, value: &serde_json::Value) -> Result<Value, Unfit> {
        match value {
            serde_json::Value::Bool(value) => self.boolean(*value),
            serde_json::Value::String(value) => self.text(value),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => self.integer(whole),
                (None, Some(float)) => self.float(float),
                (None, None) => Err(self.unfit(number)),
            },
            serde_json::Value::Null => Err(self.unfit(&"null")),
            serde_json::Value::Array(_) => Err(self.unfit(&"an array")),
            serde_json::Value::Object(_) => Err(self.unfit(&"an object")),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("true or false"),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Float { min, max } => {
                f.write_str("a number ")?;
                match min {
                    Bound::Closed(end) => write!(f, "from {end:?}")?,
                    Bound::Open(end) => write!(f, "above {end:?}")?,
                }
                match max {
                    Bound::Closed(end) => write!(f, " to {end:?}"),
                    Bound::Open(end) => write!(f, " to below {end:?}"),
                }
            }
            Self::Word(words) => {
                for (i, word) in words.iter().enumerate() {
                    let between = match i {
                        0 => "",
                        _ if i + 1 == words.len() => " or ",
                        _ => ", ",
                    };
                    write!(f, "{between}\"{word}\"")?;
                }
                Ok(())
            }
            Self::Text { max } => write!(f, "a text of 1 to {max} bytes"),
            Self::Layers => write!(
                f,
                "1 to {MAX_LAYERS} whole numbers from 1 to {MAX_UNITS} with hyphens between, such as \"300-100\""
            ),
            Self::Epochs => write!(
                f,
                "1 to {} whole numbers, ascending, with commas and no spaces between, such as \"0,1,10\"",
                RobustnessSpec::MOST
            ),
        }
    }
}
