//! Degrees of freedom: against the number of parameters, beside the closed form of linear fits, and with the gap between test and training
//! loss.

use super::{Picture, Shown};
use crate::figure::{Along, Chart, Facet, Mean, Series};
use crate::output::{Cell, Form, Rows, number};
use crate::report::{Expected, Measured, Quantity, Report};

/// How the experiment is shown.
pub(super) const SHOWN: Shown = Shown {
    queries,
    picture,
    report,
};

const ABSTRACT: &str = "Gao & Jojic 2016, abstract";

fn queries(sweep: &str) -> Vec<String> {
    vec![format!(
        "SELECT * FROM degrees_of_freedom WHERE sweep = {sweep} ORDER BY model, depth, parameters, ridge"
    )]
}

/// A point over its seeds.
struct Point {
    /// What tells its curve from others: axes but those that size the model.
    label: String,
    /// The axes that are left out of the label.
    size: String,
    depth: i64,
    parameters: f64,
    targets: f64,
    n: usize,
    freedom: Option<(f64, f64)>,
    standard_error: Option<f64>,
    closed_form: Option<f64>,
    train_loss: Option<f64>,
    test_loss: Option<f64>,
    gap: Option<(f64, f64)>,
}

impl Point {
    fn is_network(&self) -> bool {
        self.closed_form.is_none()
    }

    fn measured(&self, (mean, sd): (f64, f64)) -> Measured {
        Measured {
            mean,
            sd,
            n: self.n,
        }
    }

    fn name(&self) -> String {
        let words = [self.label.as_str(), self.size.as_str()];
        let words = words.iter().filter(|words| !words.is_empty());
        words.copied().collect::<Vec<_>>().join(", ")
    }
}

fn points(rows: &Rows) -> Vec<Point> {
    let point = |row: &Vec<Cell>| {
        let cell = |name: &str| rows.column(name).map_or(&Cell::Null, |place| &row[place]);
        let mean = |name: &str| cell(&format!("{name}_mean")).number();
        let pair = |name: &str| {
            let sd = cell(&format!("{name}_sd")).number();
            Some((mean(name)?, sd.unwrap_or(0.0)))
        };
        let model = cell("model").text().unwrap_or("mlp").to_owned();
        let axes = super::axes(cell("axes").text().unwrap_or("{}"));
        let (size, mut rest): (Vec<_>, Vec<_>) = axes.iter().partition(|(axis, _)| {
            let name = axis.rsplit('.').next().unwrap_or(axis);
            matches!(name, "width" | "shape" | "ridge")
        });
        let depth = cell("depth").int().unwrap_or(0);
        let by_shape = axes.keys().any(|axis| axis.ends_with("shape"));
        rest.retain(|(axis, _)| axis.as_str() != "model.kind" && axis.as_str() != "kind");
        let mut label = match depth {
            0 => model.clone(),
            _ if by_shape => format!("depth {depth}"),
            _ => String::new(),
        };
        let rest = crate::figure::words(rest);
        if !label.is_empty() && !rest.is_empty() {
            label += ", ";
        }
        label += &rest;
        Point {
            label: if label.is_empty() {
                model.clone()
            } else {
                label
            },
            size: crate::figure::words(size),
            depth,
            parameters: cell("parameters").number().unwrap_or(0.0),
            targets: cell("samples").number().unwrap_or(0.0)
                * cell("outputs").number().unwrap_or(0.0),
            n: usize::try_from(cell("n").int().unwrap_or(0)).unwrap_or(0),
            freedom: pair("freedom"),
            standard_error: mean("standard_error"),
            closed_form: mean("closed_form"),
            train_loss: mean("train_loss"),
            test_loss: mean("test_loss"),
            gap: pair("gap"),
        }
    };
    rows.rows.iter().map(point).collect()
}

fn picture(title: &str, answers: &[Rows]) -> Result<Picture, String> {
    let points = points(&answers[0]);
    let curves = |take: &dyn Fn(&Point) -> Option<(f64, f64)>| {
        let mut curves: Vec<Series> = Vec::new();
        for point in &points {
            let at = curves.iter().position(|curve| curve.name == point.label);
            let at = at.unwrap_or_else(|| {
                curves.push(Series {
                    name: point.label.clone(),
                    dashed: false,
                    points: Vec::new(),
                });
                curves.len() - 1
            });
            curves[at].points.extend(take(point).map(|(y, sd)| Mean {
                x: point.parameters,
                y,
                band: (point.n > 1).then_some((y - sd, y + sd)),
            }));
        }
        for curve in &mut curves {
            curve.points.sort_by(|a, b| a.x.total_cmp(&b.x));
        }
        curves
    };
    let mut freedom = curves(&|point| point.freedom);
    let sizes = points.iter().map(|point| point.parameters);
    let (least, most) = sizes.fold((f64::INFINITY, 0.0_f64), |(least, most), size| {
        (least.min(size), most.max(size))
    });
    let same = |x: f64| Mean {
        x,
        y: x,
        band: None,
    };
    freedom.push(Series {
        name: "as many as parameters".to_owned(),
        dashed: true,
        points: vec![same(least), same(most)],
    });
    let mut targets: Vec<f64> = points.iter().map(|point| point.targets).collect();
    targets.dedup();
    let chart = Chart {
        title: title.to_owned(),
        aside: format!(
            "mean of {} seeds, band: ± sd",
            points.iter().map(|point| point.n).max().unwrap_or(0)
        ),
        x: ("parameters".to_owned(), Along::Log),
        facets: vec![
            Facet {
                y: ("degrees of freedom".to_owned(), Along::Log),
                height: 230.0,
                series: freedom,
                levels: match targets.as_slice() {
                    [targets] => vec![(*targets, "n·K targets".to_owned())],
                    _ => Vec::new(),
                },
            },
            Facet {
                y: ("test − train loss".to_owned(), Along::Log),
                height: 160.0,
                series: curves(&|point| point.gap),
                levels: Vec::new(),
            },
        ],
        marks: Vec::new(),
    };
    Ok(Picture {
        figure: chart.draw()?,
        numbers: answers[0].clone(),
    })
}

