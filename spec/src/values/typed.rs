//! Values in effect, by the types that the table gives them.

use super::{Unresolved, Values};
use crate::setting::{Fallback, Key};
use crate::trial::Scope;
use crate::value::Value;

impl Values {
    pub(super) fn required(&self, key: Key) -> Result<Value, Unresolved> {
        self.or_default(key)
            .ok_or(Unresolved::Missing(key.setting().name))
    }

    pub(super) fn whole(&self, key: Key) -> Result<u64, Unresolved> {
        match self.required(key)? {
            Value::Integer(value) => Ok(value),
            other => unreachable!(
                "the table makes `{}` whole, not {other}",
                key.setting().name
            ),
        }
    }

    pub(super) fn count(&self, key: Key) -> Result<u32, Unresolved> {
        self.whole(key)
            .map(|value| u32::try_from(value).expect("the table bounds counts"))
    }

    pub(super) fn optional_count(&self, key: Key) -> Result<Option<u32>, Unresolved> {
        debug_assert_eq!(key.setting().fallback, Fallback::All);
        if self.given(key).is_some() {
            self.count(key).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(super) fn number(&self, key: Key) -> Result<f64, Unresolved> {
        match self.required(key)? {
            Value::Float(value) => Ok(value),
            other => unreachable!(
                "the table makes `{}` a number, not {other}",
                key.setting().name
            ),
        }
    }

    pub(super) fn word(&self, key: Key) -> Result<&'static str, Unresolved> {
        match self.required(key)? {
            Value::Word(value) => Ok(value),
            other => unreachable!(
                "the table makes `{}` a word, not {other}",
                key.setting().name
            ),
        }
    }

    pub(super) fn scope(&self, key: Key) -> Result<Scope, Unresolved> {
        self.word(key)
            .map(|word| Scope::from_word(word).expect("the table lists every scope"))
    }
}
