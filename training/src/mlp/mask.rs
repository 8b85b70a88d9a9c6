//! Which weights of a network are kept. The others are 0 from the start, and no step moves them.

use descent_spec::trial::MaskSpec;

use super::dense::Dense;
use super::plan::Plan;
use crate::optimizer::keep;
use crate::stream::Stream;

/// 1 for every weight that is kept and 0 for the others, in the shapes of the layers; biases are always kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mask {
    layers: Vec<Dense>,
}

impl Mask {
    /// What a plan asks for; `None` where every weight is kept. Each layer draws from its own stream, in PyTorch's order of
    /// weights, round(density · weights) of them without repeats.
    pub(crate) fn draw(plan: &Plan) -> Option<Self> {
        let MaskSpec::Random { density } = plan.mask else {
            return None;
        };
        let draw = |(layer, (rows, columns)): (usize, (usize, usize))| {
            let chosen = chosen(plan.seed, layer, (rows - 1) * columns, density);
            Dense::from_torch(&chosen, &vec![1.0; columns])
        };
        Some(Self {
            layers: plan.shapes().into_iter().enumerate().map(draw).collect(),
        })
    }

    /// From every layer's choice in PyTorch's order, 1 for weights that are kept.
    pub(crate) fn of(chosen: &[Vec<f32>], plan: &Plan) -> Self {
        let layer = |(chosen, (_, columns)): (&Vec<f32>, (usize, usize))| {
            Dense::from_torch(chosen, &vec![1.0; columns])
        };
        Self {
            layers: chosen.iter().zip(plan.shapes()).map(layer).collect(),
        }
    }

    /// Every layer's part, the output layer last.
    pub(crate) fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// Sets the weights that are not kept to 0.
    pub(crate) fn apply(&self, layers: &mut [Dense]) {
        for (layer, mask) in layers.iter_mut().zip(&self.layers) {
            keep(&mask.values, &mut layer.values);
        }
    }
}

/// 1 for every weight of a layer that is kept, in PyTorch's order.
pub(crate) fn chosen(seed: u64, layer: usize, weights: usize, density: f64) -> Vec<f32> {
    let kept = libm::round(density * weights as f64) as usize;
    let mut stream = Stream::new(&format!("mask/{layer}"), seed, 0);
    choose(&mut stream, weights, kept.min(weights))
}

/// 1 at `kept` of `places`, 0 elsewhere; every choice is equally likely.
pub(crate) fn choose(stream: &mut Stream, places: usize, kept: usize) -> Vec<f32> {
    let mut chosen = vec![0.0; places];
    chosen[..kept].fill(1.0);
    stream.shuffle(&mut chosen);
    chosen
}
