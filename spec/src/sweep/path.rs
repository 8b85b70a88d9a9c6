//! Paths through the bodies of a sweep: which value a kind of point takes a setting from, and what it may then be.

use super::axis::Axis;
use super::block::{Block, Given};
use crate::setting::{Applies, Condition, Key};
use crate::trial::Experiment;
use crate::value::Value;

/// A body and all bodies around it, the root first: what one kind of point is made of.
pub(crate) type Path<'b> = [&'b Block];

/// Where a point takes a setting from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'b> {
    /// From an axis.
    Axis(&'b Axis),
    /// From a fixed value.
    Fixed(&'b Given),
    /// From a value that is wrong, and noted already: it may be anything.
    Unknown,
    /// From nowhere: its default holds.
    Default,
}

/// Where the points of a path take a setting from: the innermost body that has it, its axes before its fixed values.
pub(crate) fn source<'b>(path: &Path<'b>, key: Key) -> Source<'b> {
    for block in path.iter().rev() {
        if let Some(axis) = block.axes.iter().find(|axis| axis.member(key).is_some()) {
            return Source::Axis(axis);
        }
        if let Some(given) = block.fixed.iter().find(|given| given.key == key) {
            return Source::Fixed(given);
        }
        if block.broken.contains(&key) {
            return Source::Unknown;
        }
    }
    Source::Default
}

/// Whether some value that the setting can take on this path passes.
pub(crate) fn may(
    path: &Path<'_>,
    key: Key,
    experiment: Experiment,
    passes: &dyn Fn(Option<&Value>) -> bool,
) -> bool {
    if key == Key::Experiment && !path[0].broken.contains(&key) {
        return passes(Some(&Value::Word(experiment.word())));
    }
    match source(path, key) {
        Source::Axis(axis) => axis
            .member(key)
            .is_some_and(|member| member.values.iter().any(|value| passes(Some(value)))),
        Source::Fixed(given) => passes(Some(&given.value)),
        Source::Unknown => true,
        Source::Default => passes(key.setting().fallback.value().as_ref()),
    }
}

/// Whether a setting can mean something on this path: an over-estimate, each condition for itself.
pub(crate) fn may_apply(path: &Path<'_>, key: Key, experiment: Experiment) -> bool {
    let holds = |condition: &Condition| {
        let other_applies = may_apply(path, condition.key, experiment);
        let passes = |value: Option<&Value>| condition.holds(value);
        (!other_applies && condition.holds(None))
            || (other_applies && may(path, condition.key, experiment, &passes))
    };
    match key.setting().applies {
        Applies::Always => true,
        Applies::All(conditions) => conditions.iter().all(holds),
        Applies::Any(conditions) => conditions.iter().any(holds),
    }
}

/// Calls `visit` with every path, outer ones before inner ones.
pub(crate) fn each_path<'b>(root: &'b Block, visit: &mut dyn FnMut(&Path<'b>)) {
    fn walk<'b>(path: &mut Vec<&'b Block>, visit: &mut dyn FnMut(&Path<'b>)) {
        visit(path);
        let Some(block) = path.last().copied() else {
            return;
        };
        for inner in &block.blocks {
            path.push(inner);
            walk(path, visit);
            path.pop();
        }
    }
    walk(&mut vec![root], visit);
}
