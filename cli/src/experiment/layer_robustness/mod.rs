//! Trained networks with one layer set back or drawn anew: heat maps of their test error, beside the paper's claims and the article's
//! own numbers.

mod article;
mod map;

use std::collections::BTreeMap;

use super::Shown;
use crate::output::{Cell, Rows};
use crate::report::Measured;

/// How the experiment is shown.
pub(super) const SHOWN: Shown = Shown {
    queries,
    picture: map::picture,
    report: article::report,
};

fn queries(sweep: &str) -> Vec<String> {
    vec![
        format!(
            "SELECT axes, model, width, depth, parameters, samples, epoch, layer, operation, checkpoint, n, trained_error_mean, trained_error_sd, \
             test_error_mean, test_error_sd, test_loss_mean, error_increase_mean, error_increase_sd, distance_l2_mean, distance_l2_sd, \
             distance_rms_mean, distance_max_mean FROM layer_robustness WHERE sweep = {sweep} \
             ORDER BY parameters, epoch, layer, operation DESC, checkpoint"
        ),
        format!("SELECT axes, params FROM results WHERE sweep = {sweep} ORDER BY trial"),
    ]
}

/// What was done to a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Anew,
    SetBack(i64),
}

/// One row of the view.
struct Row {
    epoch: i64,
    layer: i64,
    change: Change,
    /// Means and deviations over seeds.
    trained: Option<Measured>,
    error: Option<Measured>,
    increase: Option<Measured>,
    l2: Option<Measured>,
    rms: Option<f64>,
    max: Option<f64>,
    loss: Option<f64>,
}

/// Networks with the same settings but for the seed.
struct Group {
    axes: BTreeMap<String, String>,
    settings: BTreeMap<String, String>,
    parameters: i64,
    samples: i64,
    seeds: i64,
    rows: Vec<Row>,
}

impl Group {
    fn label(&self) -> String {
        let label = crate::figure::words(&self.axes);
        if label.is_empty() {
            format!("{} parameters", self.parameters)
        } else {
            label
        }
    }

    fn distinct<T: Ord>(&self, of: impl Fn(&Row) -> T) -> Vec<T> {
        let values: std::collections::BTreeSet<T> = self.rows.iter().map(of).collect();
        values.into_iter().collect()
    }

    fn layers(&self) -> Vec<i64> {
        self.distinct(|row| row.layer)
    }

    /// The epoch of the trained network that claims are about.
    fn end(&self) -> i64 {
        self.distinct(|row| row.epoch).last().copied().unwrap_or(0)
    }

    fn at(&self, epoch: i64, layer: i64, change: Change) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| (row.epoch, row.layer, row.change) == (epoch, layer, change))
    }

    /// A setting in effect, where it is not at its default.
    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }
}