fn report(title: &str, answers: &[Rows]) -> Report {
    let points = points(&answers[0]);
    let mut quantities: Vec<Quantity> = points.iter().filter_map(exact).collect();
    quantities.extend(few(&points));
    quantities.extend(deeper(&points));
    quantities.extend(follows(&points));
    Report {
        title: title.to_owned(),
        about: "Degrees of freedom are Σ ∂f/∂y over samples and outputs: at most n·K, the number of targets, reached by a fit that takes every target as it is. Losses are means \
                over samples and outputs."
            .to_owned(),
        tables: vec![("Measured".to_owned(), table(&points))],
        quantities,
        remarks: vec![
            "The paper prints no numbers that could be compared one by one: its claims are about order and magnitude.".to_owned(),
        ],
    }
}

fn table(points: &[Point]) -> Rows {
    let mut rows = Rows::new([
        ("model", Form::Text),
        ("parameters", Form::Count),
        ("degrees of freedom (mean ± sd)", Form::Text),
        ("error of the draws", Form::Number),
        ("closed form", Form::Number),
        ("÷ parameters", Form::Number),
        ("train loss", Form::Number),
        ("test loss", Form::Number),
        ("test − train", Form::Number),
        ("seeds", Form::Count),
    ]);
    for point in points {
        let freedom = point.freedom.map(|(mean, _)| mean);
        let words = point
            .freedom
            .map(|(mean, sd)| format!("{} ± {}", number(mean), number(sd)));
        rows.push([
            point.name().into(),
            Cell::Int(point.parameters as i64),
            words.into(),
            point.standard_error.into(),
            point.closed_form.into(),
            freedom.map(|mean| mean / point.parameters).into(),
            point.train_loss.into(),
            point.test_loss.into(),
            point.gap.map(|(mean, _)| mean).into(),
            point.n.into(),
        ]);
    }
    rows
}

/// Linear fits have a closed form.
fn exact(point: &Point) -> Option<Quantity> {
    let closed_form = point.closed_form?;
    let share = point
        .freedom
        .map(|(mean, sd)| point.measured((mean / closed_form, sd / closed_form)));
    Some(Quantity {
        name: format!("estimate ÷ closed form, {}", point.name()),
        expected: Expected::Near {
            value: 1.0,
            tolerance: 0.01,
        },
        source: "closed form: Σ s²/(s² + λ), K times",
        reason: "none but the probes': a whole round of orthogonal ones leaves no noise",
        measured: share,
    })
}

/// Networks have far fewer than parameters.
fn few(points: &[Point]) -> Option<Quantity> {
    let networks = points.iter().filter(|point| point.is_network());
    let largest = networks.max_by(|a, b| a.parameters.total_cmp(&b.parameters))?;
    let share = largest
        .freedom
        .map(|(mean, sd)| largest.measured((mean / largest.parameters, sd / largest.parameters)));
    Some(Quantity {
        name: format!("degrees of freedom ÷ parameters, {}", largest.name()),
        expected: Expected::AtMost(0.1),
        source: ABSTRACT,
        reason: "\"orders of magnitude\" there: one at least",
        measured: share,
    })
}

