//! What can only be judged with the data at hand: names of data sets, numbers of samples, points that describe no trial.

use std::collections::BTreeSet;
use std::ops::Range;

use super::limits::{cannot_move, too_many_networks};
use super::{Grid, Place, rungs, stage};
use crate::architecture::Architecture;
use crate::asked::Asked;
use crate::data::KnownData;
use crate::setting::Key;
use crate::shape::{self, DataShape, TooFewSamples};
use crate::sweep::{
    Mistakes, Path, Report, Source, Sweep, each_path, is_required, may_apply, missing, source,
};
use crate::trial::{Experiment, ModelSpec, TrialSpec};
use crate::value::Value;
use crate::values::Unresolved;

/// Places looked at for one that is not excluded, before it is taken on trust that there is one.
const MAX_LOOKED_AT: u64 = 20_000_000;
/// Mistakes of single points noted at most.
pub(super) const MAX_POINT_MISTAKES: usize = 20;

pub(super) fn check(grid: &mut Grid, sweep: &Sweep) -> Result<(), Mistakes> {
    let mut report = Report::new(sweep.source());
    for (name, span) in sweep.root.everything(Key::DataDataset) {
        let known = name
            .as_text()
            .is_some_and(|name| grid.data.contains_key(name));
        if !known {
            let message = format!("there is no data set {name} here");
            let help =
                "`descent data list` shows those that are; `descent data fetch` brings others";
            report.add_with_help(span, "data.dataset", message, help.to_owned());
        }
    }
    if report.is_empty() {
        let mut node = 0;
        let mut noted = BTreeSet::new();
        each_path(&sweep.root, &mut |path| {
            let pin = sweep.cuda_pin.as_ref();
            if pin.is_some() || suspicious(grid, path, sweep.experiment()) {
                points(grid, &mut report, path, (node, pin), &mut noted);
            }
            node += 1;
        });
    }
    if report.is_empty() {
        let looked_at = grid.raw_points().min(MAX_LOOKED_AT);
        let some = (0..looked_at).any(|rank| grid.values(&grid.layout.by_rank(rank)).is_some());
        if !some && looked_at == grid.raw_points() {
            let span = sweep
                .exclude_span
                .clone()
                .or_else(|| sweep.root.blocks.first().map(|block| block.span.clone()));
            let message =
                format!("the conditions leave none of the sweep's points, {looked_at} in all");
            report.add(span.unwrap_or(0..0), "exclude", message);
        }
    }
    if report.is_empty() {
        grid.fed = stage::check(grid, &mut report, sweep);
    }
    report.finish()
}

/// Whether some point of a path may describe no trial or ask for too many samples: an over-estimate, so that most sweeps are
/// not looked at point by point.
fn suspicious(grid: &Grid, path: &Path<'_>, experiment: Experiment) -> bool {
    let lacks = |key: &Key| {
        is_required(path, *key, experiment)
            && matches!(source(path, *key), Source::Default)
            && may_apply(path, *key, experiment)
    };
    if Key::ALL.iter().any(lacks) {
        return true;
    }
    let misfit = values(path, Key::ModelKind)
        .iter()
        .any(|kind| kind.as_text().is_some_and(|kind| !experiment.takes(kind)));
    let most = |key: Key| {
        let whole = |value: &Value| match value {
            Value::Integer(value) => *value,
            _ => 0,
        };
        values(path, key).iter().map(whole).max().unwrap_or(0)
    };
    let too_few = values(path, Key::DataDataset).iter().any(|name| {
        let Some(known) = name.as_text().and_then(|name| grid.data.get(name)) else {
            return true;
        };
        let held_out = most(Key::DataValidation);
        // "All" takes at least one sample besides those held out.
        held_out.saturating_add(most(Key::DataSamples).max(1)) > known.train_samples.into()
            || most(Key::DataTestSamples) > known.test_samples.into()
    });
    let kinds = values(path, Key::ModelKind);
    let blind = values(path, Key::DataDataset).iter().any(|name| {
        let known = name.as_text().and_then(|name| grid.data.get(name));
        let architectures = kinds
            .iter()
            .filter_map(|kind| Architecture::from_word(kind.as_text()?));
        known.is_some_and(|known| {
            architectures
                .into_iter()
                .any(|kind| blind(kind, known).is_some())
        })
    });
    // Experiments that repeat trainings have rules of their own, and few points.
    let repeats = matches!(
        experiment,
        Experiment::DescriptionLength | Experiment::DegreesOfFreedom
    );
    // How many parameters a point has, and whether it starts from another's weights, is not to be told from afar.
    let keeps = !values(path, Key::RobustnessCheckpoints).is_empty();
    let is = |key: Key, value: &Value| values(path, key).contains(value);
    let moves = most(Key::TrainAugmentShift) > 0
        || is(Key::TrainAugmentFlip, &Value::Boolean(true))
        || values(path, Key::TrainEarlyStop)
            .iter()
            .any(|word| word.as_text() != Some("never"));
    let stages = !values(path, Key::SubspaceSearch).is_empty()
        || values(path, Key::MaskKind)
            .iter()
            .any(|value| value.as_text() == Some("magnitude"));
    let by_steps = values(path, Key::EvaluateSpread)
        .iter()
        .any(|value| value.as_text() == Some("steps"));
    let looked_into = repeats || keeps || moves || stages || by_steps;
    misfit || too_few || blind || looked_into || most(Key::SubspaceDim) > 0
}

