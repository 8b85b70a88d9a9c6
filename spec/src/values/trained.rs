//! Which numbers of a network are trained: those that a mask keeps, or coordinates in a subspace.

use super::{Unresolved, Values};
use crate::setting::Key;
use crate::trial::{MaskSpec, ProjectionKind, Scope, SubspaceSpec};

impl Values {
    pub(super) fn mask(&self) -> Result<MaskSpec, Unresolved> {
        Ok(match self.word(Key::MaskKind)? {
            "none" => MaskSpec::None,
            "random" => MaskSpec::Random {
                density: self.number(Key::MaskDensity)?,
            },
            other => unreachable!("the table does not list the mask `{other}`"),
        })
    }

    pub(super) fn subspace(&self) -> Result<Option<SubspaceSpec>, Unresolved> {
        let dim = self.count(Key::SubspaceDim)?;
        if dim == 0 {
            return Ok(None);
        }
        if self.scope(Key::TrainWeightReuse)? != Scope::Never {
            return Err(Unresolved::SubspaceReuse);
        }
        Ok(Some(SubspaceSpec {
            dim,
            projection: ProjectionKind::from_word(self.word(Key::SubspaceProjection)?)
                .expect("the table lists every projection"),
        }))
    }
}
