//! What can be told of a model by its description alone.

use super::{Init, ModelSpec};
use crate::architecture::{self, Architecture, Layer, TooSmall};
use crate::closed::Closed;
use crate::data::Image;
use crate::state::words;

words!(
    /// How the random features are made.
    FeatureKind {
        /// N/2 cosines and N/2 sines of ⟨v, x⟩, v ~ N(0, bandwidth⁻² I), over √(N/2) (Rahimi & Recht 2007).
        Fourier = "fourier-features",
        /// max(⟨v, x⟩, 0) with v uniform on the unit sphere, over √N.
        Relu = "relu-features",
    }
);

/// Why a convolution network cannot look at samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blind {
    /// They are no images.
    #[error("{0} looks at images, and these samples are none")]
    NoImages(Architecture),
    /// They are too small.
    #[error(transparent)]
    TooSmall(TooSmall),
}

/// Whether models of this kind, by the word of `model.kind`, are solved for, not trained by steps.
#[must_use]
pub fn is_closed_form(kind: &str) -> bool {
    FeatureKind::from_word(kind).is_some() || Closed::WORDS.contains(&kind)
}

impl ModelSpec {
    /// The word of `model.kind`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Mlp { .. } | Self::NormalisedMlp { .. } => "mlp",
            Self::Conv { architecture, .. } => architecture.word(),
            Self::Features { kind, .. } => kind.word(),
            Self::Closed(closed) => closed.word(),
        }
    }

    /// λ of ‖Φa − y‖² + λ‖a‖²; 0 where nothing is solved for with one.
    #[must_use]
    pub const fn ridge(&self) -> f64 {
        match self {
            Self::Features { ridge, .. } => *ridge,
            Self::Closed(closed) => closed.ridge(),
            Self::Mlp { .. } | Self::NormalisedMlp { .. } | Self::Conv { .. } => 0.0,
        }
    }

    /// Whether it is solved for, not trained by steps.
    #[must_use]
    pub const fn is_closed_form(&self) -> bool {
        match self {
            Self::Mlp { .. } | Self::NormalisedMlp { .. } | Self::Conv { .. } => false,
            Self::Features { .. } | Self::Closed(_) => true,
        }
    }

    /// The layers of a network that is described layer by layer, which plain fully connected ones and closed forms are not.
    ///
    /// # Errors
    /// When the samples are not images, or images too small for it.
    #[must_use]
    pub fn layers(
        &self,
        inputs: u32,
        image: Option<Image>,
        outputs: u32,
    ) -> Option<Result<Vec<Layer>, Blind>> {
        match self {
            Self::NormalisedMlp { hidden, .. } => {
                Some(Ok(architecture::normalised_mlp(hidden, inputs, outputs)))
            }
            Self::Conv {
                architecture,
                width,
                batch_norm,
                ..
            } => Some(match image {
                Some(image) => architecture
                    .layers(*width, *batch_norm, image, outputs)
                    .map_err(Blind::TooSmall),
                None => Err(Blind::NoImages(*architecture)),
            }),
            Self::Mlp { .. } | Self::Features { .. } | Self::Closed(_) => None,
        }
    }

    /// A fully connected network of `depth` hidden layers of `width` units.
    #[must_use]
    pub fn uniform(width: u32, depth: u32, init: Init) -> Self {
        Self::Mlp {
            hidden: vec![width; depth as usize],
            init,
        }
    }

    /// Units of the first hidden layer, or number of random features; 0 where the model has no width to choose.
    #[must_use]
    pub fn width(&self) -> u32 {
        match self {
            Self::Mlp { hidden, .. } | Self::NormalisedMlp { hidden, .. } => {
                hidden.first().copied().unwrap_or(0)
            }
            Self::Conv { width, .. } | Self::Features { width, .. } => *width,
            Self::Closed(_) => 0,
        }
    }

    /// Number of hidden layers with weights; random features have none.
    #[must_use]
    pub fn depth(&self) -> u32 {
        match self {
            Self::Mlp { hidden, .. } | Self::NormalisedMlp { hidden, .. } => {
                u32::try_from(hidden.len()).unwrap_or(u32::MAX)
            }
            Self::Conv { architecture, .. } => architecture.depth(),
            Self::Features { .. } | Self::Closed(_) => 0,
        }
    }
}