fn groups(answers: &[Rows]) -> Vec<Group> {
    let mut settings: BTreeMap<BTreeMap<String, String>, BTreeMap<String, String>> =
        BTreeMap::new();
    if let Some(rows) = answers.get(1) {
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
    let mut groups: Vec<Group> = Vec::new();
    for row in &rows.rows {
        let cell = |name: &str| rows.column(name).map_or(&Cell::Null, |place| &row[place]);
        let int = |name: &str| cell(name).int().unwrap_or(0);
        let real = |name: &str| cell(name).number();
        let seeds = int("n");
        let measured = |name: &str| {
            Some(Measured {
                mean: real(&format!("{name}_mean"))?,
                sd: real(&format!("{name}_sd")).unwrap_or(0.0),
                n: usize::try_from(seeds).unwrap_or(0),
            })
        };
        let axes = super::axes(cell("axes").text().unwrap_or("{}"));
        let parameters = int("parameters");
        let row = Row {
            epoch: int("epoch"),
            layer: int("layer"),
            change: match cell("operation").text() {
                Some("rerandomise") => Change::Anew,
                _ => Change::SetBack(int("checkpoint")),
            },
            trained: measured("trained_error"),
            error: measured("test_error"),
            increase: measured("error_increase"),
            l2: measured("distance_l2"),
            rms: real("distance_rms_mean"),
            max: real("distance_max_mean"),
            loss: real("test_loss_mean"),
        };
        let own = |group: &&mut Group| group.axes == axes && group.parameters == parameters;
        if let Some(group) = groups.iter_mut().find(own) {
            group.seeds = group.seeds.max(seeds);
            group.rows.push(row);
        } else {
            groups.push(Group {
                settings: settings.get(&axes).cloned().unwrap_or_default(),
                axes,
                parameters,
                samples: int("samples"),
                seeds,
                rows: vec![row],
            });
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::article::{ARTICLE, Article, report};
    use super::map::picture;
    use crate::output::{Cell, Form, Rows};

    /// The article's network of this many parameters, as if it were measured again.
    fn answers(own: &Article, params: &str, epochs: &[i64]) -> Vec<Rows> {
        let columns = [
            "axes",
            "parameters",
            "samples",
            "epoch",
            "layer",
            "operation",
            "checkpoint",
            "n",
            "trained_error_mean",
            "trained_error_sd",
            "test_error_mean",
            "test_error_sd",
            "error_increase_mean",
            "distance_l2_mean",
            "distance_rms_mean",
            "distance_max_mean",
        ];
        let mut rows = Rows::new(columns.map(|name| (name, Form::Number)));
        for &epoch in epochs {
            for (layer, &(set_back, anew, distance)) in own.layers.iter().enumerate() {
                for (operation, checkpoint, error) in [
                    ("reinitialise", Cell::Int(0), set_back),
                    ("rerandomise", Cell::Null, anew),
                ] {
                    rows.push([
                        r#"{"shape":"x"}"#.into(),
                        own.parameters.into(),
                        Cell::Int(6000),
                        epoch.into(),
                        layer.into(),
                        operation.into(),
                        checkpoint,
                        Cell::Int(5),
                        own.trained.into(),
                        Cell::Real(0.001),
                        error.into(),
                        Cell::Real(0.01),
                        (error - own.trained).into(),
                        distance.into(),
                        Cell::Real(0.01),
                        Cell::Real(0.1),
                    ]);
                }
            }
        }
        let mut settings = Rows::new([("axes", Form::Json), ("params", Form::Json)]);
        settings.push([r#"{"seed":3,"shape":"x"}"#.into(), params.into()]);
        vec![rows, settings]
    }

    const PROTOCOL: &str = r#"{"robustness.redraw":"unit-uniform","train.batch":64,"train.dropout":0.1,"train.epochs":100,
        "train.optimizer.kind":"adam","train.optimizer.lr":0.0005}"#;

    #[test]
    fn the_article_agrees_with_itself_and_with_the_paper() {
        for own in &ARTICLE {
            let report = report("again", &answers(own, PROTOCOL, &[100]));
            assert_eq!(report.quantities.len(), 3 + 1 + 3 * own.layers.len());
            for quantity in &report.quantities {
                assert_eq!(quantity.verdict().words().0, "yes", "{quantity:?}");
            }
            let text = report.markdown();
            assert!(text.contains("| 0 | set back to epoch 0 |"), "{text}");
        }
    }

    #[test]
    fn another_protocol_is_held_to_the_claims_alone() {
        let other = PROTOCOL.replace("0.0005", "0.001");
        let report = report("again", &answers(&ARTICLE[0], &other, &[100]));
        assert_eq!(report.quantities.len(), 3);
    }

    #[test]
    fn layers_stand_against_checkpoints_or_against_epochs() {
        let once = answers(&ARTICLE[0], PROTOCOL, &[100]);
        let picture_once = picture("once", &once).expect("rows");
        let svg = picture_once.figure.svg();
        for text in ["layer 3", "drawn anew", "trained", "0.434", "shape x"] {
            assert!(svg.contains(&format!(">{text}<")), "{text} is not in {svg}");
        }
        let often = answers(&ARTICLE[0], PROTOCOL, &[10, 100]);
        let svg = picture("often", &often).expect("rows").figure.svg();
        for text in ["shape x: drawn anew", "shape x: set back to epoch 0"] {
            assert!(svg.contains(&format!(">{text}<")), "{text} is not in {svg}");
        }
        assert!(picture("none", &[Rows::default(), Rows::default()]).is_err());
    }
}
