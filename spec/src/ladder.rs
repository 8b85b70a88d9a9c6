//! Pruning ladders: how many weights of each layer are left at which level, exact to the weight.

use crate::data::Image;
use crate::shape;
use crate::trial::{MaskSpec, ModelSpec, PruneScope, Pruning};

/// Weights of one layer, biases not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerWeights {
    /// How many.
    pub weights: u64,
    /// Which rate holds for it.
    pub part: Part,
}

/// Parts of a network that are pruned at rates of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A hidden dense layer.
    Dense,
    /// A convolution.
    Convolution,
    /// The output layer.
    Output,
}

/// The layers of a network in the order of the forward pass; none for models that have no layers.
#[must_use]
pub fn layers(
    model: &ModelSpec,
    inputs: u32,
    image: Option<Image>,
    outputs: u32,
) -> Vec<LayerWeights> {
    match model {
        ModelSpec::Mlp { hidden, .. } => {
            let mut below = u64::from(inputs);
            let units = hidden.iter().copied().chain([outputs]).enumerate();
            let layer = |(index, units): (usize, u32)| {
                let weights = below.saturating_mul(units.into());
                below = units.into();
                let part = if index == hidden.len() {
                    Part::Output
                } else {
                    Part::Dense
                };
                LayerWeights { weights, part }
            };
            units.map(layer).collect()
        }
        ModelSpec::NormalisedMlp { .. } | ModelSpec::Conv { .. } => {
            let layers = shape::layers(model, inputs, image, outputs);
            let last = layers.len().saturating_sub(1);
            let layer = |(index, layer): (usize, &crate::architecture::Layer)| LayerWeights {
                weights: layer.weights(),
                part: match (index == last, layer.is_convolution) {
                    (true, _) => Part::Output,
                    (false, true) => Part::Convolution,
                    (false, false) => Part::Dense,
                },
            };
            layers.iter().enumerate().map(layer).collect()
        }
        ModelSpec::Features { .. } | ModelSpec::Closed(_) => Vec::new(),
    }
}

/// What is left after one more level of pruning: a share of what was, rounded to whole weights.
fn pruned(left: u64, rate: f64) -> u64 {
    left - ((left as f64 * rate).round() as u64).min(left)
}

/// How many weights of a part are left of so many, after `level` levels.
fn after(weights: u64, rate: f64, level: u32) -> u64 {
    (0..level).fold(weights, |left, _| pruned(left, rate))
}

/// Weights that are judged together, and how many of them are left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The layers, by number.
    pub layers: Vec<usize>,
    /// Weights left in them.
    pub kept: u64,
}

impl Pruning {
    const fn rate(&self, part: Part) -> f64 {
        match part {
            Part::Dense => self.rate,
            Part::Convolution => self.conv_rate,
            Part::Output => self.output_rate,
        }
    }

    /// The pools of weights of which the smallest are pruned: every layer for itself, or all hidden layers together, each counted
    /// down by the rate of its own part.
    #[must_use]
    pub fn pools(&self, layers: &[LayerWeights]) -> Vec<Pool> {
        let own = |(index, layer): (usize, &LayerWeights)| Pool {
            layers: vec![index],
            kept: after(layer.weights, self.rate(layer.part), self.level),
        };
        let pools = layers.iter().enumerate().map(own);
        match self.scope {
            PruneScope::Layer => pools.collect(),
            PruneScope::Global => {
                let is_hidden = |pool: &Pool| layers[pool.layers[0]].part != Part::Output;
                let (hidden, output): (Vec<Pool>, Vec<Pool>) = pools.partition(is_hidden);
                let together = Pool {
                    kept: hidden.iter().map(|pool| pool.kept).sum(),
                    layers: hidden.into_iter().flat_map(|pool| pool.layers).collect(),
                };
                [together].into_iter().chain(output).collect()
            }
        }
    }
}

impl MaskSpec {
    /// Share of weights kept, of a network with these layers.
    #[must_use]
    pub fn density(&self, layers: &[LayerWeights]) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Random { density } => *density,
            Self::Magnitude(pruning) => {
                let kept: u64 = pruning.pools(layers).iter().map(|pool| pool.kept).sum();
                let all: u64 = layers.iter().map(|layer| layer.weights).sum();
                kept as f64 / all.max(1) as f64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Control, Init, PruneMethod};

    fn lenet() -> Vec<LayerWeights> {
        let model = ModelSpec::Mlp {
            hidden: vec![300, 100],
            init: Init::GlorotNormal,
        };
        layers(&model, 784, None, 10)
    }

    fn pruning(level: u32, scope: PruneScope) -> Pruning {
        Pruning {
            level,
            rate: 0.2,
            conv_rate: 0.2,
            output_rate: 0.1,
            scope,
            method: PruneMethod::Iterative,
            rewind: 0,
            control: Control::Ticket,
            draw: 0,
        }
    }

    #[test]
    fn the_published_ladder_of_the_network_with_300_and_100_units() {
        let percent = |level| {
            let mask = MaskSpec::Magnitude(pruning(level, PruneScope::Layer));
            (mask.density(&lenet()) * 1000.0).round() / 10.0
        };
        // Frankle & Carbin 2019: labels of the figures, in percent.
        let published = [
            (1, 80.0),
            (2, 64.1),
            (3, 51.3),
            (5, 32.9),
            (7, 21.1),
            (9, 13.5),
            (11, 8.7),
            (13, 5.6),
            (15, 3.6),
            (16, 2.9),
            (18, 1.9),
            (20, 1.2),
        ];
        for (level, label) in published {
            assert_eq!(percent(level), label, "level {level}");
        }
    }

    #[test]
    fn counts_are_whole_weights() {
        let kept = |level, scope| -> Vec<u64> {
            let pools = pruning(level, scope).pools(&lenet());
            pools.iter().map(|pool| pool.kept).collect()
        };
        assert_eq!(kept(0, PruneScope::Layer), [235_200, 30_000, 1000]);
        assert_eq!(kept(1, PruneScope::Layer), [188_160, 24_000, 900]);
        // 120,422.4 and 12,288 and 729 − 72.9: rounded at every level, not at the end.
        assert_eq!(kept(3, PruneScope::Layer), [120_422, 15_360, 729]);
        assert_eq!(kept(4, PruneScope::Layer), [96_338, 12_288, 656]);
        assert_eq!(kept(4, PruneScope::Global), [96_338 + 12_288, 656]);
    }
}
