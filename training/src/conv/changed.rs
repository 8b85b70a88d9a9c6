//! Convolution networks with one layer changed. A normalisation's numbers go with the layer before it, as far as is asked.

use descent_spec::robustness::NormPart;

use super::member::Trained;
use super::network::{Place, Role};
use crate::ending::Tally;
use crate::optimizer::keep;
use crate::robustness::{Anew, Subject};

/// All numbers of a network: those that are trained, and running statistics.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) theta: Vec<f32>,
    pub(crate) running: Vec<f32>,
}

/// Where networks are tested: in the buffers of the one that was trained.
pub(super) struct Tester<'a> {
    pub(super) trained: &'a mut Trained,
    pub(super) norm: NormPart,
}

impl Tester<'_> {
    fn place(&self, layer: usize) -> &Place {
        &self.trained.start.network.places[layer]
    }

    /// The ranges of a layer's trained numbers that change with it, and of its running statistics.
    fn ranges(
        &self,
        layer: usize,
    ) -> (Vec<std::ops::Range<usize>>, Option<std::ops::Range<usize>>) {
        let place = self.place(layer);
        let mut trained = vec![place.weight.clone()];
        if !place.layer.is_normalised() {
            trained.push(place.bias.clone());
        } else if self.norm != NormPart::None {
            trained.extend([place.scale.clone(), place.bias.clone()]);
        }
        // The variances stand right behind the means.
        let running = &place.running;
        let running = running.start..running.end + running.len();
        let takes = self.norm == NormPart::All && !running.is_empty();
        (trained, takes.then_some(running))
    }
}

impl Subject for Tester<'_> {
    type Network = Numbers;

    fn layers(&self) -> usize {
        self.trained.start.network.places.len()
    }

    fn numbers<'n>(&self, network: &'n Numbers, layer: usize) -> Vec<&'n [f32]> {
        let (trained, _) = self.ranges(layer);
        trained
            .into_iter()
            .map(|range| &network.theta[range])
            .collect()
    }

    fn set(&self, network: &mut Numbers, layer: usize, from: &Numbers) {
        let (trained, running) = self.ranges(layer);
        for range in trained {
            network.theta[range.clone()].copy_from_slice(&from.theta[range]);
        }
        if let Some(range) = running {
            network.running[range.clone()].copy_from_slice(&from.running[range]);
        }
    }

    fn redraw(&self, network: &mut Numbers, layer: usize, anew: &mut Anew<'_>) {
        let (trained, running) = self.ranges(layer);
        let parameters = &self.trained.start.network.parameters;
        for range in trained {
            let Some(parameter) = parameters.iter().find(|parameter| parameter.range == range)
            else {
                continue;
            };
            let numbers = match parameter.role {
                Role::Weight { fan_in, fan_out } => {
                    anew.weights((fan_in as f64, fan_out as f64), range.len())
                }
                Role::Bias => anew.biases(range.len()),
                Role::Scale => vec![1.0; range.len()],
            };
            network.theta[range].copy_from_slice(&numbers);
        }
        if let Some(range) = running {
            // As before training: means of 0 and variances of 1.
            let half = range.len() / 2;
            let (means, variances) = network.running[range].split_at_mut(half);
            means.fill(0.0);
            variances.fill(1.0);
        }
        if let Some(mask) = &self.trained.start.mask {
            keep(mask, &mut network.theta);
        }
    }

    fn test(&mut self, networks: Vec<Numbers>) -> Vec<Tally> {
        let tallies = networks
            .into_iter()
            .map(|network| self.trained.tested(network));
        tallies.collect()
    }
}
