//! Data sets and sweep files that the tests share.

use std::collections::BTreeMap;

use descent_spec::data::{Image, KnownData};
use descent_spec::grid::{Grid, Point};
use descent_spec::id::ContentHash;
use descent_spec::sweep::Sweep;

/// What a submitter would have found.
pub(crate) fn data() -> BTreeMap<String, KnownData> {
    let known = |name: &str, inputs, train_samples, test_samples| {
        let hash = ContentHash::of(name.as_bytes());
        (
            name.to_owned(),
            KnownData {
                hash,
                inputs,
                outputs: 10,
                train_samples,
                test_samples,
                image: Image::new(1, 28, 28, inputs).or_else(|| Image::new(1, 12, 12, inputs)),
            },
        )
    };
    BTreeMap::from([
        known("mnist-4k", 784, 4_000, 10_000),
        known("mnist", 784, 60_000, 10_000),
        known("points", 20, 2_000, 1_000),
        known("tiny", 144, 2_000, 1_000),
    ])
}

/// A complete body without axes, to put `[axes]` and more behind.
pub(crate) const HEAD: &str = r#"name = "test"
[data]
dataset = "mnist-4k"
[model]
width = 20
[train]
epochs = 10
optimizer = { kind = "sgd", lr = 0.01 }
"#;

/// The grid of a file that has no mistakes.
pub(crate) fn grid(source: &str) -> Grid {
    let sweep = Sweep::parse(source).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    sweep
        .grid(&data())
        .unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// The grid of [`HEAD`] and something behind it.
pub(crate) fn grid_with(tail: &str) -> Grid {
    grid(&format!("{HEAD}{tail}"))
}

/// All points in the order of work.
pub(crate) fn points(grid: &Grid) -> Vec<Point> {
    (0..grid.raw_points())
        .filter_map(|rank| grid.point(rank))
        .collect()
}

/// The values of one axis over all points, in the order of work, as text.
pub(crate) fn along(grid: &Grid, axis: &str) -> Vec<String> {
    points(grid)
        .iter()
        .map(|point| {
            let value = point.axes.iter().find(|(name, _)| *name == axis);
            value.map_or_else(|| "-".to_owned(), |(_, value)| value.to_string())
        })
        .collect()
}

/// Compares a generated file of this crate (path from its folder) with the committed one, or writes it when `DESCENT_BLESS` is set.
pub(crate) fn bless(path: &str, committed: &str, generated: &str) {
    if std::env::var_os("DESCENT_BLESS").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::write(path, generated).expect("the working copy can be written");
    } else if committed != generated {
        let differs = committed
            .lines()
            .zip(generated.lines())
            .find(|(a, b)| a != b);
        panic!(
            "{path} is out of date; DESCENT_BLESS=1 writes it anew. First difference: {differs:#?}"
        );
    }
}
