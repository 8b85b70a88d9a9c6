//! Networks that learn labels and images which mean less and less: how soon they fit, and what carries over to test samples.

mod chart;
mod claims;
mod tables;

use std::collections::BTreeMap;

use super::Shown;
use crate::output::{Cell, Rows};
use crate::report::Measured;

/// How the experiment is shown.
pub(super) const SHOWN: Shown = Shown {
    queries,
    picture: chart::picture,
    report: tables::report,
};

fn queries(sweep: &str) -> Vec<String> {
    vec![
        format!(
            "SELECT axes, model, width, depth, parameters, samples, inputs, labels, label_noise, noise_kind, weight_decay, epochs, n, fitted_share, \
             low_loss_share, fit_epoch_mean, fit_epoch_sd, fit_step_mean, fit_step_sd, low_loss_epoch_mean, low_loss_epoch_sd, low_loss_step_mean, \
             low_loss_step_sd, train_loss_mean, train_loss_sd, train_error_mean, train_error_sd, test_loss_mean, test_loss_sd, test_error_mean, \
             test_error_sd, best_test_error_mean, best_test_error_sd FROM memorization WHERE sweep = {sweep} \
             ORDER BY parameters, label_noise, inputs DESC, labels DESC, weight_decay"
        ),
        format!(
            "SELECT results.axes AS axes, metrics.epoch AS epoch, metrics.value AS value FROM results JOIN metrics ON metrics.trial = results.trial \
             WHERE results.sweep = {sweep} AND metrics.split = 'train' AND metrics.name = 'loss' ORDER BY metrics.epoch, results.trial"
        ),
        format!("SELECT axes, params FROM results WHERE sweep = {sweep} ORDER BY trial"),
    ]
}

/// A point of the sweep: trials that differ in their seed alone.
struct Point {
    /// The sweep's axes that are about the network or how it is held back, in words.
    besides: String,
    /// What is learned.
    task: Task,
    samples: i64,
    seeds: i64,
    fitted: f64,
    fit: Option<Measured>,
    fit_steps: Option<Measured>,
    low_loss: Option<Measured>,
    train_loss: Option<f64>,
    train_error: Option<Measured>,
    test_error: Option<Measured>,
    best_test_error: Option<f64>,
    axes: BTreeMap<String, String>,
    settings: BTreeMap<String, String>,
}

/// What is learned, from what means most to what means least.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Task {
    True,
    Shuffled,
    Gaussian,
    RandomPixels,
    RandomLabels,
    /// This share of the labels is noisy.
    Corrupted(f64),
    /// Anything else: several of these at once.
    Mixed,
}

impl Task {
    fn of(inputs: &str, labels: &str, noise: f64) -> Self {
        match (inputs, labels) {
            ("true", "true") if noise > 0.0 => Self::Corrupted(noise),
            ("true", "true") => Self::True,
            ("true", "random") => Self::RandomLabels,
            ("shuffled", "true") if noise == 0.0 => Self::Shuffled,
            ("random-pixels", "true") if noise == 0.0 => Self::RandomPixels,
            ("gaussian", "true") if noise == 0.0 => Self::Gaussian,
            _ => Self::Mixed,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::True => "true labels",
            Self::Shuffled => "shuffled pixels",
            Self::Gaussian => "gaussian inputs",
            Self::RandomPixels => "random pixels",
            Self::RandomLabels => "random labels",
            Self::Corrupted(_) => "corrupted labels",
            Self::Mixed => "both",
        }
    }

    /// The share of labels that are noisy, where images are true.
    const fn corruption(self) -> Option<f64> {
        match self {
            Self::True => Some(0.0),
            Self::Corrupted(share) => Some(share),
            _ => None,
        }
    }
}

/// Axes that say what is learned.
const TASKS: [&str; 4] = ["inputs", "labels", "label_noise", "noise_kind"];

