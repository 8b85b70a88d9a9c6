//! Totals: duplicates counted once, finished trials taken off, widths apart.

use std::convert::Infallible;

use descent_spec::plan::{CHUNK, Plan};

use crate::samples::{grid_with, points};

fn none(_: &[descent_spec::id::Identity]) -> Result<Vec<descent_spec::id::Identity>, Infallible> {
    Ok(Vec::new())
}

#[test]
fn duplicates_are_one_trial() {
    // Momentum means nothing to Adam: its two points are one trial.
    let grid = grid_with(
        "[axes]\noptimizer = [\"sgd\", \"adam\"]\nmomentum = [0.0, 0.9]\nwidth = [10, 20]\n",
    );
    let plan = Plan::count(&grid, none).unwrap();
    assert_eq!(
        (
            plan.places,
            plan.points,
            plan.duplicates,
            plan.trials(),
            plan.left()
        ),
        (8, 8, 2, 6, 6)
    );
    assert_eq!(
        plan.widths.values().map(|width| width.trials).sum::<u64>(),
        6
    );
    assert_eq!(plan.threshold, Some((40_000, 40_000)));
    let distinct: f64 = plan.widths.values().map(|width| width.cost).sum();
    assert!((plan.cost - distinct).abs() <= 1e-9 * plan.cost);
    assert_eq!(plan.widths[&10].min_parameters, 7_960);
}

#[test]
fn finished_trials_are_taken_off() {
    let grid = grid_with("[axes]\nwidth = [10, 20]\nseed = { count = 3 }\n");
    let first = points(&grid)[0].clone();
    let mut asked = Vec::new();
    let plan = Plan::count(&grid, |chunk| {
        asked.extend_from_slice(chunk);
        Ok::<_, Infallible>(vec![first.key.identity])
    })
    .unwrap();
    assert_eq!((plan.finished, plan.left(), asked.len()), (1, 5, 6));
    assert!((plan.cost - plan.cost_left - first.cost).abs() <= 1e-9 * plan.cost);
}

#[test]
fn many_are_asked_for_in_chunks_and_an_error_ends_it() {
    let grid = grid_with(&format!("[axes]\nseed = {{ count = {} }}\n", 2 * CHUNK + 1));
    let mut sizes = Vec::new();
    let plan = Plan::count(&grid, |chunk| {
        sizes.push(chunk.len());
        Ok::<_, Infallible>(chunk.to_vec())
    });
    assert_eq!((plan.unwrap().left(), sizes), (0, vec![CHUNK, CHUNK, 1]));
    assert_eq!(Plan::count(&grid, |_| Err("gone")), Err("gone"));
}
