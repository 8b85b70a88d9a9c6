//! What a whole file must keep, beyond its single values: no axis twice, nothing without effect, nothing missing, no typo
//! that makes a million points of a thousand.

use std::collections::BTreeSet;

use super::axis::Axis;
use super::block::{Block, MAX_BLOCKS};
use super::mistake::Report;
use super::path::{Path, Source, each_path, may, may_apply, source};
use super::suggest;
use super::{RUN_SETTINGS, Sweep};
use crate::setting::{Applies, Fallback, Key, Kind};
use crate::trial::Experiment;
use crate::value::Value;

/// Checks a file that is TOML. What depends on a value that is wrong is let pass: it is judged when that is mended.
pub(crate) fn check(report: &mut Report<'_>, sweep: &Sweep) {
    let mut blocks = 0;
    each_path(&sweep.root, &mut |path| {
        blocks += path.len().min(2) - 1;
    });
    if blocks > MAX_BLOCKS {
        let message = format!("a sweep has at most {MAX_BLOCKS} blocks, this one {blocks}");
        report.add(sweep.root.blocks[0].span.clone(), "block", message);
        return;
    }
    each_path(&sweep.root, &mut |path| twice(report, path));
    without_effect(report, sweep);
    let mut missing = BTreeSet::new();
    each_path(&sweep.root, &mut |path| {
        // A body with blocks has points of its own only where no block applies: that is judged point by point.
        let is_leaf = path.last().is_some_and(|block| block.blocks.is_empty());
        if is_leaf && !mismatch(report, path, sweep.experiment) {
            required(report, path, sweep.experiment, &mut missing);
            reuse(report, path, sweep.experiment);
        }
    });
    if report.is_empty() {
        size(report, sweep);
    }
}

/// A setting that moves along two axes, or that a block sets although an outer axis moves it.
fn twice(report: &mut Report<'_>, path: &Path<'_>) {
    let Some((block, outer)) = path.split_last() else {
        return;
    };
    let mut seen: Vec<Key> = Vec::new();
    let at = |what: &str| super::read::join(&block.path, what);
    for axis in &block.axes {
        let within = if axis.members.len() > 1 {
            at("zip")
        } else {
            at("axes")
        };
        for member in &axis.members {
            let name = member.key.setting().short();
            let here = super::read::join(&within, name);
            if seen.contains(&member.key) {
                let message = format!("`{}` has two axes", member.key.setting().name);
                let help =
                    "an axis by its short and by its dotted name is the same; so is one in a zip";
                report.add_with_help(member.span.clone(), &here, message, help.to_owned());
            } else if outer.iter().any(|block| {
                block
                    .axes
                    .iter()
                    .any(|axis| axis.member(member.key).is_some())
            }) {
                let message = format!("`{name}` has an axis outside this block already");
                let help = "move the outer axis into blocks, or exclude points".to_owned();
                report.add_with_help(member.span.clone(), &here, message, help);
            }
            seen.push(member.key);
        }
    }
    for given in &block.fixed {
        if outer.iter().any(|block| {
            block
                .axes
                .iter()
                .any(|axis| axis.member(given.key).is_some())
        }) {
            let name = given.key.setting().name;
            let message =
                format!("`{name}` has an axis outside this block, which this value would undo");
            let help = "use `when` to choose points, or exclude them".to_owned();
            report.add_with_help(given.span.clone(), &at(name), message, help);
        }
    }
}