/// What else a sweep moves, in words; values that switch a thing off are left out.
fn besides(axes: &BTreeMap<String, String>) -> String {
    let last = |axis: &str| axis.rsplit('.').next().unwrap_or(axis).to_owned();
    let words = axes.iter().filter_map(|(axis, value)| {
        let name = last(axis);
        let off = ["0", "0.0", "never", "false", "none"].contains(&value.as_str());
        (!off && !TASKS.contains(&name.as_str()))
            .then(|| format!("{} {value}", name.replace('_', " ")))
    });
    words.collect::<Vec<_>>().join(", ")
}

fn points(answers: &[Rows]) -> Vec<Point> {
    let mut settings: BTreeMap<BTreeMap<String, String>, BTreeMap<String, String>> =
        BTreeMap::new();
    if let Some(rows) = answers.get(2) {
        for row in &rows.rows {
            let json = |name| {
                let cell = rows.column(name).map(|place| &row[place]);
                super::axes(cell.and_then(Cell::text).unwrap_or("{}"))
            };
            settings
                .entry(json("axes"))
                .or_insert_with(|| json("params"));
        }
    }
    let rows = &answers[0];
    let point = |row: &Vec<Cell>| {
        let cell = |name: &str| rows.column(name).map_or(&Cell::Null, |place| &row[place]);
        let real = |name: &str| cell(name).number();
        let seeds = cell("n").int().unwrap_or(0);
        let over = |name: &str, share: f64| {
            Some(Measured {
                mean: real(&format!("{name}_mean"))?,
                sd: real(&format!("{name}_sd")).unwrap_or(0.0),
                n: (seeds as f64 * share).round() as usize,
            })
        };
        let axes = super::axes(cell("axes").text().unwrap_or("{}"));
        let fitted = real("fitted_share").unwrap_or(0.0);
        let low = real("low_loss_share").unwrap_or(0.0);
        Point {
            besides: besides(&axes),
            task: Task::of(
                cell("inputs").text().unwrap_or("true"),
                cell("labels").text().unwrap_or("true"),
                real("label_noise").unwrap_or(0.0),
            ),
            samples: cell("samples").int().unwrap_or(0),
            seeds,
            fitted,
            fit: over("fit_epoch", fitted),
            fit_steps: over("fit_step", fitted),
            low_loss: over("low_loss_epoch", low),
            train_loss: real("train_loss_mean"),
            train_error: over("train_error", 1.0),
            test_error: over("test_error", 1.0),
            best_test_error: real("best_test_error_mean"),
            settings: settings.get(&axes).cloned().unwrap_or_default(),
            axes,
        }
    };
    rows.rows.iter().map(point).collect()
}

fn joined(first: &str, second: &str) -> String {
    match (first, second) {
        ("", text) | (text, "") => text.to_owned(),
        _ => format!("{first}, {second}"),
    }
}

