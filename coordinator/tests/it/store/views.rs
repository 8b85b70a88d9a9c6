//! The views: the same columns of the same kinds in both databases, the numbers right, the documented queries working.

use std::path::PathBuf;

use descent_coordinator::reader::{Cell, ColumnKind, Table};
use descent_spec::details::{Details, Expressivity};
use descent_spec::outcome::TrialResult;

use super::fixture::{self, Fixture, at, fence, measurement, new_sweep, new_trial, result};

/// A finished sweep of widths 1 to 3 with two seeds each, a random-features sweep beside it, and metrics.
async fn fill(f: &Fixture) {
    f.sweep_of("mnist-double-descent", (0..6).map(new_trial).collect())
        .await;
    let mut features = new_sweep("random-features", 2);
    features.experiment = "random-features".to_owned();
    let sweep = f.submit(&features).await;
    let trials = (20..22).map(new_trial).collect();
    let slice = descent_coordinator::store::Slice {
        sweep,
        from: 0,
        to: 2,
        trials,
        last: true,
    };
    f.store.expand(&slice, at(0)).await.unwrap();
    let worker = f.open(1).await;
    for (n, trial) in (0_u32..).zip(f.claim(worker, 7).await) {
        let fence = fence(worker, &trial);
        let loss = f64::from(n + 1) / 8.0;
        let measured = [measurement(1, loss * 2.0), measurement(5, loss)];
        f.store
            .append_metrics(fence, 1, &measured, at(1))
            .await
            .unwrap();
        let last = measurement(5, loss);
        let result = TrialResult {
            last,
            coefficient_norm: Some(loss),
            ..result()
        };
        f.store
            .complete(&[(fence, result)], at(2 + i64::from(n)))
            .await
            .unwrap();
    }
}

async fn both() -> Option<[Fixture; 2]> {
    let postgres = fixture::postgres().await?;
    let sqlite = fixture::sqlite().await;
    fill(&postgres).await;
    fill(&sqlite).await;
    Some([sqlite, postgres])
}

