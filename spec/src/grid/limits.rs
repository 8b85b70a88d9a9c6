//! How far a point may go: images are moved within sight, and results are of a size that can be sent.

use std::collections::BTreeSet;

use super::check::place_of;
use crate::data::KnownData;
use crate::robustness::RobustnessSpec;
use crate::setting::Key;
use crate::sweep::{Path, Report};
use crate::trial::{AugmentSpec, TrialSpec};

/// The rows of one result are sent and stored whole.
pub(super) fn too_many_networks(
    report: &mut Report<'_>,
    path: &Path<'_>,
    spec: &TrialSpec,
    noted: &mut BTreeSet<String>,
) {
    let Some(robustness) = &spec.robustness else {
        return;
    };
    let layers = u64::from(spec.model.depth()) + 1;
    let (networks, most) = (robustness.networks(layers), RobustnessSpec::MOST_NETWORKS);
    let message = format!(
        "asks for {networks} networks with a changed layer in each trial, at most {most} are tested"
    );
    if networks > most && noted.insert(message.clone()) {
        let help = "name fewer epochs in robustness.checkpoints or robustness.tested".to_owned();
        let key = Key::RobustnessCheckpoints;
        let place = place_of(path, key);
        report.add_with_help(place, key.setting().name, message, Some(help));
    }
}

/// Only images can be moved and mirrored, and not out of sight.
pub(super) fn cannot_move(
    report: &mut Report<'_>,
    path: &Path<'_>,
    known: &KnownData,
    spec: &TrialSpec,
    noted: &mut BTreeSet<String>,
) {
    let AugmentSpec { shift, flip } = spec.train.augment;
    let key = if shift > 0 {
        Key::TrainAugmentShift
    } else {
        Key::TrainAugmentFlip
    };
    let message = match known.image {
        None if shift > 0 || flip => {
            format!("the samples of \"{}\" are no images", spec.data.dataset)
        }
        Some(image) if shift >= image.height.min(image.width) => format!(
            "moves images by {shift} pixels, those of \"{}\" have {} by {}",
            spec.data.dataset, image.height, image.width
        ),
        _ => return,
    };
    if noted.insert(message.clone()) {
        let name = key.setting().name;
        report.add_with_help(place_of(path, key), name, message, None);
    }
}