/// Whether an axis holds a network back: a regulariser.
fn is_held_back(point: &Point) -> bool {
    const REGULARISERS: [&str; 7] = [
        "weight_decay",
        "dropout",
        "shift",
        "flip",
        "early_stop",
        "batch_norm",
        "patience",
    ];
    let off = ["0", "0.0", "never", "false"];
    point.axes.iter().any(|(axis, value)| {
        let name = axis.rsplit('.').next().unwrap_or(axis);
        REGULARISERS.contains(&name) && !off.contains(&value.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::chart::picture;
    use super::claims::table_1;
    use super::points;
    use super::tables::report;
    use crate::output::{Cell, Form, Rows};
    use crate::report::Expected;

    const COLUMNS: [&str; 15] = [
        "axes",
        "inputs",
        "labels",
        "label_noise",
        "samples",
        "n",
        "fitted_share",
        "low_loss_share",
        "fit_epoch_mean",
        "low_loss_epoch_mean",
        "train_error_mean",
        "test_error_mean",
        "test_error_sd",
        "best_test_error_mean",
        "train_loss_mean",
    ];

    /// A point: axes, inputs, labels, noise, epochs to fit, test error.
    fn point(rows: &mut Rows, axes: &str, kind: (&str, &str, f64), epochs: f64, error: f64) {
        let (inputs, labels, noise) = kind;
        rows.push([
            axes.into(),
            inputs.into(),
            labels.into(),
            noise.into(),
            Cell::Int(4000),
            Cell::Int(3),
            Cell::Real(1.0),
            Cell::Real(1.0),
            epochs.into(),
            epochs.into(),
            Cell::Real(0.0),
            error.into(),
            Cell::Real(0.01),
            error.into(),
            Cell::Real(0.01),
        ]);
    }

    fn answers() -> Vec<Rows> {
        let mut rows = Rows::new(COLUMNS.map(|name| (name, Form::Number)));
        let true_inputs = r#"{"inputs":"true"}"#;
        point(&mut rows, true_inputs, ("true", "true", 0.0), 10.0, 0.05);
        for (axes, kind, epochs, error) in [
            (
                r#"{"inputs":"shuffled"}"#,
                ("shuffled", "true", 0.0),
                11.0,
                0.05,
            ),
            (
                r#"{"labels":"random"}"#,
                ("true", "random", 0.0),
                40.0,
                0.905,
            ),
            (
                r#"{"label_noise":0.4,"noise_kind":"uniform"}"#,
                ("true", "true", 0.4),
                25.0,
                0.4,
            ),
            (
                r#"{"label_noise":0.8,"noise_kind":"uniform"}"#,
                ("true", "true", 0.8),
                35.0,
                0.7,
            ),
            (r#"{"dropout":0.2}"#, ("true", "true", 0.0), 14.0, 0.04),
        ] {
            point(&mut rows, axes, kind, epochs, error);
        }
        let mut metrics = Rows::new([
            ("axes", Form::Json),
            ("epoch", Form::Count),
            ("value", Form::Number),
        ]);
        for (epoch, value) in [(1, 0.5), (10, 0.05)] {
            for seed in 0..2 {
                let axes = format!(r#"{{"inputs":"true","seed":{seed}}}"#);
                metrics.push([axes.into(), Cell::Int(epoch), Cell::Real(value)]);
            }
        }
        let settings = Rows::new([("axes", Form::Json), ("params", Form::Json)]);
        vec![rows, metrics, settings]
    }

    #[test]
    fn the_report_holds_order_and_chance_to_the_paper() {
        let report = report("memory", &answers());
        let found: Vec<(&str, &str)> = report
            .quantities
            .iter()
            .map(|quantity| (quantity.name.as_str(), quantity.verdict().words().0))
            .collect();
        assert_eq!(
            found,
            [
                ("random labels: training error", "yes"),
                ("random labels: test error", "yes"),
                ("shuffled pixels ÷ true labels: epochs to low loss", "yes"),
                ("random labels ÷ true labels: epochs to low loss", "yes"),
                (
                    "test error rises from one corruption to the next: share of steps",
                    "yes"
                ),
                (
                    "true labels: what the best regulariser takes off the test error",
                    "yes"
                ),
            ]
        );
        let text = report.markdown();
        assert!(text.contains("| true labels | dropout 0.2 | 1 |"), "{text}");
        assert!(text.contains("| true labels | nothing | 1 |"), "{text}");
    }

    #[test]
    fn the_figure_has_learning_curves_and_corruption() {
        let svg = picture("memory", &answers()).expect("points").figure.svg();
        for text in [
            "training loss",
            "share of corrupted labels",
            "epochs until all are fitted",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(!svg.contains("dropout"), "regularisers are in the report");
    }

    #[test]
    fn table_1_is_held_against_cifar_alone() {
        let mut own = points(&answers());
        assert!(table_1(&own[0]).is_empty());
        own[0].samples = 50_000;
        own[0].settings = [("data.dataset", "cifar10"), ("model.shape", "512")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let quantity = &table_1(&own[0])[0];
        assert!(matches!(quantity.expected, Expected::Near { value, .. } if value == 0.4949));
    }
}
