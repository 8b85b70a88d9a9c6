//! A trial's settings in canonical form: what is stored, sent and hashed.

use crate::setting::{Key, Setting, Unfit};
use crate::trial::TrialSpec;
use crate::value::Value;
use crate::values::{Unresolved, Values};

/// Settings of one trial, sorted by name, without defaults and without what means nothing beside the others.
///
/// Two trials with equal `Params` and equal data do the same arithmetic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Params(Vec<(Key, Value)>);

/// A text that is not the settings of a trial.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidParams {
    /// It is not a JSON object.
    #[error("settings are a JSON object of names and values: {0}")]
    Syntax(String),
    /// No setting has this name.
    #[error("there is no setting `{0}`; a newer descent may know it")]
    Unknown(String),
    /// A value does not fit its setting.
    #[error("`{name}`: {unfit}")]
    Unfit {
        /// The setting.
        name: &'static str,
        /// What was expected.
        unfit: Unfit,
    },
    /// The settings describe no trial.
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
}

impl Params {
    /// The canonical form of settings as given.
    #[must_use]
    pub fn new(values: &Values) -> Self {
        Self(values.canonical())
    }

    /// Reads a JSON object of dotted names and values, canonical or not.
    ///
    /// # Errors
    /// When it is no such object, a name is unknown, or a value does not fit.
    pub fn from_json(text: &str) -> Result<Self, InvalidParams> {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|error| InvalidParams::Syntax(error.to_string()))?;
        let mut values = Values::default();
        for (name, value) in &object {
            let setting = Setting::find(name)
                .filter(|setting| setting.name == name)
                .ok_or_else(|| InvalidParams::Unknown(name.clone()))?;
            let value = setting
                .kind
                .json(value)
                .map_err(|unfit| InvalidParams::Unfit {
                    name: setting.name,
                    unfit,
                })?;
            values.set(setting.key, value);
        }
        Ok(Self::new(&values))
    }

    /// Canonical JSON: sorted names, defaults left out, no spaces, floats in their shortest form that reads back exactly.
    #[must_use]
    pub fn to_json(&self) -> String {
        let object: serde_json::Map<String, serde_json::Value> = self
            .0
            .iter()
            .map(|(key, value)| (key.setting().name.to_owned(), value.to_json()))
            .collect();
        serde_json::Value::Object(object).to_string()
    }

    /// The trial that these settings describe.
    ///
    /// # Errors
    /// When a setting without a default is missing, or the settings contradict each other.
    pub fn resolve(&self) -> Result<TrialSpec, InvalidParams> {
        Ok(self.values().resolve()?)
    }

    /// The settings by key.
    #[must_use]
    pub fn values(&self) -> Values {
        let mut values = Values::default();
        for (key, value) in &self.0 {
            values.set(*key, value.clone());
        }
        values
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &Value)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }
}
