//! Every way to write an axis, and what it comes to.

use crate::samples::{HEAD, grid_with};
use descent_spec::sweep::Sweep;

fn values(axis: &str) -> Vec<String> {
    let (name, _) = axis.split_once(" =").expect("an axis has a name");
    let grid = grid_with(&format!("[run]\norder = \"listed\"\n[axes]\n{axis}\n"));
    crate::samples::along(&grid, name)
}

#[test]
fn forms_of_axes() {
    assert_eq!(values("width = [3, 1, 2]"), ["3", "1", "2"]);
    assert_eq!(values("width = { values = [3, 1] }"), ["3", "1"]);
    assert_eq!(
        values("width = { range = [1, 7], step = 2 }"),
        ["1", "3", "5", "7"]
    );
    assert_eq!(
        values("lr = { range = [0.1, 0.5], step = 0.1 }"),
        ["0.1", "0.2", "0.3", "0.4", "0.5"]
    );
    assert_eq!(
        values("label_noise = { linear = [0, 1], points = 5 }"),
        ["0.0", "0.25", "0.5", "0.75", "1.0"]
    );
    assert_eq!(
        values("width = { linear = [1, 4], points = 3 }"),
        ["1", "3", "4"]
    );
    assert_eq!(
        values("lr = { log = [0.001, 1], points = 4 }"),
        ["0.001", "0.01", "0.1", "1.0"]
    );
    assert_eq!(
        values("width = { log = [1, 8], points = 7 }"),
        ["1", "2", "3", "4", "6", "8"]
    );
    assert_eq!(values("seed = { count = 3 }"), ["0", "1", "2"]);
    assert_eq!(
        values("optimizer = [\"sgd\", \"adam\"]"),
        ["\"sgd\"", "\"adam\""]
    );
}

#[test]
fn both_ends_belong_to_a_generated_axis() {
    for (first, last, points) in [(1, 1000, 40), (3, 1000, 12), (5, 9, 30)] {
        for form in ["log", "linear"] {
            let found = values(&format!(
                "width = {{ {form} = [{first}, {last}], points = {points} }}"
            ));
            assert_eq!(found.first(), Some(&first.to_string()));
            assert_eq!(found.last(), Some(&last.to_string()));
            let mut unique = found.clone();
            unique.dedup();
            assert_eq!(unique, found);
        }
    }
}

#[test]
fn short_and_dotted_names_are_the_same_axis() {
    let point = |axis: &str| {
        grid_with(&format!("[axes]\n{axis} = [0.5]\n"))
            .point(0)
            .unwrap()
    };
    assert_eq!(point("lr"), point("\"train.optimizer.lr\""));
}

#[test]
fn a_sweep_says_what_it_is_about() {
    let sweep = Sweep::parse(&format!(
        "{}[axes]\ndataset = [\"mnist\", \"mnist-4k\"]\nseed = {{ count = 2 }}\n[run]\npriority = 7\ndevice = \"cpu\"\n",
        HEAD.replace("test", "a-b2")
    ))
    .unwrap();
    assert_eq!(sweep.name(), "a-b2");
    assert_eq!(sweep.data_sets(), ["mnist", "mnist-4k"]);
    assert_eq!(sweep.axis_names(), ["dataset", "seed"]);
    assert_eq!(
        (sweep.run().priority, sweep.run().device.as_deref()),
        (7, Some("cpu"))
    );
    assert_eq!(sweep.run().max_failures, 3);
}

/// The sweeps that ship: each names its schema, has no mistake, and describes points over data of the usual extent.
#[test]
fn shipped_sweeps_have_no_mistakes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sweeps");
    for file in std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if file.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let source = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            source.lines().next(),
            Some("#:schema ./sweep.schema.json"),
            "{}",
            file.display()
        );
        let sweep = Sweep::parse(&source)
            .unwrap_or_else(|mistakes| panic!("{}: {mistakes}", file.display()));
        let usual = crate::samples::data();
        let known = |name: &&str| usual.get(*name).copied().unwrap_or(usual["mnist"]);
        let data = sweep
            .data_sets()
            .iter()
            .map(|name| ((*name).to_owned(), known(name)))
            .collect();
        let grid = sweep
            .grid(&data)
            .unwrap_or_else(|mistakes| panic!("{}: {mistakes}", file.display()));
        assert!(grid.point(0).is_some() || grid.count() > 0);
    }
}
