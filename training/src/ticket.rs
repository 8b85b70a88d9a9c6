//! Lottery tickets (Frankle & Carbin 2019): which weights of a trained network survive, and what the pruned network starts with.
//!
//! Layers come as flat weights in PyTorch's order. Masks are explicit: a weight that happens to be 0 is as alive as any other.

use descent_spec::ladder::Pool;
use descent_spec::trial::{Control, Init, Pruning};

use crate::mlp::mask::choose;
use crate::mlp::state::drawn;
use crate::pack::TrainError;
use crate::stream::Stream;

/// One layer's weights.
pub(crate) struct Layer {
    /// At the end of the parent's training.
    pub(crate) trained: Vec<f32>,
    /// Where survivors are set back to.
    pub(crate) rewound: Vec<f32>,
    /// 1 for those that the parent kept; `None`: all.
    pub(crate) kept: Option<Vec<f32>>,
    /// Inputs and outputs to a weight.
    pub(crate) fans: (f64, f64),
}

/// What a pruned network starts with.
pub(crate) struct Start {
    /// For each layer 1 for weights that are kept.
    pub(crate) masks: Vec<Vec<f32>>,
    /// For each layer its weights, 0 where they are not kept; `None`: those that survivors are set back to.
    pub(crate) weights: Option<Vec<Vec<f32>>>,
}

/// The mask of the largest trained weights, and the weights that its control begins with.
///
/// # Errors
/// When there are fewer weights than are to be kept.
pub(crate) fn start(
    pruning: &Pruning,
    pools: &[Pool],
    (init, seed): (Init, u64),
    layers: &[Layer],
) -> Result<Start, TrainError> {
    let mut masks: Vec<Vec<f32>> = layers
        .iter()
        .map(|layer| vec![0.0; layer.trained.len()])
        .collect();
    for pool in pools {
        keep_largest(pool, layers, &mut masks)?;
    }
    let streams =
        |name: &str, layer: usize| Stream::new(&format!("{name}/{layer}"), seed, pruning.draw);
    if pruning.control == Control::Random {
        for (index, mask) in masks.iter_mut().enumerate() {
            let kept = mask.iter().filter(|&&kept| kept == 1.0).count();
            *mask = choose(&mut streams("random-mask", index), mask.len(), kept);
        }
    }
    let redraws = matches!(pruning.control, Control::Reinit | Control::Sign);
    let weights = redraws.then(|| {
        let redrawn = |(index, layer): (usize, &Layer)| {
            let mut stream = streams("reinit", index);
            let mut weights = drawn(init, layer.fans, layer.trained.len(), &mut stream);
            if pruning.control == Control::Sign {
                for (weight, sign) in weights.iter_mut().zip(&layer.rewound) {
                    *weight = weight.abs().copysign(*sign);
                }
            }
            weights
        };
        layers.iter().enumerate().map(redrawn).collect()
    });
    Ok(Start { masks, weights })
}

