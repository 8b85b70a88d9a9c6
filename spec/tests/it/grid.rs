//! Enumeration: every place once, parents before children, and the order that is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;

use crate::samples::{HEAD, along, data, grid, grid_with, points};
use descent_spec::sweep::Sweep;

#[test]
fn ends_first_then_midpoints_all_seeds_together() {
    let grid = grid_with("[axes]\nseed = { count = 2 }\nwidth = [10, 20, 30, 40, 50]\n");
    assert_eq!(
        along(&grid, "width"),
        ["10", "10", "50", "50", "30", "30", "20", "20", "40", "40"]
    );
    assert_eq!(
        along(&grid, "seed"),
        ["0", "1", "0", "1", "0", "1", "0", "1", "0", "1"]
    );
    // The number of a point is that of the file's order, whatever the order of work.
    let indices: Vec<u64> = points(&grid).iter().map(|point| point.index).collect();
    assert_eq!(indices, [0, 5, 4, 9, 2, 7, 1, 6, 3, 8]);
}

#[test]
fn the_longest_axis_refines_slowest() {
    let grid = grid_with("[axes]\nlabel_noise = [0.0, 0.2]\nwidth = [10, 20, 30]\n");
    assert_eq!(along(&grid, "width"), ["10", "10", "30", "30", "20", "20"]);
    assert_eq!(
        along(&grid, "label_noise"),
        ["0.0", "0.2", "0.0", "0.2", "0.0", "0.2"]
    );
}