/// Why a convolution network cannot look at the samples of a data set; `None`: it can.
fn blind(architecture: Architecture, known: &KnownData) -> Option<String> {
    match known.image {
        None => Some(format!(
            "{architecture} looks at images, and these samples are none"
        )),
        Some(image) => architecture
            .fits(image)
            .err()
            .map(|error| error.to_string()),
    }
}

/// The values that a setting takes on a path.
fn values(path: &Path<'_>, key: Key) -> Vec<Value> {
    match source(path, key) {
        Source::Axis(axis) => axis
            .member(key)
            .map(|member| member.values.to_vec())
            .unwrap_or_default(),
        Source::Fixed(given) => vec![given.value.clone()],
        Source::Unknown | Source::Default => key.setting().fallback.value().into_iter().collect(),
    }
}

/// Where the value of a setting on a path stands in the file.
pub(super) fn place_of(path: &Path<'_>, key: Key) -> Range<usize> {
    match source(path, key) {
        Source::Axis(axis) => axis
            .member(key)
            .map_or(0..0, |member| member.values_span.clone()),
        Source::Fixed(given) => given.value_span.clone(),
        Source::Unknown | Source::Default => path.last().map_or(0..0, |block| block.span.clone()),
    }
}

/// Looks at every point of one body. `pin` is the run setting that pins it to CUDA.
fn points(
    grid: &Grid,
    report: &mut Report<'_>,
    path: &Path<'_>,
    (node, pin): (usize, Option<&(&'static str, Range<usize>)>),
    noted: &mut BTreeSet<String>,
) {
    let mut axes = Vec::new();
    for &node in &grid.layout.nodes[node].path {
        axes.extend(&grid.layout.nodes[node].axes);
    }
    let mut place = Place {
        node,
        digits: vec![0; grid.layout.axes.len()],
    };
    loop {
        if let Some(values) = grid.values(&place) {
            match values.resolve() {
                Err(Unresolved::Missing(name)) => {
                    if let Some(&key) = Key::ALL.iter().find(|key| key.setting().name == name)
                        && noted.insert(name.to_owned())
                    {
                        missing(report, path, key);
                    }
                }
                Err(error @ Unresolved::Mismatch { .. }) => {
                    if noted.insert(error.to_string()) {
                        report.add(
                            place_of(path, Key::ModelKind),
                            "model.kind",
                            error.to_string(),
                        );
                    }
                }
                Err(error @ Unresolved::SubspaceReuse) => {
                    if noted.insert(error.to_string()) {
                        let help = "write weight_reuse = \"never\" under [train]".to_owned();
                        let place = place_of(path, Key::SubspaceDim);
                        report.add_with_help(place, "subspace.dim", error.to_string(), Some(help));
                    }
                }
                Err(ref error @ Unresolved::Conflict { key, help, .. }) => {
                    let message = error.to_string();
                    if noted.insert(message.clone()) {
                        let name = key.setting().name;
                        let place = place_of(path, key);
                        report.add_with_help(place, name, message, Some(help.to_owned()));
                    }
                }
                Err(error @ Unresolved::NothingHeldOut) => {
                    if noted.insert(error.to_string()) {
                        let help = "write validation = 1000 under [data]".to_owned();
                        let place = place_of(path, Key::TrainEarlyStop);
                        let name = Key::TrainEarlyStop.setting().name;
                        report.add_with_help(place, name, error.to_string(), Some(help));
                    }
                }
                Err(error @ Unresolved::AfterTheEnd { setting, .. }) => {
                    if noted.insert(error.to_string()) {
                        let help = "train longer, or leave that epoch out".to_owned();
                        let name = setting.setting().name;
                        let place = place_of(path, setting);
                        report.add_with_help(place, name, error.to_string(), Some(help));
                    }
                }
                Err(error @ Unresolved::SearchEnds { .. }) => {
                    if noted.insert(error.to_string()) {
                        let help = "write dim = 2000 under [subspace]".to_owned();
                        let place = place_of(path, Key::SubspaceSearch);
                        report.add_with_help(place, "subspace.dim", error.to_string(), Some(help));
                    }
                }
                Ok(mut spec) => {
                    too_many_dimensions(grid, report, path, &spec, noted);
                    too_long_a_block(grid, report, path, &spec, noted);
                    pinned_elsewhere(report, pin, &spec, noted);
                    rungs::check(grid, report, path, &spec, noted);
                    let known = &grid.data[spec.data.dataset.as_str()];
                    cannot_move(report, path, known, &spec, noted);
                    too_many_networks(report, path, &spec, noted);
                    if let ModelSpec::Conv { architecture, .. } = spec.model
                        && let Some(why) = blind(architecture, known)
                        && noted.insert(format!("{architecture} {}", spec.data.dataset))
                    {
                        let message = format!("data set \"{}\": {why}", spec.data.dataset);
                        report.add(place_of(path, Key::ModelKind), "model.kind", message);
                    }
                    // Training samples and test samples are judged apart, so that one report names both.
                    for _ in 0..2 {
                        let Err(error) = DataShape::of(known, &spec.data) else {
                            break;
                        };
                        too_few(report, path, &spec.data.dataset, &error, noted);
                        (spec.data.samples, spec.data.validation) = (None, 0);
                    }
                }
            }
        }
        if noted.len() >= MAX_POINT_MISTAKES || !step(grid, &axes, &mut place) {
            return;
        }
    }
}

/// The next place of the body, in the order of the file; false after the last.
fn step(grid: &Grid, axes: &[&usize], place: &mut Place) -> bool {
    for &&axis in axes.iter().rev() {
        place.digits[axis] += 1;
        if u64::from(place.digits[axis]) < grid.layout.axes[axis].len {
            return true;
        }
        place.digits[axis] = 0;
    }
    false
}

/// What only the processor computes cannot be pinned to CUDA.
fn pinned_elsewhere(
    report: &mut Report<'_>,
    pin: Option<&(&'static str, Range<usize>)>,
    spec: &TrialSpec,
    noted: &mut BTreeSet<String>,
) {
    if let (Some((name, span)), Some(what)) = (pin, spec.only_on_processor())
        && noted.insert(format!("run.{name} {what}"))
    {
        let message = format!("{what} are computed on the processor, whatever the device");
        let help = "pin them to \"cpu\", or submit them as a sweep of their own".to_owned();
        report.add_with_help(span.clone(), &format!("run.{name}"), message, help);
    }
}

/// A subspace cannot have more dimensions than the space that it lies in.
fn too_many_dimensions(
    grid: &Grid,
    report: &mut Report<'_>,
    path: &Path<'_>,
    spec: &TrialSpec,
    noted: &mut BTreeSet<String>,
) {
    let known = &grid.data[spec.data.dataset.as_str()];
    let parameters = shape::parameters(&spec.model, known.inputs, known.image, known.outputs);
    let Some(subspace) = spec.subspace else {
        return;
    };
    let dim = subspace.dim;
    if parameters >= shape::SUBSPACE_PARAMETERS && noted.insert(format!("subspace {parameters}")) {
        let message = format!(
            "the network of width {} has {parameters} parameters, in a subspace 2147483647 are the most",
            spec.model.width()
        );
        let place = place_of(path, Key::SubspaceDim);
        report.add(place, "subspace.dim", message);
    }
    if u64::from(dim) > parameters && noted.insert(format!("subspace.dim {dim} {parameters}")) {
        let message = format!(
            "asks for {dim} dimensions, the network of width {} has {parameters} parameters",
            spec.model.width()
        );
        let help = "subspace.dim = 0 trains every parameter itself".to_owned();
        let place = place_of(path, Key::SubspaceDim);
        report.add_with_help(place, "subspace.dim", message, Some(help));
    }
}

/// A first block that is longer than the message leaves nothing to learn from.
fn too_long_a_block(
    grid: &Grid,
    report: &mut Report<'_>,
    path: &Path<'_>,
    spec: &TrialSpec,
    noted: &mut BTreeSet<String>,
) {
    let known = &grid.data[spec.data.dataset.as_str()];
    let (Asked::Code(code), Ok(shape)) = (spec.asked, DataShape::of(known, &spec.data)) else {
        return;
    };
    let (first, samples) = (code.first, shape.train_samples);
    if first >= samples && noted.insert(format!("code.first {first} {samples}")) {
        let message = format!("the first block takes {first} samples, and there are {samples}");
        let help = "write first = 8 under [code]".to_owned();
        let place = place_of(path, Key::CodeFirst);
        report.add_with_help(place, "code.first", message, Some(help));
    }
}

fn too_few(
    report: &mut Report<'_>,
    path: &Path<'_>,
    dataset: &str,
    error: &TooFewSamples,
    noted: &mut BTreeSet<String>,
) {
    let TooFewSamples {
        what,
        asked,
        available,
    } = error;
    if noted.insert(format!("{what} {asked} {dataset}")) {
        let key = match *what {
            "data.validation" => Key::DataValidation,
            "data.test_samples" => Key::DataTestSamples,
            _ => Key::DataSamples,
        };
        let message = format!("asks for {asked} samples, \"{dataset}\" has {available}");
        let help = (key == Key::DataSamples)
            .then(|| "leave data.samples out to take all, or name a larger data set".to_owned());
        report.add_with_help(place_of(path, key), what, message, help);
    }
}