async fn ask(f: &Fixture, sql: &str) -> Table {
    f.reader()
        .await
        .query(sql, 1000)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Whether two cells say the same: booleans are 0 and 1 in SQLite, JSON has its own spaces, roots differ in a last bit.
fn same(sqlite: &Cell, postgres: &Cell) -> bool {
    match (sqlite, postgres) {
        (Cell::Int(int), Cell::Bool(bool)) => *int == i64::from(*bool),
        (Cell::Float(a), Cell::Float(b)) => (a - b).abs() <= 1e-12 * a.abs().max(1.0),
        (Cell::Int(a), Cell::Float(b)) => (*a as f64 - b).abs() < 1e-12,
        (Cell::Text(a), Cell::Text(b)) if a.starts_with('{') => {
            let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            parse(a) == parse(b)
        }
        (a, b) => a == b,
    }
}

fn assert_same(sqlite: &Table, postgres: &Table, what: &str) {
    let names = |table: &Table| {
        table
            .columns
            .iter()
            .map(|c| c.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(sqlite), names(postgres), "{what}");
    assert_eq!(sqlite.rows.len(), postgres.rows.len(), "{what}");
    for (at, column) in sqlite.columns.iter().enumerate() {
        let other = postgres.columns[at].kind;
        let known = sqlite.rows.iter().any(|row| row[at] != Cell::Null);
        let agree = column.kind == other
            || (column.kind == ColumnKind::Int
                && matches!(other, ColumnKind::Bool | ColumnKind::Float))
            || !known;
        assert!(
            agree,
            "{what}: {} is {:?} and {other:?}",
            column.name, column.kind
        );
    }
    for (a, b) in sqlite.rows.iter().zip(&postgres.rows) {
        assert!(
            a.iter().zip(b).all(|(a, b)| same(a, b)),
            "{what}: {a:?} and {b:?}"
        );
    }
}

#[tokio::test]
async fn a_curve_by_epoch_has_a_row_for_each_measured_epoch() {
    let f = fixture::sqlite().await;
    fill(&f).await;
    let table = ask(
        &f,
        "SELECT width, epoch, n, test_loss_mean FROM risk_curve_by_epoch ORDER BY width, epoch LIMIT 2",
    )
    .await;
    // Losses at epoch 1 are twice those at the end, and test losses twice the training's.
    assert_eq!(
        table.rows,
        [
            [Cell::Int(1), Cell::Int(1), Cell::Int(2), Cell::Float(0.75)],
            [Cell::Int(1), Cell::Int(5), Cell::Int(2), Cell::Float(0.375)],
        ]
    );
}

#[tokio::test]
async fn both_databases_show_the_same() {
    let Some([sqlite, postgres]) = both().await else {
        return;
    };
    for view in [
        "trials ORDER BY sweep, point",
        "results ORDER BY sweep, point",
        "metrics ORDER BY trial, epoch, split, name",
        "risk_curve ORDER BY width",
        "risk_curve_by_epoch ORDER BY width, epoch",
        "random_features ORDER BY width",
        "sweep_mnist_double_descent ORDER BY trial",
    ] {
        let sql = format!("SELECT * FROM {view}");
        assert_same(&ask(&sqlite, &sql).await, &ask(&postgres, &sql).await, view);
    }
}

#[tokio::test]
async fn a_curve_has_the_mean_and_the_deviation_of_its_seeds() {
    let f = fixture::sqlite().await;
    fill(&f).await;
    let table = ask(
        &f,
        "SELECT width, n, test_loss_mean, test_loss_sd FROM risk_curve ORDER BY width",
    )
    .await;
    // Test losses are (n + 1) / 4, two by two.
    for (row, (width, mean)) in table.rows.iter().zip([(1, 0.375), (2, 0.875), (3, 1.375)]) {
        assert_eq!(
            row[..3],
            [Cell::Int(width), Cell::Int(2), Cell::Float(mean)]
        );
        let Cell::Float(sd) = row[3] else {
            panic!("{row:?}")
        };
        assert!((sd - 0.25 / 2_f64.sqrt()).abs() < 1e-15, "{sd}");
    }
    let subspaces = ask(
        &f,
        "SELECT width, model, subspace_dim, projection, density FROM risk_curve ORDER BY width DESC LIMIT 2",
    )
    .await;
    let row = |width, dim, projection| {
        let (mlp, density) = (Cell::Text("mlp".to_owned()), Cell::Float(0.5));
        [Cell::Int(width), mlp, Cell::Int(dim), projection, density]
    };
    let fastfood = Cell::Text("fastfood".to_owned());
    assert_eq!(subspaces.rows, [row(3, 7, fastfood), row(2, 0, Cell::Null)]);
    let alone = ask(&f, "SELECT n, test_loss_sd FROM random_features").await;
    assert_eq!(alone.rows, [[Cell::Int(1), Cell::Null]]);
}

/// Networks built for 100 samples with two seeds: one fits, one does not.
async fn build(f: &Fixture) {
    let mut sweep = new_sweep("built", 2);
    sweep.experiment = "expressivity".to_owned();
    let sweep = f.submit(&sweep).await;
    let slice = descent_coordinator::store::Slice {
        sweep,
        from: 0,
        to: 2,
        trials: (0..2).map(new_trial).collect(),
        last: true,
    };
    f.store.expand(&slice, at(0)).await.unwrap();
    let worker = f.open(1).await;
    for (misfits, trial) in (0_u32..).zip(f.claim(worker, 2).await) {
        let details = Details::Expressivity(Expressivity {
            distinct: 90 + misfits,
            direction: 0,
            misfits,
            max_error: Some(if misfits == 0 { 1e-27 } else { 0.75 }),
            smallest_gap: Some(1e-9),
            largest_weight: (misfits == 0).then_some(2e9),
        });
        let result = TrialResult {
            details: Some(details),
            ..result()
        };
        let done = [(fence(worker, &trial), result)];
        f.store.complete(&done, at(2)).await.unwrap();
    }
}

#[tokio::test]
async fn details_of_an_experiment_are_columns_of_its_view() {
    let sqlite = fixture::sqlite().await;
    build(&sqlite).await;
    let table = ask(
        &sqlite,
        "SELECT n, exact_share, distinct_min, misfits_mean, misfits_max, max_error_max, smallest_gap_min, largest_weight_mean, precision, labels
         FROM expressivity",
    )
    .await;
    let text = |text: &str| Cell::Text(text.to_owned());
    assert_eq!(
        table.rows,
        [[
            Cell::Int(2),
            Cell::Float(0.5),
            Cell::Int(90),
            Cell::Float(0.5),
            Cell::Int(1),
            Cell::Float(0.75),
            Cell::Float(1e-9),
            Cell::Float(2e9),
            text("double-double"),
            text("true"),
        ]]
    );
    let Some(postgres) = fixture::postgres().await else {
        return;
    };
    build(&postgres).await;
    for sql in [
        "SELECT * FROM expressivity",
        "SELECT details FROM results ORDER BY point",
    ] {
        assert_same(&ask(&sqlite, sql).await, &ask(&postgres, sql).await, sql);
    }
}

#[tokio::test]
async fn every_documented_column_is_there_and_every_column_is_documented() {
    let f = fixture::sqlite().await;
    let page = page();
    for view in [
        "trials",
        "metrics",
        "risk_curve",
        "risk_curve_by_epoch",
        "random_features",
        "expressivity",
    ] {
        let section = page.split(&format!("\n## `{view}`")).nth(1).expect(view);
        let section = section.split("\n## ").next().unwrap();
        let mut documented: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .flat_map(|line| line.split(" | ").next().unwrap().split("`, `"))
            .map(|name| name.trim_end_matches('`'))
            .collect();
        documented.sort_unstable();
        let table = ask(&f, &format!("SELECT * FROM {view}")).await;
        let mut there: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        there.sort_unstable();
        assert_eq!(documented, there, "{view}");
    }
}

#[tokio::test]
async fn the_documented_queries_answer_the_same_on_both_databases() {
    let Some([sqlite, postgres]) = both().await else {
        return;
    };
    let page = page();
    let queries: Vec<&str> = page
        .split("```sql\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(queries.len() >= 10, "{} queries", queries.len());
    for sql in queries {
        let (a, b) = (ask(&sqlite, sql).await, ask(&postgres, sql).await);
        assert!(!a.rows.is_empty(), "no rows: {sql}");
        assert_same(&a, &b, sql);
    }
}

fn page() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/sql.md");
    std::fs::read_to_string(path).unwrap()
}
