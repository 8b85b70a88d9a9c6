//! The views: the same columns of the same kinds in both databases, the numbers right, the documented queries working.

use std::path::PathBuf;

use descent_coordinator::reader::{Cell, ColumnKind, Table};
use descent_spec::details::{
    Code, CodeBlock, DegreesOfFreedom, DescriptionLength, Details, Expressivity,
};
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
        edition: 1,
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
        edition: 1,
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

/// Two seeds of a trial with these details.
async fn detailed(f: &Fixture, name: &str, experiment: &str, details: [Details; 2]) {
    let mut sweep = new_sweep(name, 2);
    sweep.experiment = experiment.to_owned();
    let sweep = f.submit(&sweep).await;
    let first = if experiment == "description-length" {
        10
    } else {
        20
    };
    let slice = descent_coordinator::store::Slice {
        sweep,
        edition: 1,
        from: 0,
        to: 2,
        trials: (first..first + 2).map(new_trial).collect(),
        last: true,
    };
    f.store.expand(&slice, at(0)).await.unwrap();
    let worker = f.open(1).await;
    for (details, trial) in details.into_iter().zip(f.claim(worker, 2).await) {
        let result = TrialResult {
            details: Some(details),
            ..result()
        };
        let done = [(fence(worker, &trial), result)];
        f.store.complete(&done, at(2)).await.unwrap();
    }
}

/// A message of 12 labels in two blocks.
fn description(second: f64) -> Details {
    let code = |code: &str, model_bits, label_bits| Code {
        code: code.to_owned(),
        model_bits,
        label_bits,
        weight_bits: (model_bits > 0.0).then_some(32),
        test_error: None,
    };
    let block = |sent, samples, uniform_bits, bits| CodeBlock {
        sent,
        samples,
        uniform_bits,
        bits,
        error: (sent > 0).then_some(0.25),
        epoch: (sent > 0).then_some(3),
    };
    Details::DescriptionLength(DescriptionLength {
        codes: vec![
            code("uniform", 0.0, 36.0),
            code("two-part", 3200.0, 4.0),
            code("prequential", 0.0, 24.0 + second),
        ],
        blocks: vec![block(0, 8, 24.0, 24.0), block(8, 4, 12.0, second)],
    })
}

fn freedom(estimate: Option<f64>) -> Details {
    Details::DegreesOfFreedom(DegreesOfFreedom {
        estimate,
        standard_error: Some(0.5),
        closed_form: None,
        draws: 5,
    })
}

async fn codes_and_freedom(f: &Fixture) {
    let codes = [description(6.0), description(8.0)];
    detailed(f, "codes", "description-length", codes).await;
    let freedom = [freedom(Some(10.0)), freedom(None)];
    detailed(f, "freedom", "degrees-of-freedom", freedom).await;
}

#[tokio::test]
async fn small_tables_within_a_result_are_rows_of_its_view() {
    let sqlite = fixture::sqlite().await;
    codes_and_freedom(&sqlite).await;
    let questions = [
        "SELECT code, n, kbit_mean, ratio_mean, model_kbit_mean, weight_bits_mean FROM description_length ORDER BY code",
        "SELECT sent, block_samples, n, kbit_mean, cumulative_kbit_mean, error_mean, epoch_mean FROM description_length_blocks ORDER BY sent",
        "SELECT n, freedom_mean, freedom_sd, standard_error_mean, closed_form_mean, epsilon, draws, probes FROM degrees_of_freedom",
    ];
    let text = |text: &str| Cell::Text(text.to_owned());
    let (int, float) = (Cell::Int, Cell::Float);
    let answers = [
        vec![
            vec![
                text("prequential"),
                int(2),
                float(0.031),
                float(31.0 / 36.0),
                float(0.0),
                Cell::Null,
            ],
            vec![
                text("two-part"),
                int(2),
                float(3.204),
                float(89.0),
                float(3.2),
                float(32.0),
            ],
            vec![
                text("uniform"),
                int(2),
                float(0.036),
                float(1.0),
                float(0.0),
                Cell::Null,
            ],
        ],
        vec![
            vec![
                int(0),
                int(8),
                int(2),
                float(0.024),
                float(0.024),
                Cell::Null,
                Cell::Null,
            ],
            vec![
                int(8),
                int(4),
                int(2),
                float(0.007),
                float(0.031),
                float(0.25),
                float(3.0),
            ],
        ],
        vec![vec![
            int(2),
            float(10.0),
            Cell::Null,
            float(0.5),
            Cell::Null,
            float(0.01),
            int(5),
            text("normal"),
        ]],
    ];
    for (question, answer) in questions.iter().zip(&answers) {
        let found = ask(&sqlite, question).await;
        assert_eq!(found.rows.len(), answer.len(), "{question}: {found:?}");
        for (found, wanted) in found.rows.iter().flatten().zip(answer.iter().flatten()) {
            match (found, wanted) {
                (Cell::Float(found), Cell::Float(wanted)) => {
                    assert!(
                        (found - wanted).abs() < 1e-12,
                        "{question}: {found} {wanted}"
                    );
                }
                _ => assert_eq!(found, wanted, "{question}"),
            }
        }
    }
    let Some(postgres) = fixture::postgres().await else {
        return;
    };
    codes_and_freedom(&postgres).await;
    for sql in questions {
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
        "description_length",
        "description_length_blocks",
        "degrees_of_freedom",
        "layer_robustness",
        "memorization",
        "lottery_ticket",
        "intrinsic_dimension",
        "intrinsic_dimension_reached",
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
