//! Measures enumeration: a million points with parameters and cost, and then with their identities.
#![expect(clippy::print_stdout, reason = "an example reports to the terminal")]

use std::collections::BTreeMap;
use std::time::Instant;

use descent_spec::data::KnownData;
use descent_spec::id::ContentHash;
use descent_spec::plan::Plan;
use descent_spec::sweep::Sweep;

const FILE: &str = r#"
name = "million"
[data]
dataset = "mnist-4k"
[train]
epochs = 600
optimizer = { kind = "sgd", lr = 0.01, momentum = 0.95 }
[axes]
width = { range = [1, 1000], step = 1 }
label_noise = { linear = [0, 1], points = 10 }
seed = { count = 100 }
[[exclude]]
when = "width > 900 and label_noise == 0"
"#;

fn main() {
    let known = KnownData {
        hash: ContentHash::of(b"mnist-4k"),
        inputs: 784,
        outputs: 10,
        train_samples: 4_000,
        test_samples: 10_000,
        image: None,
    };
    let data = BTreeMap::from([("mnist-4k".to_owned(), known)]);
    let file = if std::env::args().any(|argument| argument == "--reuse") {
        FILE.replace(
            "epochs = 600",
            "epochs = 600\nweight_reuse = \"below-threshold\"",
        )
    } else {
        FILE.to_owned()
    };
    let start = Instant::now();
    let grid = Sweep::parse(&file)
        .and_then(|sweep| sweep.grid(&data))
        .expect("the file is right");
    println!("parsed in {:?}", start.elapsed());

    let start = Instant::now();
    let (mut points, mut parameters, mut cost) = (0_u64, 0_u64, 0.0);
    for measure in (0..grid.raw_points()).filter_map(|rank| grid.measure(rank)) {
        points += 1;
        parameters += measure.parameters;
        cost += measure.cost;
    }
    println!(
        "{points} points, {parameters} parameters, {cost:.3e} operations in {:?}",
        start.elapsed()
    );

    let start = Instant::now();
    let named = (0..grid.raw_points()).filter_map(|rank| grid.point(rank));
    let ones = named.fold(0_u32, |sum, point| {
        sum.wrapping_add(point.key.identity.0[0].into())
    });
    println!("identities in {:?} (check {ones})", start.elapsed());

    let start = Instant::now();
    let plan = Plan::count(&grid, |_| Ok::<_, std::convert::Infallible>(Vec::new()))
        .expect("nobody is asked");
    println!(
        "planned in {:?}: {} trials, {} duplicates",
        start.elapsed(),
        plan.trials(),
        plan.duplicates
    );
}