/// Values that no point would notice: whoever wrote them believes otherwise.
fn without_effect(report: &mut Report<'_>, sweep: &Sweep) {
    let mut noticed: BTreeSet<usize> = BTreeSet::new();
    let mut all = Vec::new();
    each_path(&sweep.root, &mut |path| {
        for block in path {
            let fixed = block.fixed.iter().map(|given| {
                let default = given.key.setting().fallback.value();
                let path = super::read::join(&block.path, given.key.setting().name);
                (
                    given.key,
                    &given.span,
                    path,
                    default.as_ref() == Some(&given.value),
                )
            });
            let swept = block.axes.iter().flat_map(|axis| &axis.members);
            let swept = swept.map(|member| {
                let path = super::read::join(&block.path, &suggest::axis_path(member.key));
                (member.key, &member.span, path, false)
            });
            for (key, span, place, harmless) in fixed.chain(swept) {
                if harmless || may_apply(path, key, sweep.experiment) {
                    noticed.insert(span.start);
                }
                all.push((key, span.clone(), place));
            }
        }
    });
    for (key, span, place) in all {
        if !noticed.contains(&span.start) {
            let setting = key.setting();
            report.add_with_help(
                span,
                &place,
                "this has no effect in any trial of the sweep",
                format!("it means something only where {}", setting.applies),
            );
        }
    }
}

/// Settings without a default that some point needs.
fn required(
    report: &mut Report<'_>,
    path: &Path<'_>,
    experiment: Experiment,
    reported: &mut BTreeSet<Key>,
) {
    for &key in Key::ALL {
        let setting = key.setting();
        // Of an unknown experiment it is unknown what it trains.
        let judged =
            !path[0].broken.contains(&Key::Experiment) || setting.applies == Applies::Always;
        if judged
            && is_required(path, key, experiment)
            && matches!(source(path, key), Source::Default)
            && may_apply(path, key, experiment)
            && reported.insert(key)
        {
            missing(report, path, key);
        }
    }
}

/// Whether some point of a path needs a setting to be given: an over-estimate.
pub(crate) fn is_required(path: &Path<'_>, key: Key, experiment: Experiment) -> bool {
    match key.setting().fallback {
        Fallback::Required => true,
        Fallback::RequiredWhere(condition) => may(path, condition.key, experiment, &|value| {
            condition.holds(value)
        }),
        _ => false,
    }
}

/// Notes a missing setting at the table where it belongs.
pub(crate) fn missing(report: &mut Report<'_>, path: &Path<'_>, key: Key) {
    let name = key.setting().name;
    let (group, last) = name.split_once('.').unwrap_or(("", name));
    let place = path
        .iter()
        .rev()
        .find_map(|block| block.groups.iter().find(|(name, _)| name == group))
        .map(|(_, span)| span.clone())
        .or_else(|| path.last().map(|block| block.span.clone()))
        .unwrap_or(0..0);
    let example = match key.setting().kind {
        Kind::Text { .. } => "\"mnist-4k\"",
        Kind::Layers => "\"300-100\"",
        Kind::Epochs => "\"0,1,10\"",
        Kind::Float { .. } => "0.01",
        _ => "100",
    };
    let mut help = format!("write {last} = {example} under [{group}]");
    if let Some(alias) = key.setting().alias {
        help += &format!(", or {alias} = […] under [axes]");
    }
    report.add_with_help(place, name, "this is not given and has no default", help);
}

/// A model that does not go with the experiment; whether one was noted.
fn mismatch(report: &mut Report<'_>, path: &Path<'_>, experiment: Experiment) -> bool {
    if path[0].broken.contains(&Key::Experiment) {
        return false;
    }
    let before = report.len();
    let fits = |value: &Value| value.as_text().is_some_and(|kind| experiment.takes(kind));
    let help = || {
        let kinds = match Key::ModelKind.setting().kind {
            Kind::Word(words) => words.iter().filter(|word| experiment.takes(word)),
            _ => unreachable!("model.kind is a word"),
        };
        let kinds: Vec<String> = kinds.map(|word| format!("\"{word}\"")).collect();
        format!("write kind = {} under [model]", kinds.join(" or "))
    };
    let found =
        |value: &Value| format!("experiment \"{experiment}\" does not go with model.kind {value}");
    match source(path, Key::ModelKind) {
        Source::Axis(axis) => {
            let member = axis.member(Key::ModelKind).expect("the source has the key");
            if let Some(value) = member.values.iter().find(|value| !fits(value)) {
                report.add_with_help(
                    member.values_span.clone(),
                    "model.kind",
                    found(value),
                    help(),
                );
            }
        }
        Source::Fixed(given) if !fits(&given.value) => {
            report.add_with_help(
                given.value_span.clone(),
                "model.kind",
                found(&given.value),
                help(),
            );
        }
        Source::Default if !experiment.takes("mlp") => {
            let message = format!("experiment \"{experiment}\" needs a kind of model");
            let place = path[0].groups.iter().find(|(name, _)| name == "model");
            let place = place.map_or(0..0, |(_, span)| span.clone());
            report.add_with_help(place, "model.kind", message, help());
        }
        Source::Fixed(_) | Source::Unknown | Source::Default => {}
    }
    report.len() > before
}

