//! Chains of stages: parents told by settings, shared baselines, and what is refused.

use std::collections::{BTreeMap, BTreeSet};

use descent_spec::grid::Point;
use descent_spec::id::Identity;

use crate::samples::{grid, points};

const LADDER: &str = r#"name = "ladder"
experiment = "lottery-ticket"
[data]
dataset = "mnist-4k"
[model]
shape = "300-100"
[mask]
kind = "magnitude"
[train]
epochs = 10
optimizer = { lr = 0.01 }
[axes]
control = ["reinit", "ticket", "random"]
seed = { count = 2 }
level = [3, 1, 0, 2]
"#;

/// Points by level, control and seed.
fn by_name(points: &[Point]) -> BTreeMap<(u64, String, u64), &Point> {
    let name = |point: &Point| {
        let value = |name: &str| {
            let found = point.axes.iter().find(|(axis, _)| *axis == name);
            found.map(|(_, value)| value.to_string().trim_matches('"').to_owned())
        };
        let level = value("level").and_then(|level| level.parse().ok());
        let control = value("control").unwrap_or_else(|| "ticket".to_owned());
        (level.unwrap_or(0), control, point.spec.seed)
    };
    points.iter().map(|point| (name(point), point)).collect()
}

/// Every parent has its turn before its children, and those that are fed say so.
fn assert_in_order(points: &[Point]) {
    let mut seen: BTreeSet<Identity> = BTreeSet::new();
    let parents: BTreeSet<Identity> = points.iter().filter_map(|point| point.key.parent).collect();
    for point in points {
        assert!(point.key.parent.is_none_or(|parent| seen.contains(&parent)));
        assert_eq!(point.feeds, parents.contains(&point.key.identity));
        seen.insert(point.key.identity);
    }
}

#[test]
fn levels_are_a_chain_and_controls_hang_on_the_ticket_before() {
    for order in ["", "[run]\norder = \"listed\"\n"] {
        let points = points(&grid(&format!("{LADDER}{order}")));
        assert_in_order(&points);
        let named = by_name(&points);
        for seed in 0..2 {
            let at = |level, control: &str| named[&(level, control.to_owned(), seed)];
            let dense = at(0, "ticket").key.identity;
            for control in ["ticket", "reinit", "random"] {
                assert_eq!(at(0, control).key.identity, dense, "one dense network");
                assert_eq!(at(0, control).key.parent, None);
                assert_eq!(at(1, control).key.parent, Some(dense));
                for level in 2..=3 {
                    let before = at(level - 1, "ticket").key.identity;
                    assert_eq!(at(level, control).key.parent, Some(before));
                }
            }
        }
        // 2 dense networks, and 3 levels of 3 kinds for each.
        let trials: BTreeSet<Identity> = points.iter().map(|point| point.key.identity).collect();
        assert_eq!(trials.len(), 2 + 2 * 3 * 3);
    }
}

#[test]
fn the_dense_network_is_the_same_trial_in_every_experiment() {
    let ladder = points(&grid(LADDER));
    let plain = LADDER
        .replace("[mask]\nkind = \"magnitude\"\n", "")
        .replace("control = [\"reinit\", \"ticket\", \"random\"]\n", "")
        .replace("level = [3, 1, 0, 2]\n", "")
        .replace("lottery-ticket", "risk-curve");
    let plain = points(&grid(&plain));
    let subspaces = LADDER
        .replace("[mask]\nkind = \"magnitude\"\n", "")
        .replace("control = [\"reinit\", \"ticket\", \"random\"]\n", "")
        .replace("level = [3, 1, 0, 2]", "search = [0, 1]")
        .replace("[train]", "[subspace]\ndim = 1000\n[train]")
        .replace("lottery-ticket", "intrinsic-dimension");
    let subspaces = points(&grid(&subspaces));
    let dense = |points: &[Point]| -> BTreeSet<Identity> {
        let roots = points.iter().filter(|point| point.key.parent.is_none());
        roots.map(|point| point.key.identity).collect()
    };
    assert_eq!(dense(&ladder).len(), 2);
    assert_eq!(dense(&ladder), dense(&plain));
    assert_eq!(dense(&ladder), dense(&subspaces));
}

#[test]
fn densities_follow_the_ladder() {
    let points = points(&grid(LADDER));
    let named = by_name(&points);
    let density = |level| named[&(level, "random".to_owned(), 0)].density;
    assert_eq!(density(0), 1.0);
    assert_eq!(density(1), 213_060.0 / 266_200.0);
    assert_eq!(density(2), 170_538.0 / 266_200.0);
}

#[test]
fn one_shot_levels_all_start_from_the_dense_network() {
    let file = LADDER.replace("[train]", "method = \"one-shot\"\n[train]");
    let shot = points(&grid(&file));
    assert_in_order(&shot);
    let iterative = points(&grid(LADDER));
    let (shot, iterative) = (by_name(&shot), by_name(&iterative));
    let at = |of: &BTreeMap<(u64, String, u64), &Point>, level| {
        let point = of[&(level, "ticket".to_owned(), 0)];
        (point.key.identity, point.key.parent)
    };
    // The first level is pruned once either way.
    assert_eq!(at(&shot, 1), at(&iterative, 1));
    assert_ne!(at(&shot, 2), at(&iterative, 2));
    for level in 1..=3 {
        assert_eq!(at(&shot, level).1, Some(at(&shot, 0).0));
    }
}

#[test]
fn a_network_that_keeps_its_state_on_the_way_is_another_trial() {
    let rewound = LADDER.replace("[train]", "rewind = 7\n[train]");
    let (rewound, plain) = (points(&grid(&rewound)), points(&grid(LADDER)));
    assert_in_order(&rewound);
    let roots = |points: &[Point]| -> BTreeSet<Identity> {
        let roots = points.iter().filter(|point| point.key.parent.is_none());
        roots.map(|point| point.key.identity).collect()
    };
    assert_eq!(roots(&rewound).len(), 2);
    assert!(roots(&rewound).is_disjoint(&roots(&plain)));
}

#[test]
fn a_search_is_a_chain_that_begins_at_the_network_itself() {
    let file = r#"name = "search"
experiment = "intrinsic-dimension"
[data]
dataset = "mnist-4k"
[model]
width = 20
[subspace]
dim = 1000
projection = "sparse"
[train]
epochs = 10
optimizer = { lr = 0.01 }
[axes]
search = { range = [0, 4], step = 1 }
seed = { count = 2 }
"#;
    let found = points(&grid(file));
    assert_in_order(&found);
    assert_eq!(found.len(), 10);
    let chained = found.iter().filter(|point| point.key.parent.is_some());
    assert_eq!(chained.count(), 8);
    let steps: Vec<u32> = found
        .iter()
        .filter_map(|point| Some(point.spec.subspace?.search?.step))
        .collect();
    assert_eq!(steps, [1, 1, 2, 2, 3, 3, 4, 4]);
}
