//! Settings: every number, word and switch that decides a trial's results, in one table.
//!
//! The parser of sweep files, dotted overrides, the JSON schema, the reference in the docs, the canonical form and the
//! identity all read this table and nothing else.

mod applies;
mod bounds;
mod kind;
mod meaning;
mod table;

pub use applies::{Applies, Condition, Test};
pub use kind::{Bound, Kind, MAX_LAYERS, MAX_UNITS, Unfit, layers};
pub use table::{Key, SETTINGS};

use crate::value::Value;

/// What holds where a setting is not given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fallback {
    /// It must be given wherever it applies.
    Required,
    /// It must be given where this holds of another setting; elsewhere that setting has a default for it.
    RequiredWhere(&'static Condition),
    /// Everything that there is.
    All,
    /// Nothing: other settings say the same in another way.
    Absent,
    /// This switch.
    Boolean(bool),
    /// This whole number.
    Integer(u64),
    /// This number.
    Float(f64),
    /// This word.
    Word(&'static str),
}

impl Fallback {
    /// The default as a value; `None` where one must be given, and for [`Fallback::All`] and [`Fallback::Absent`].
    #[must_use]
    pub const fn value(self) -> Option<Value> {
        match self {
            Self::Required | Self::RequiredWhere(_) | Self::All | Self::Absent => None,
            Self::Boolean(value) => Some(Value::Boolean(value)),
            Self::Integer(value) => Some(Value::Integer(value)),
            Self::Float(value) => Some(Value::Float(value)),
            Self::Word(value) => Some(Value::Word(value)),
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Which one.
    pub key: Key,
    /// Its dotted name.
    pub name: &'static str,
    /// A shorter name that axes and conditions may use.
    pub alias: Option<&'static str>,
    /// Type and bounds.
    pub kind: Kind,
    /// What holds where it is not given. Never changes: identities leave defaults out.
    pub fallback: Fallback,
    /// Unit, or empty.
    pub unit: &'static str,
    /// Where it means something.
    pub applies: Applies,
    /// Whether it is part of a trial's identity. (A data set's name is not: its content is.)
    pub identifies: bool,
    /// Whether an axis may sweep it.
    pub sweepable: bool,
    /// One line about its meaning.
    pub doc: &'static str,
}

impl Setting {
    /// The setting of a dotted name or a short one.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        SETTINGS
            .iter()
            .find(|setting| setting.name == name || setting.alias == Some(name))
    }

    /// The name that people use for it in axes: the short one, where there is one.
    #[must_use]
    pub fn short(&self) -> &'static str {
        self.alias.unwrap_or(self.name)
    }
}

impl Key {
    /// The setting's row.
    #[must_use]
    pub fn setting(self) -> &'static Setting {
        &SETTINGS[self as usize]
    }

    /// Whether it is a seed, which can be counted: `{ count = 5 }`.
    #[must_use]
    pub const fn is_seed(self) -> bool {
        matches!(self, Self::Seed | Self::DataSeed | Self::TrainOrderSeed)
    }
}