/// Weight reuse goes from width to width: without an axis of widths it does nothing.
fn reuse(report: &mut Report<'_>, path: &Path<'_>, experiment: Experiment) {
    let key = Key::TrainWeightReuse;
    let reuses = |value: Option<&Value>| value.and_then(Value::as_text) != Some("never");
    if !may_apply(path, key, experiment) || !may(path, key, experiment, &reuses) {
        return;
    }
    let place = match source(path, key) {
        Source::Axis(axis) => axis.member(key).map(|member| member.span.clone()),
        Source::Fixed(given) => Some(given.span.clone()),
        Source::Unknown | Source::Default => None,
    };
    let message = match source(path, Key::ModelWidth) {
        Source::Unknown => return,
        Source::Axis(axis) if axis.members.len() == 1 => return,
        Source::Axis(_) => {
            "weights cannot be reused along a zip: other settings move with the width"
        }
        Source::Fixed(_) | Source::Default => {
            "weights are reused from the next narrower network, but the width has no axis"
        }
    };
    // Without a place, the rule itself is given wrongly.
    if let Some(place) = place {
        let help = "write width = [10, 20, 40] under [axes]".to_owned();
        report.add_with_help(place, key.setting().name, message, help);
    }
}

/// Number of index places of a body, blocks included; saturates.
pub(crate) fn places(block: &Block) -> u128 {
    let own = block.axes.iter().fold(1_u128, |product, axis| {
        product.saturating_mul(axis.len() as u128)
    });
    let slots = match block.blocks.len() {
        0 => 1,
        _ => block
            .blocks
            .iter()
            .fold(1_u128, |sum, inner| sum.saturating_add(places(inner))),
    };
    own.saturating_mul(slots)
}

fn size(report: &mut Report<'_>, sweep: &Sweep) {
    let total = places(&sweep.root);
    let limit = u128::from(sweep.run.max_points);
    if total <= limit {
        return;
    }
    let mut axes: Vec<&Axis> = Vec::new();
    each_path(&sweep.root, &mut |path| {
        axes.extend(path.last().into_iter().flat_map(|block| &block.axes));
    });
    axes.sort_by_key(|axis| std::cmp::Reverse(axis.len()));
    let Some(member) = axes.first().and_then(|axis| axis.members.first()) else {
        return;
    };
    let longest: Vec<String> = axes
        .iter()
        .take(3)
        .filter_map(|axis| {
            Some(format!(
                "`{}` {}",
                axis.members.first()?.key.setting().short(),
                axis.len()
            ))
        })
        .collect();
    let most = RUN_SETTINGS
        .iter()
        .find(|row| row.name == "max_points")
        .map(|row| row.kind);
    let may_be_raised = matches!(most, Some(Kind::Integer { max, .. }) if total <= u128::from(max));
    let help = if may_be_raised {
        format!("if that is meant, write max_points = {total} under [run]")
    } else {
        "split it into several sweeps".to_owned()
    };
    let message = format!(
        "the sweep has {total} points, more than run.max_points = {limit}; values by axis: {}",
        longest.join(", ")
    );
    let path = suggest::axis_path(member.key);
    report.add_with_help(member.values_span.clone(), &path, message, help);
}
