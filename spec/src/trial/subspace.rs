//! Random subspaces that networks are trained in.

use crate::state::words;

words!(
    /// How the columns of a projection P are drawn. Each has unit length.
    ProjectionKind {
        /// Independent normal numbers.
        Dense = "dense",
        /// One number in √D is not 0, and has a random sign (Li, Hastie & Church 2006).
        Sparse = "sparse",
        /// Stacked blocks H·G·Π·H·B of Walsh-Hadamard transforms, a permutation and two diagonals (Le, Sarlós & Smola 2013).
        Fastfood = "fastfood",
    }
);

/// A random subspace θ = θ₀ + P·z of the D parameters: z has `dim` numbers, starts at 0, and is what is trained
/// (Li, Farkhoor, Liu & Yosinski 2018).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubspaceSpec {
    /// Dimension d, at least 1 and at most D. Of a search, the largest that it may come to.
    pub dim: u32,
    /// How P is drawn.
    pub projection: ProjectionKind,
    /// The search that decides d; `None`: `dim` does.
    pub search: Option<Search>,
}

/// One step of a search for the smallest dimension whose network reaches an accuracy: it tries the middle, on a log scale, of what
/// the step before left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// Which step, from 1.
    pub step: u32,
    /// The smallest dimension that it may come to.
    pub low: u32,
    /// The accuracy, or a share of the accuracy of the network itself.
    pub goal: f64,
    /// Which of the two.
    pub threshold: Threshold,
}

words!(
    /// What the accuracy in a subspace is compared with.
    Threshold {
        /// The accuracy of the same network outside of subspaces.
        Local = "local",
        /// 1.
        Global = "global",
    }
);
