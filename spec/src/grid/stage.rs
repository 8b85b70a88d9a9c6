//! Stages: trials that start from another one of the same experiment, told by their settings.
//!
//! A rule changes the settings of a point to those of its parent. That one is a point like any other, with a parent of its own.

use std::collections::{BTreeSet, HashSet};

use super::Grid;
use super::check::MAX_POINT_MISTAKES;
use crate::id::Identity;
use crate::setting::Key;
use crate::sweep::{Report, Sweep};
use crate::trial::{Experiment, MaskSpec, PruneMethod, TrialSpec};
use crate::value::Value;
use crate::values::Values;

/// Settings that count stages: an axis of one of them is worked through from below.
pub(super) const COUNTS: [Key; 2] = [Key::MaskLevel, Key::SubspaceSearch];

/// What a point's parent must be called when it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The setting that the stages are counted by.
    pub(super) key: Key,
    /// The point's own stage.
    pub(super) stage: u64,
    /// The stage that it starts from.
    pub(super) from: u64,
}

/// The settings of the trial that this one starts from, and why; `None` where it starts by itself.
pub(super) fn parent(values: &Values, spec: &TrialSpec) -> Option<(Values, Rule)> {
    let mut parent = values.clone();
    if let MaskSpec::Magnitude(pruning) = spec.mask {
        let stage = u64::from(pruning.level);
        let from = match pruning.method {
            PruneMethod::Iterative => stage.checked_sub(1)?,
            PruneMethod::OneShot => {
                stage.checked_sub(1)?;
                0
            }
        };
        parent.set(Key::MaskLevel, Value::Integer(from));
        // Every control hangs on the ticket before it.
        parent.clear(Key::MaskControl);
        parent.clear(Key::MaskDraw);
        let key = Key::MaskLevel;
        return Some((parent, Rule { key, stage, from }));
    }
    let stage = u64::from(spec.subspace?.search?.step);
    let from = stage - 1;
    parent.set(Key::SubspaceSearch, Value::Integer(from));
    let key = Key::SubspaceSearch;
    Some((parent, Rule { key, stage, from }))
}

/// The settings of the same network outside of subspaces.
pub(super) fn baseline(values: &Values, spec: &TrialSpec) -> Option<Values> {
    let inside = spec
        .subspace
        .is_some_and(|subspace| subspace.search.is_none());
    inside.then(|| {
        let mut values = values.clone();
        values.set(Key::SubspaceDim, Value::Integer(0));
        values
    })
}

/// Leaves out what makes no difference at a stage: a dense network is the same trial whatever is to be pruned of it later.
pub(super) fn settle(values: &mut Values, spec: &TrialSpec) {
    if spec.subspace.is_none() {
        for key in [
            Key::SubspaceDim,
            Key::SubspaceGoal,
            Key::SubspaceLow,
            Key::SubspaceProjection,
            Key::SubspaceSearch,
            Key::SubspaceThreshold,
        ] {
            values.clear(key);
        }
    }
    let MaskSpec::Magnitude(pruning) = spec.mask else {
        return;
    };
    if pruning.level <= 1 {
        values.clear(Key::MaskMethod);
    }
    if pruning.conv_rate == pruning.rate {
        values.clear(Key::MaskConvRate);
    }
    if pruning.level == 0 {
        for key in [
            Key::MaskControl,
            Key::MaskConvRate,
            Key::MaskDraw,
            Key::MaskOutputRate,
            Key::MaskRate,
            Key::MaskScope,
        ] {
            values.clear(key);
        }
        // What is set back to the initial weights needs nothing of the dense network but its end.
        if pruning.rewind == 0 {
            values.clear(Key::MaskKind);
            values.clear(Key::MaskLevel);
        }
    }
}

/// The points that others start from as stages, all of them, each before those: it takes a look at every point.
pub(super) fn check(grid: &Grid, report: &mut Report<'_>, sweep: &Sweep) -> HashSet<Identity> {
    let mut fed = HashSet::new();
    let compares = sweep.experiment() == Experiment::IntrinsicDimension;
    let prunes = |(kind, _): &(&Value, _)| kind.as_text() == Some("magnitude");
    let has_stages = sweep.root.everything(Key::MaskKind).iter().any(prunes)
        || !sweep.root.everything(Key::SubspaceSearch).is_empty();
    if !compares && !has_stages {
        return fed;
    }
    let mut seen = HashSet::new();
    let mut compared = HashSet::new();
    let mut noted = BTreeSet::new();
    let first = |key: Key| {
        let mut all = sweep.root.everything(key);
        all.extend(sweep.root.everything(Key::MaskKind));
        all.first().map_or(0..0, |(_, span)| span.clone())
    };
    for rank in 0..grid.raw_points() {
        let Some(point) = grid.point(rank) else {
            continue;
        };
        seen.insert(point.key.identity);
        if compares {
            compared.extend(grid.baseline(&grid.layout.by_rank(rank)));
        }
        let Some((rule, parent)) = grid.stage(&grid.layout.by_rank(rank)) else {
            continue;
        };
        fed.insert(parent);
        if !seen.contains(&parent) && noted.insert((rule.key, rule.from)) {
            let name = rule.key.setting().short();
            let place = first(rule.key);
            let message = format!(
                "{name} {} starts from {name} {} with all else equal, which is not among the points before it",
                rule.stage, rule.from
            );
            let help = format!(
                "let it run from 0 without a gap, {name} = {{ range = [0, {}], step = 1 }}, and where others have a `control`, keep \"ticket\" among them",
                rule.stage
            );
            report.add_with_help(place, rule.key.setting().name, message, Some(help));
        }
        if noted.len() >= MAX_POINT_MISTAKES {
            break;
        }
    }
    if noted.is_empty() && !compared.is_subset(&seen) {
        let message = "accuracies in a subspace are compared with the network's own, and of some network that is not among the points";
        let help = "let 0 be a value of subspace.dim: every parameter is trained itself".to_owned();
        let place = first(Key::SubspaceDim);
        report.add_with_help(place, "subspace.dim", message.to_owned(), Some(help));
    }
    fed
}