#[test]
fn listed_order_is_that_of_the_file() {
    let grid =
        grid_with("[axes]\nwidth = [30, 10, 20]\nseed = [5, 1]\n[run]\norder = \"listed\"\n");
    assert_eq!(along(&grid, "width"), ["30", "30", "10", "10", "20", "20"]);
    assert_eq!(along(&grid, "seed"), ["5", "1", "5", "1", "5", "1"]);
    let indices: Vec<u64> = points(&grid).iter().map(|point| point.index).collect();
    assert_eq!(indices, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn axes_of_a_zip_move_together() {
    let grid = grid_with(
        "[[zip]]\nwidth = [10, 20]\n\"train.optimizer.lr\" = [0.1, 0.05]\n[axes]\nseed = { count = 2 }\n",
    );
    assert_eq!(along(&grid, "width"), ["10", "10", "20", "20"]);
    assert_eq!(along(&grid, "lr"), ["0.1", "0.1", "0.05", "0.05"]);
}

#[test]
fn blocks_add_axes_for_some_points_and_leave_the_others() {
    let grid = grid_with(
        r#"[axes]
"train.optimizer.kind" = ["sgd", "adam"]
seed = { count = 2 }
[[block]]
when = "train.optimizer.kind == 'sgd'"
axes = { momentum = [0.0, 0.5, 0.9] }
[block.train]
weight_decay = 0.1
"#,
    );
    let points = points(&grid);
    assert_eq!(points.len(), 2 * 3 + 2);
    assert_eq!(grid.count(), 8);
    for point in points {
        let adam = point
            .axes
            .iter()
            .any(|(_, value)| value.as_text() == Some("adam"));
        let names: Vec<&str> = point.axes.iter().map(|(name, _)| *name).collect();
        if adam {
            assert_eq!(names, ["optimizer", "seed"]);
        } else {
            assert_eq!(names, ["optimizer", "seed", "momentum"]);
        }
        assert_eq!(point.spec.train.weight_decay, if adam { 0.0 } else { 0.1 });
    }
}

#[test]
fn blocks_nest_and_may_overlap() {
    let grid = grid_with(
        r#"[axes]
width = [10, 20]
[[block]]
when = "width == 20"
axes = { depth = [1, 2] }
[[block.block]]
when = "depth == 2"
axes = { label_noise = [0.1, 0.2] }
[[block]]
axes = { samples = [100, 200] }
"#,
    );
    // Width 10: two of the second block. Width 20: depth 1, depth 2 with two noises, and two of the second block.
    assert_eq!(points(&grid).len(), 2 + 1 + 2 + 2);
}

#[test]
fn excluded_places_keep_their_number() {
    let grid = grid_with(
        "[axes]\nwidth = [10, 20, 30]\n[[exclude]]\nwhen = \"width == 20 or not (width < 30)\"\n",
    );
    assert_eq!((grid.raw_points(), grid.count()), (3, 1));
    let found: Vec<Option<u64>> = (0..4)
        .map(|rank| grid.point(rank).map(|point| point.index))
        .collect();
    assert_eq!(found, [Some(0), None, None, None]);
    assert_eq!(grid.measure(0).map(|measure| measure.width), Some(10));
}

#[test]
fn conditions_see_defaults_and_all_samples() {
    let some = |when: &str| {
        let file = format!(
            "{HEAD}[axes]\nwidth = [10, 20]\n[[exclude]]\nwhen = \"width == 10 and {when}\"\n"
        );
        grid(&file).count() == 1
    };
    assert!(some("data.samples == 4000"));
    assert!(some("data.test_samples > 9999"));
    assert!(some(
        "batch == 100 and momentum == 0 and data.centre == true"
    ));
    assert!(some("width < batch"));
    assert!(some("data.dataset == 'mnist-4k'"));
    assert!(!some("data.samples < 4000"));
    assert!(!some("train.loss != 'squared'"));
}

const CHAIN: &str = r#"name = "chain"
[data]
dataset = "mnist-4k"
[train]
epochs = 10
optimizer = { lr = 0.01 }
weight_reuse = "below-threshold"
[axes]
width = [60, 10, 50, 20]
seed = { count = 2 }
"#;

#[test]
fn reuse_is_a_chain_of_widths_below_the_threshold() {
    let grid = grid(CHAIN);
    let points = points(&grid);
    assert_eq!(
        along(&grid, "width"),
        ["10", "10", "20", "20", "50", "50", "60", "60"]
    );
    let by_width: BTreeMap<(u32, u64), _> = points
        .iter()
        .map(|point| ((point.spec.model.width(), point.spec.seed), point))
        .collect();
    for seed in 0..2 {
        let at = |width: u32| by_width[&(width, seed)];
        // 795·50 + 10 = 39,760 parameters lie below 40,000, those of width 60 above.
        assert_eq!(at(10).key.parent, None);
        assert_eq!(at(20).key.parent, Some(at(10).key.identity));
        assert_eq!(at(50).key.parent, Some(at(20).key.identity));
        assert_eq!(at(60).key.parent, None);
        let feeds: Vec<bool> = [10, 20, 50, 60].map(|width| at(width).feeds).to_vec();
        assert_eq!(feeds, [true, true, false, false]);
    }
    // Any point by itself has the same names as in a walk: the memory of the chain is only a memory.
    for point in &points {
        assert_eq!(
            crate::samples::grid(CHAIN).point(point.rank).as_ref(),
            Some(point)
        );
    }
}

#[test]
fn a_chain_skips_excluded_widths() {
    let grid = grid(&format!(
        "{CHAIN}[[exclude]]\nwhen = \"width == 20 and seed == 1\"\n"
    ));
    let points = points(&grid);
    let find = |width, seed| {
        points
            .iter()
            .find(|p| p.spec.model.width() == width && p.spec.seed == seed)
            .unwrap()
    };
    assert_eq!(find(50, 1).key.parent, Some(find(10, 1).key.identity));
    assert_eq!(find(50, 0).key.parent, Some(find(20, 0).key.identity));
}

#[test]
fn rules_below_the_threshold_come_to_what_they_mean_for_a_network() {
    let never = CHAIN.replace("below-threshold", "never");
    let (chain, never) = (points(&grid(CHAIN)), points(&grid(&never)));
    let names = |points: &[descent_spec::grid::Point]| -> BTreeSet<(u32, String)> {
        points
            .iter()
            .map(|p| (p.spec.model.width(), p.key.identity.to_string()))
            .collect()
    };
    let shared: BTreeSet<u32> = names(&chain)
        .intersection(&names(&never))
        .map(|(w, _)| *w)
        .collect();
    // The narrowest has nobody to start from, the widest does not: both are the trials of a sweep without reuse.
    assert_eq!(shared, BTreeSet::from([10, 60]));
    let scoped = |more: &str| {
        points(&grid_with(&format!("{more}\n[axes]\nwidth = [20, 60]\n")))
            .iter()
            .map(|point| point.params.to_json())
            .collect::<Vec<_>>()
    };
    let schedule = scoped("schedule = { kind = \"step\", scope = \"below-threshold\" }");
    assert!(
        schedule[0].contains("step") && !schedule[1].contains("schedule"),
        "{schedule:?}"
    );
    let stop = scoped("stop_at_zero_error = \"below-threshold\"");
    assert!(
        stop[0].contains(r#""train.stop_at_zero_error":"always""#) && !stop[1].contains("stop")
    );
}

#[test]
fn sizes_agree_with_the_points() {
    let grid = grid_with("[axes]\nwidth = [20, 60]\ndepth = [1, 2]\n");
    for rank in 0..grid.raw_points() {
        let (point, measure) = (grid.point(rank).unwrap(), grid.measure(rank).unwrap());
        assert_eq!(point.parameters, measure.parameters);
        assert_eq!(point.cost, measure.cost);
        assert_eq!(measure.threshold, 40_000);
    }
    // 795·H + 10 parameters (Belkin et al. 2019).
    assert_eq!(
        grid.measure(0).map(|measure| measure.parameters),
        Some(795 * 20 + 10)
    );
}

/// A random file: a few axes, seeds, a zip, blocks and an exclusion, in random shapes.
fn any_file() -> impl Strategy<Value = String> {
    (
        prop::collection::vec(1_usize..5, 4),
        0_usize..3,
        any::<[bool; 5]>(),
    )
        .prop_map(|(lengths, blocks, [zip, exclude, listed, reuse, seeds])| {
            let list = |n: usize, scale: usize| {
                (1..=n).map(|i| (i * scale).to_string()).collect::<Vec<_>>().join(", ")
            };
            let mut file = HEAD.to_owned();
            if reuse {
                file += "weight_reuse = \"always\"\n";
            }
            if listed {
                file += "[run]\norder = \"listed\"\n";
            }
            file += "[axes]\n";
            let _ = writeln!(file, "width = [{}]", list(lengths[0], 7));
            let _ = writeln!(file, "depth = [{}]", list(lengths[1], 1));
            if seeds {
                let _ = writeln!(file, "seed = {{ count = {} }}", lengths[2]);
            }
            if zip {
                let _ = writeln!(file, "[[zip]]\nbatch = [{0}]\nepochs = [{0}]", list(lengths[3], 10));
            }
            for block in 0..blocks {
                let _ = writeln!(file, "[[block]]\nwhen = \"width > {}\"", 7 * (block + 1));
                let _ = writeln!(file, "axes = {{ samples = [{}] }}", list(lengths[3], 100));
                if block == 1 {
                    file += "[[block.block]]\nwhen = \"depth == 1\"\naxes = { label_noise = [0.1, 0.2] }\n";
                }
            }
            if exclude {
                file += "[[exclude]]\nwhen = \"width == 14 and depth > 1\"\n";
            }
            file
        })
}

proptest! {
    #[test]
    fn every_place_has_its_turn_once(file in any_file()) {
        let grid = Sweep::parse(&file).unwrap().grid(&data()).unwrap();
        let points = points(&grid);
        prop_assert_eq!(points.len() as u64, grid.count());
        let indices: BTreeSet<u64> = points.iter().map(|point| point.index).collect();
        prop_assert_eq!(indices.len(), points.len());
        prop_assert!(indices.iter().all(|index| *index < grid.raw_points()));
        let places: BTreeSet<String> = points.iter().map(|point| format!("{:?}", point.axes)).collect();
        // Overlapping blocks may repeat a point; without them no two points have the same values.
        if file.matches("[[block]]").count() < 2 {
            prop_assert_eq!(places.len(), points.len());
        }
        let mut seen = BTreeSet::new();
        let mut fed = BTreeSet::new();
        for point in &points {
            if let Some(parent) = point.key.parent {
                prop_assert!(seen.contains(&parent), "a parent comes before its child");
                fed.insert(parent);
            }
            seen.insert(point.key.identity);
        }
        let feeding: BTreeSet<_> = points.iter().filter(|p| p.feeds).map(|p| p.key.identity).collect();
        prop_assert_eq!(fed, feeding);
    }

    #[test]
    fn the_order_of_work_does_not_change_what_there_is(file in any_file()) {
        let named = |file: &str| -> BTreeMap<u64, String> {
            let grid = Sweep::parse(file).unwrap().grid(&data()).unwrap();
            points(&grid).iter().map(|p| (p.index, p.key.identity.to_string())).collect()
        };
        let other = if file.contains("listed") {
            file.replace("listed", "coarse-to-fine")
        } else {
            file.replace("[axes]", "[run]\norder = \"listed\"\n[axes]")
        };
        prop_assert_eq!(named(&file), named(&other));
    }
}
