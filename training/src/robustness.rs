//! Networks with one layer changed: set back to an earlier epoch, or drawn anew (Zhang, Bengio & Singer 2019).
//!
//! What is kept while training, and the rows of the result at its end. It knows networks only as [`Subject`]s, dense or not.

use std::sync::Arc;

use descent_spec::details::Details;
use descent_spec::robustness::{LayerRow, Operation, Redraw, RobustnessSpec};

use crate::ending::Tally;
use crate::mlp::{Plan, state};
use crate::stream::Stream;

/// A network as it was after an epoch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot<N> {
    pub(crate) epoch: u32,
    pub(crate) network: Arc<N>,
}

/// Prefix of a snapshot's tensors in a checkpoint.
pub(crate) fn prefix(epoch: u32) -> String {
    format!("epoch.{epoch}.")
}

/// The epochs among those after which a plan keeps its network that are over after `epoch`.
pub(crate) fn kept(plan: &Plan, epoch: u32) -> impl Iterator<Item = u32> + '_ {
    plan.kept.iter().copied().filter(move |&kept| kept <= epoch)
}

/// A kind of network whose layers can be changed and tested.
pub(crate) trait Subject {
    /// All numbers of one network.
    type Network: Clone;

    /// Layers with weights.
    fn layers(&self) -> usize;
    /// Weights and biases of a layer.
    fn numbers<'n>(&self, network: &'n Self::Network, layer: usize) -> Vec<&'n [f32]>;
    /// Sets a layer to what it is in another network.
    fn set(&self, network: &mut Self::Network, layer: usize, from: &Self::Network);
    /// Draws a layer anew.
    fn redraw(&self, network: &mut Self::Network, layer: usize, anew: &mut Anew<'_>);
    /// Sums over the test samples, for each network.
    fn test(&mut self, networks: Vec<Self::Network>) -> Vec<Tally>;
}

/// Where a layer that is drawn anew comes from.
pub(crate) struct Anew<'p> {
    plan: &'p Plan,
    redraw: Redraw,
    stream: Stream,
}

impl Anew<'_> {
    /// Weights with so many inputs and outputs to each, in PyTorch's order.
    pub(crate) fn weights(&mut self, fans: (f64, f64), count: usize) -> Vec<f32> {
        match self.redraw {
            Redraw::Initial => state::drawn(self.plan.init, fans, count, &mut self.stream),
            Redraw::UnitUniform => self.uniform(count),
        }
    }

    /// Biases.
    pub(crate) fn biases(&mut self, count: usize) -> Vec<f32> {
        match self.redraw {
            Redraw::Initial => vec![0.0; count],
            Redraw::UnitUniform => self.uniform(count),
        }
    }

    fn uniform(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.stream.uniform() as f32).collect()
    }
}

/// A changed network and what was done to it.
struct Changed<N> {
    row: LayerRow,
    network: N,
}

/// The rows of a trained network: for each epoch that counts as its end, each layer changed in each way.
pub(crate) fn rows<S: Subject>(
    plan: &Plan,
    spec: &RobustnessSpec,
    snapshots: &[Snapshot<S::Network>],
    end: &Snapshot<S::Network>,
    subject: &mut S,
) -> Details {
    let tested = snapshots
        .iter()
        .filter(|snapshot| spec.tested.contains(&snapshot.epoch) && snapshot.epoch < end.epoch);
    let tested: Vec<Snapshot<S::Network>> = tested.cloned().chain([end.clone()]).collect();
    let mut rows = Vec::new();
    for trained in tested {
        // The end itself may be a checkpoint too, kept or not.
        let earlier = snapshots
            .iter()
            .chain(
                snapshots
                    .iter()
                    .all(|kept| kept.epoch != end.epoch)
                    .then_some(end),
            )
            .filter(|kept| spec.checkpoints.contains(&kept.epoch) && kept.epoch <= trained.epoch);
        let earlier: Vec<&Snapshot<S::Network>> = earlier.collect();
        let base = subject.test(vec![S::Network::clone(&trained.network)]);
        let base = base.first().copied().unwrap_or_default();
        let mut changed = Vec::new();
        for layer in 0..subject.layers() {
            for snapshot in &earlier {
                let mut network = S::Network::clone(&trained.network);
                subject.set(&mut network, layer, &snapshot.network);
                let checkpoint = Some(snapshot.epoch);
                changed.push(describe(subject, &trained, layer, checkpoint, network));
                flush(plan, subject, base, &mut changed, false, &mut rows);
            }
            let mut anew = Anew {
                plan,
                redraw: spec.redraw,
                stream: Stream::new(&format!("redraw/{layer}"), plan.seed, trained.epoch.into()),
            };
            let mut network = S::Network::clone(&trained.network);
            subject.redraw(&mut network, layer, &mut anew);
            changed.push(describe(subject, &trained, layer, None, network));
            flush(plan, subject, base, &mut changed, false, &mut rows);
        }
        flush(plan, subject, base, &mut changed, true, &mut rows);
    }
    Details::LayerRobustness(rows)
}

/// A row without its numbers, but for how far the layer was moved.
fn describe<S: Subject>(
    subject: &S,
    trained: &Snapshot<S::Network>,
    layer: usize,
    checkpoint: Option<u32>,
    network: S::Network,
) -> Changed<S::Network> {
    let (mut squares, mut most, mut count) = (0.0_f64, 0.0_f64, 0_usize);
    let before = subject.numbers(&trained.network, layer);
    let after = subject.numbers(&network, layer);
    for (before, after) in before.into_iter().zip(after) {
        for (&a, &b) in before.iter().zip(after) {
            let difference = f64::from(a) - f64::from(b);
            squares += difference * difference;
            most = most.max(difference.abs());
        }
        count += before.len();
    }
    let l2 = libm::sqrt(squares);
    let row = LayerRow {
        epoch: trained.epoch,
        layer: u32::try_from(layer).unwrap_or(u32::MAX),
        operation: match checkpoint {
            Some(_) => Operation::Reinitialise,
            None => Operation::Rerandomise,
        },
        checkpoint,
        trained_loss: None,
        trained_error: None,
        test_loss: None,
        test_error: None,
        distance_l2: finite(l2),
        distance_rms: finite(l2 / libm::sqrt(count.max(1) as f64)),
        distance_max: finite(most),
    };
    Changed { row, network }
}

/// Tests the changed networks when there are enough of them, or `all` that are left.
fn flush<S: Subject>(
    plan: &Plan,
    subject: &mut S,
    base: Tally,
    changed: &mut Vec<Changed<S::Network>>,
    all: bool,
    rows: &mut Vec<LayerRow>,
) {
    if changed.is_empty() || (!all && (changed.len() as u64) < RobustnessSpec::AT_ONCE) {
        return;
    }
    let (mut tested, networks): (Vec<LayerRow>, Vec<S::Network>) = changed
        .drain(..)
        .map(|changed| (changed.row, changed.network))
        .unzip();
    let loss = |tally: &Tally| tally.mean_loss(plan).and_then(finite);
    for (row, tally) in tested.iter_mut().zip(subject.test(networks)) {
        (row.trained_loss, row.trained_error) = (loss(&base), base.error());
        (row.test_loss, row.test_error) = (loss(&tally), tally.error());
    }
    rows.append(&mut tested);
}

fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}