/// Keeps the largest of a pool's weights, exactly as many as it says; of equal ones those that come first.
fn keep_largest(pool: &Pool, layers: &[Layer], masks: &mut [Vec<f32>]) -> Result<(), TrainError> {
    // Magnitudes are finite: their bits are in their order.
    let mut alive: Vec<(u32, u32, u32)> = Vec::new();
    for &index in &pool.layers {
        let layer = &layers[index];
        for (place, weight) in layer.trained.iter().enumerate() {
            if layer.kept.as_ref().is_none_or(|kept| kept[place] == 1.0) {
                alive.push((weight.abs().to_bits(), index as u32, place as u32));
            }
        }
    }
    let kept = usize::try_from(pool.kept).unwrap_or(usize::MAX);
    if kept > alive.len() {
        return Err(TrainError::Artifact(format!(
            "{kept} weights are to be kept, the network before has {}",
            alive.len()
        )));
    }
    if kept == 0 {
        return Ok(());
    }
    let order =
        |a: &(u32, u32, u32), b: &(u32, u32, u32)| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2)));
    alive.select_nth_unstable_by(kept - 1, order);
    for (_, layer, place) in &alive[..kept] {
        masks[*layer as usize][*place as usize] = 1.0;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use descent_spec::trial::{PruneMethod, PruneScope};

    fn pruning(control: Control, draw: u64) -> Pruning {
        Pruning {
            level: 1,
            rate: 0.5,
            conv_rate: 0.5,
            output_rate: 0.5,
            scope: PruneScope::Layer,
            method: PruneMethod::Iterative,
            rewind: 0,
            control,
            draw,
        }
    }

    fn layers() -> Vec<Layer> {
        vec![
            Layer {
                trained: vec![0.1, -0.5, 0.0, 0.3, -0.2, 0.0],
                rewound: vec![1.0, -2.0, 3.0, -4.0, 5.0, -6.0],
                kept: Some(vec![1.0, 1.0, 1.0, 0.0, 1.0, 1.0]),
                fans: (3.0, 2.0),
            },
            Layer {
                trained: vec![0.4, -0.4, 0.4, 0.05],
                rewound: vec![-1.0; 4],
                kept: None,
                fans: (2.0, 2.0),
            },
        ]
    }

    fn pool(layers: &[usize], kept: u64) -> Pool {
        Pool {
            layers: layers.to_vec(),
            kept,
        }
    }

    fn begin(control: Control, draw: u64, pools: &[Pool]) -> Start {
        let init = (Init::GlorotNormal, 3);
        start(&pruning(control, draw), pools, init, &layers()).unwrap()
    }

    #[test]
    fn the_largest_survive_and_the_first_of_equal_ones() {
        let start = begin(Control::Ticket, 0, &[pool(&[0], 3), pool(&[1], 2)]);
        // 0.3 is larger, but pruned already; a weight of 0 is alive.
        assert_eq!(start.masks[0], [1.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(start.masks[1], [1.0, 1.0, 0.0, 0.0]);
        assert!(start.weights.is_none());
        let all = begin(Control::Ticket, 0, &[pool(&[0], 5), pool(&[1], 4)]);
        assert_eq!(all.masks[0], [1.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn one_threshold_for_all_hidden_layers_together() {
        let start = begin(Control::Ticket, 0, &[pool(&[0, 1], 5)]);
        assert_eq!(start.masks[0], [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(start.masks[1], [1.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn controls_keep_the_mask_or_its_size_and_draw_anew() {
        let pools = [pool(&[0], 3), pool(&[1], 2)];
        let ticket = begin(Control::Ticket, 0, &pools);
        let reinit = begin(Control::Reinit, 0, &pools);
        assert_eq!(reinit.masks, ticket.masks);
        let again = begin(Control::Reinit, 1, &pools);
        assert_ne!(reinit.weights, again.weights);
        let sign = begin(Control::Sign, 0, &pools).weights.unwrap();
        for (layer, weights) in layers().iter().zip(&sign) {
            for (weight, rewound) in weights.iter().zip(&layer.rewound) {
                assert_eq!(weight.is_sign_negative(), rewound.is_sign_negative());
            }
        }
        let magnitudes = |weights: &[Vec<f32>]| -> Vec<u32> {
            weights
                .iter()
                .flatten()
                .map(|w| w.abs().to_bits())
                .collect()
        };
        assert_eq!(magnitudes(&sign), magnitudes(&reinit.weights.unwrap()));
        let sizes = |start: &Start| -> Vec<f32> {
            start.masks.iter().map(|mask| mask.iter().sum()).collect()
        };
        let random: Vec<Start> = (0..8)
            .map(|draw| begin(Control::Random, draw, &pools))
            .collect();
        assert!(random.iter().all(|start| sizes(start) == [3.0, 2.0]));
        assert!(random.iter().any(|start| start.masks != ticket.masks));
    }

    #[test]
    fn more_than_there_is_cannot_be_kept() {
        let init = (Init::GlorotNormal, 3);
        let pools = [pool(&[0], 6), pool(&[1], 2)];
        assert!(start(&pruning(Control::Ticket, 0), &pools, init, &layers()).is_err());
    }
}