/// Of networks with as many parameters, the deepest beside the shallowest.
fn deeper(points: &[Point]) -> Vec<Quantity> {
    let networks: Vec<&Point> = points.iter().filter(|point| point.is_network()).collect();
    let alike = |a: &Point, b: &Point| (a.parameters / b.parameters - 1.0).abs() < 0.05;
    let mut quantities = Vec::new();
    let shallow = |point: &&&Point| {
        !networks
            .iter()
            .any(|other| alike(point, other) && other.depth < point.depth)
    };
    for point in networks.iter().filter(shallow) {
        let others = networks.iter().filter(|other| alike(point, other));
        let Some(deepest) = others.max_by_key(|other| other.depth) else {
            continue;
        };
        let (Some(above), Some(below)) = (deepest.freedom, point.freedom) else {
            continue;
        };
        if deepest.depth == point.depth {
            continue;
        }
        let ratio = above.0 / below.0;
        quantities.push(Quantity {
            name: format!(
                "degrees of freedom, {} ÷ {} (as many parameters)",
                deepest.name(),
                point.name()
            ),
            expected: Expected::AtMost(1.0),
            source: ABSTRACT,
            reason: "only the order: \"regularisation by depth\"",
            measured: Some(Measured {
                mean: ratio,
                sd: ratio * (above.1 / above.0).hypot(below.1 / below.0),
                n: point.n.min(deepest.n),
            }),
        });
    }
    quantities
}

/// The order of networks by degrees of freedom is that by the gap between test and training loss.
fn follows(points: &[Point]) -> Option<Quantity> {
    let networks = points.iter().filter(|point| point.is_network());
    let pairs: Vec<(f64, f64)> = networks
        .filter_map(|point| Some((point.freedom?.0, point.gap?.0)))
        .collect();
    if pairs.len() < 4 {
        return None;
    }
    let ranks = |take: fn(&(f64, f64)) -> f64| -> Vec<f64> {
        let values: Vec<f64> = pairs.iter().map(take).collect();
        let rank = |value: &f64| values.iter().filter(|other| *other < value).count() as f64;
        values.iter().map(rank).collect()
    };
    let (a, b) = (ranks(|pair| pair.0), ranks(|pair| pair.1));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let product = |a: &[f64], mean_a: f64, b: &[f64], mean_b: f64| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - mean_a) * (b - mean_b))
            .sum()
    };
    let both = product(&a, mean_a, &b, mean_b);
    let spread = product(&a, mean_a, &a, mean_a) * product(&b, mean_b, &b, mean_b);
    Some(Quantity {
        name: format!(
            "rank correlation of degrees of freedom and test − train loss, {} networks",
            pairs.len()
        ),
        expected: Expected::AtLeast(0.5),
        source: ABSTRACT,
        reason: "\"tracks\" there: most of the order",
        measured: Some(Measured {
            mean: both / spread.sqrt(),
            sd: 0.0,
            n: 1,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Vec<Rows> {
        let mut rows = Rows::new([
            ("model", Form::Text),
            ("depth", Form::Count),
            ("parameters", Form::Count),
            ("samples", Form::Count),
            ("outputs", Form::Count),
            ("axes", Form::Json),
            ("n", Form::Count),
            ("freedom_mean", Form::Number),
            ("freedom_sd", Form::Number),
            ("closed_form_mean", Form::Number),
            ("gap_mean", Form::Number),
        ]);
        let mut push = |model: &str, depth, parameters, axes: &str, freedom, closed, gap| {
            rows.push([
                model.into(),
                Cell::Int(depth),
                Cell::Int(parameters),
                Cell::Int(1000),
                Cell::Int(10),
                axes.into(),
                Cell::Int(2),
                Cell::Real(freedom),
                Cell::Real(5.0),
                closed,
                Cell::Real(gap),
            ]);
        };
        push(
            "linear",
            0,
            7_840,
            r#"{"ridge":1.0}"#,
            5_020.0,
            Cell::Real(5_000.0),
            0.03,
        );
        for (width, freedom, gap) in [
            (20, 900.0, 0.010),
            (50, 2_000.0, 0.020),
            (100, 2_500.0, 0.025),
        ] {
            for depth in [1, 3] {
                let axes = format!(r#"{{"depth":{depth},"width":{width},"seed":0}}"#);
                let shallow = if depth == 1 { 1.0 } else { 0.9 };
                push(
                    "mlp",
                    depth,
                    800 * width,
                    &axes,
                    freedom * shallow,
                    Cell::Null,
                    gap * shallow,
                );
            }
        }
        vec![rows]
    }

    #[test]
    fn the_report_holds_linear_fits_to_their_closed_form_and_networks_to_the_claims() {
        let report = report("df", &answers());
        let names: Vec<&str> = report
            .quantities
            .iter()
            .map(|quantity| quantity.name.as_str())
            .collect();
        assert_eq!(names.len(), 1 + 1 + 3 + 1, "{names:?}");
        for quantity in &report.quantities {
            assert_eq!(quantity.verdict().words().0, "yes", "{quantity:?}");
        }
        let follows = report
            .quantities
            .last()
            .and_then(|quantity| quantity.measured);
        assert!(follows.is_some_and(|measured| (measured.mean - 1.0).abs() < 1e-9));
        assert!(report.markdown().contains("| linear, ridge 1.0 | 7840 |"));
    }

    #[test]
    fn the_figure_has_a_curve_for_each_depth_and_the_line_of_parameters() {
        let picture = picture("df", &answers()).expect("points");
        let svg = picture.figure.svg();
        for text in [
            "depth 1",
            "depth 3",
            "linear",
            "as many as parameters",
            "n·K targets",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
    }
}
