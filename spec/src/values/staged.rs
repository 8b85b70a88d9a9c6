//! Masks that come from trained weights, and subspaces: what stages are made of.

use super::{Unresolved, Values};
use crate::setting::Key;
use crate::trial::{
    Control, ProjectionKind, PruneMethod, PruneScope, Pruning, Scope, Search, SubspaceSpec,
    Threshold,
};

impl Values {
    pub(super) fn pruning(&self) -> Result<Pruning, Unresolved> {
        if self.scope(Key::TrainWeightReuse)? != Scope::Never {
            return Err(Unresolved::Conflict {
                key: Key::TrainWeightReuse,
                message: "a pruned network starts from its own dense one, not from a narrower one",
                help: "write weight_reuse = \"never\" under [train]",
            });
        }
        if self.subspace()?.is_some() {
            return Err(Unresolved::Conflict {
                key: Key::SubspaceDim,
                message: "a pruned network is trained in the whole space, not in a subspace",
                help: "write dim = 0 under [subspace], or leave the mask out",
            });
        }
        let control = Control::from_word(self.word(Key::MaskControl)?)
            .expect("the table lists every control");
        let rate = self.number(Key::MaskRate)?;
        Ok(Pruning {
            level: self.count(Key::MaskLevel)?,
            rate,
            conv_rate: match self.given(Key::MaskConvRate) {
                Some(_) => self.number(Key::MaskConvRate)?,
                None => rate,
            },
            output_rate: self.number(Key::MaskOutputRate)?,
            scope: PruneScope::from_word(self.word(Key::MaskScope)?)
                .expect("the table lists every scope"),
            method: PruneMethod::from_word(self.word(Key::MaskMethod)?)
                .expect("the table lists every method"),
            rewind: self.whole(Key::MaskRewind)?,
            control,
            draw: match control {
                Control::Ticket => 0,
                Control::Reinit | Control::Random | Control::Sign => self.whole(Key::MaskDraw)?,
            },
        })
    }

    pub(super) fn subspace(&self) -> Result<Option<SubspaceSpec>, Unresolved> {
        let dim = self.count(Key::SubspaceDim)?;
        let step = match self.given(Key::SubspaceSearch) {
            Some(_) => Some(self.count(Key::SubspaceSearch)?),
            None => None,
        };
        if step.unwrap_or(dim) == 0 {
            return Ok(None);
        }
        if self.scope(Key::TrainWeightReuse)? != Scope::Never {
            return Err(Unresolved::SubspaceReuse);
        }
        Ok(Some(SubspaceSpec {
            dim,
            projection: ProjectionKind::from_word(self.word(Key::SubspaceProjection)?)
                .expect("the table lists every projection"),
            search: step.map(|step| self.search(step, dim)).transpose()?,
        }))
    }

    fn search(&self, step: u32, dim: u32) -> Result<Search, Unresolved> {
        let low = self.count(Key::SubspaceLow)?;
        if low >= dim {
            return Err(Unresolved::SearchEnds { low, dim });
        }
        Ok(Search {
            step,
            low,
            goal: self.number(Key::SubspaceGoal)?,
            threshold: Threshold::from_word(self.word(Key::SubspaceThreshold)?)
                .expect("the table lists every threshold"),
        })
    }
}
