//! Which weights of a network are trained: those that a mask keeps.

use super::{Unresolved, Values};
use crate::setting::Key;
use crate::trial::MaskSpec;

impl Values {
    pub(super) fn mask(&self) -> Result<MaskSpec, Unresolved> {
        Ok(match self.word(Key::MaskKind)? {
            "none" => MaskSpec::None,
            "random" => MaskSpec::Random {
                density: self.number(Key::MaskDensity)?,
            },
            "magnitude" => MaskSpec::Magnitude(self.pruning()?),
            other => unreachable!("the table does not list the mask `{other}`"),
        })
    }
}
