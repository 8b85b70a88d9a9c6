//! Ladders of pruning that lead nowhere: found with the data at hand.

use std::collections::BTreeSet;

use super::Grid;
use super::check::place_of;
use crate::ladder;
use crate::setting::Key;
use crate::shape::DataShape;
use crate::sweep::{Path, Report};
use crate::trial::{MaskSpec, TrialSpec};

/// A ladder that leaves a layer without weights, and survivors that would be set back to where no training comes.
pub(super) fn check(
    grid: &Grid,
    report: &mut Report<'_>,
    path: &Path<'_>,
    spec: &TrialSpec,
    noted: &mut BTreeSet<String>,
) {
    let MaskSpec::Magnitude(pruning) = spec.mask else {
        return;
    };
    let known = &grid.data[spec.data.dataset.as_str()];
    let layers = ladder::layers(&spec.model, known.inputs, known.image, known.outputs);
    let empty = pruning.pools(&layers).iter().any(|pool| pool.kept == 0);
    if empty && noted.insert(format!("mask.level {}", pruning.level)) {
        let message = format!("at level {} a layer has no weight left", pruning.level);
        let help = "end the levels earlier, or prune less of a level".to_owned();
        let place = place_of(path, Key::MaskLevel);
        report.add_with_help(place, "mask.level", message, Some(help));
    }
    let Ok(shape) = DataShape::of(known, &spec.data) else {
        return;
    };
    let batches = shape.train_samples.div_ceil(spec.train.batch.max(1));
    let steps = u64::from(batches) * u64::from(spec.train.epochs);
    if pruning.rewind >= steps && noted.insert(format!("mask.rewind {}", pruning.rewind)) {
        let message = format!(
            "step {} lies at or after the end of training, which takes {steps} steps",
            pruning.rewind
        );
        let help = "0 sets survivors back to their initial weights".to_owned();
        let place = place_of(path, Key::MaskRewind);
        report.add_with_help(place, "mask.rewind", message, Some(help));
    }
}
