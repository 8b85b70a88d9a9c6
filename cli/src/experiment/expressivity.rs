//! Networks that were built for their samples: whether they fit, with how many weights, and where precision ends.

use std::collections::BTreeMap;

use descent_spec::details::{Details, Expressivity};

use super::{Picture, Shown};
use crate::figure::{Along, Chart, Facet, Mean, Series, Spread};
use crate::output::{Cell, Form, Rows};
use crate::report::{Expected, Measured, Quantity, Report};

/// How the experiment is shown.
pub(super) const SHOWN: Shown = Shown {
    queries,
    picture,
    report,
};

/// Where single and double precision were found to end, by an independent program on uniform inputs with random labels: precision,
/// number of samples, largest error there. What decides is the least gap between projections, which differs between data sets by
/// orders of magnitude; so only whether labels are lost is compared, not the error.
const KNOWN: [(&str, u64, f64); 4] = [
    ("f32", 1_000, 18.0),
    ("f64", 100, 2e-10),
    ("f64", 10_000, 3e-3),
    ("f64", 60_000, 1.3),
];

fn queries(sweep: &str) -> Vec<String> {
    vec![format!(
        "SELECT samples, parameters, outputs, axes, params, details, test_error FROM results WHERE sweep = {sweep} ORDER BY trial"
    )]
}

/// Results with the same settings but for the seed.
struct Point {
    samples: u64,
    parameters: u64,
    precision: String,
    /// The values of axes that are neither samples nor seeds.
    axes: BTreeMap<String, String>,
    fits: Vec<Expressivity>,
    test_errors: Vec<f64>,
}

/// The numbers that are shown, by their columns.
const NUMBERS: [&str; 5] = [
    "max_error",
    "smallest_gap",
    "largest_weight",
    "misfits",
    "test_error",
];

impl Point {
    fn values(&self, number: &str) -> Vec<f64> {
        let of =
            |take: fn(&Expressivity) -> Option<f64>| self.fits.iter().filter_map(take).collect();
        match number {
            "max_error" => of(|fit| fit.max_error),
            "smallest_gap" => of(|fit| fit.smallest_gap),
            "largest_weight" => of(|fit| fit.largest_weight),
            "misfits" => of(|fit| Some(fit.misfits.into())),
            _ => self.test_errors.clone(),
        }
    }

    fn spread(&self, number: &str) -> Option<Spread> {
        Spread::of(&self.values(number))
    }

    /// Labels lost by the worst seed.
    fn lost(&self) -> u32 {
        self.fits.iter().map(|fit| fit.misfits).max().unwrap_or(0)
    }

    /// What tells it from points of as many samples.
    fn label(&self) -> String {
        crate::figure::words(&self.axes)
    }
}

/// The points of a sweep, by axes and samples.
fn points(rows: &Rows) -> Vec<Point> {
    let mut points: BTreeMap<(BTreeMap<String, String>, u64), Point> = BTreeMap::new();
    for row in &rows.rows {
        let cell = |name: &str| rows.column(name).map_or(&Cell::Null, |place| &row[place]);
        let count = |name: &str| u64::try_from(cell(name).int().unwrap_or(0)).unwrap_or(0);
        let json = cell("details").text().unwrap_or_default();
        let Ok(Details::Expressivity(fit)) = Details::from_json(json) else {
            continue;
        };
        let mut axes = super::axes(cell("axes").text().unwrap_or("{}"));
        axes.retain(|axis, _| axis.rsplit('.').next() != Some("samples"));
        let params = super::axes(cell("params").text().unwrap_or("{}"));
        let samples = count("samples");
        let point = points
            .entry((axes.clone(), samples))
            .or_insert_with(|| Point {
                samples,
                parameters: count("parameters"),
                precision: params
                    .get("model.precision")
                    .map_or("double-double", String::as_str)
                    .to_owned(),
                axes,
                fits: Vec::new(),
                test_errors: Vec::new(),
            });
        point.fits.push(fit);
        point.test_errors.extend(cell("test_error").number());
    }
    points.into_values().collect()
}

fn picture(title: &str, answers: &[Rows]) -> Result<Picture, String> {
    let points = points(&answers[0]);
    let seeds = points.iter().map(|point| point.fits.len()).max();
    let facet = |label: &str, number: &str, height: f64, levels: &[(f64, &str)]| {
        let mut series: Vec<Series> = Vec::new();
        for point in &points {
            let name = point.label();
            if series.last().is_none_or(|series| series.name != name) {
                series.push(Series {
                    name,
                    dashed: false,
                    points: Vec::new(),
                });
            }
            // Over decades a deviation says less than the extremes, and an exact fit has no logarithm.
            let spread = point.spread(number).filter(|spread| spread.mean > 0.0);
            if let (Some(series), Some(spread)) = (series.last_mut(), spread) {
                series.points.push(Mean {
                    x: point.samples as f64,
                    y: spread.mean,
                    band: (spread.n > 1).then_some((spread.min, spread.max)),
                });
            }
        }
        Facet {
            y: (label.to_owned(), Along::Log),
            height,
            series,
            levels: levels
                .iter()
                .map(|(level, name)| (*level, (*name).to_owned()))
                .collect(),
        }
    };
    let chart = Chart {
        title: title.to_owned(),
        aside: format!(
            "mean of {} seeds, band from least to greatest",
            seeds.unwrap_or(0)
        ),
        x: ("training samples n".to_owned(), Along::Log),
        facets: vec![
            facet(
                "largest |c(x) − y|",
                "max_error",
                210.0,
                &[(0.5, "½: the label is lost")],
            ),
            facet("least gap", "smallest_gap", 130.0, &[]),
            facet("largest |w|", "largest_weight", 130.0, &[]),
        ],
        marks: Vec::new(),
    };
    Ok(Picture {
        figure: chart.draw()?,
        numbers: numbers(&points),
    })
}

/// The points as a table: their axes, then each number's mean, deviation and extremes.
fn numbers(points: &[Point]) -> Rows {
    let axes: Vec<&String> = points
        .first()
        .map_or_else(Vec::new, |point| point.axes.keys().collect());
    let mut columns: Vec<(String, Form)> = axes
        .iter()
        .map(|axis| ((*axis).clone(), Form::Text))
        .collect();
    columns.extend(["samples", "parameters", "n"].map(|name| (name.to_owned(), Form::Count)));
    for number in NUMBERS {
        columns.extend(
            ["mean", "sd", "min", "max"].map(|part| (format!("{number}_{part}"), Form::Number)),
        );
    }
    let mut rows = Rows::of(columns);
    for point in points {
        let mut row: Vec<Cell> = axes
            .iter()
            .map(|axis| point.axes.get(*axis).cloned().into())
            .collect();
        row.extend([
            point.samples.into(),
            point.parameters.into(),
            point.fits.len().into(),
        ]);
        for number in NUMBERS {
            row.extend(
                point
                    .spread(number)
                    .map_or([const { Cell::Null }; 4], |spread| {
                        [spread.mean, spread.sd, spread.min, spread.max].map(Cell::Real)
                    }),
            );
        }
        rows.rows.push(row);
    }
    rows
}

fn report(title: &str, answers: &[Rows]) -> Report {
    let points = points(&answers[0]);
    Report {
        title: title.to_owned(),
        about: "Every network has d + 2n weights (n: samples that differ) and is evaluated by summing its units on every sample. A label is given where the \
                output rounds to it: |c(x) − y| < ½. Means over seeds; errors also by their worst seed."
            .to_owned(),
        tables: tables(&points),
        quantities: points.iter().flat_map(claims).collect(),
        remarks: vec![
            "The theorem is exact: at 106 bits every label must be given at every n. Elsewhere only whether labels are lost is compared: how many depends on the \
             least gap between projections, which differs between data sets by orders of magnitude."
                .to_owned(),
        ],
    }
}

/// A table for each combination of axes.
fn tables(points: &[Point]) -> Vec<(String, Rows)> {
    let mut tables: Vec<(String, Rows)> = Vec::new();
    for point in points {
        let label = point.label();
        let heading = if label.is_empty() {
            "Measured".to_owned()
        } else {
            label
        };
        if tables.last().is_none_or(|(last, _)| *last != heading) {
            let rows = Rows::new([
                ("n", Form::Count),
                ("weights 2n + d", Form::Count),
                ("seeds", Form::Count),
                ("seeds that fit all n", Form::Text),
                ("labels lost (mean)", Form::Number),
                ("largest error (mean ± sd)", Form::Text),
                ("worst seed", Form::Number),
                ("least gap", Form::Number),
                ("largest weight", Form::Number),
            ]);
            tables.push((heading, rows));
        }
        let Some((_, rows)) = tables.last_mut() else {
            continue;
        };
        let mean = |number| Cell::from(point.spread(number).map(|spread| spread.mean));
        let error = point.spread("max_error");
        rows.push([
            point.samples.into(),
            point.parameters.into(),
            point.fits.len().into(),
            if point.lost() == 0 { "all" } else { "not all" }.into(),
            mean("misfits"),
            error
                .map_or("not finite".to_owned(), |spread| {
                    format!(
                        "{} ± {}",
                        crate::output::number(spread.mean),
                        crate::output::number(spread.sd)
                    )
                })
                .into(),
            error.map(|spread| spread.max).into(),
            mean("smallest_gap"),
            mean("largest_weight"),
        ]);
    }
    tables
}

/// What is published of one point: whether every seed gives every label.
fn claims(point: &Point) -> Vec<Quantity> {
    let fitting = |seed: &Expressivity| f64::from(u8::from(seed.misfits == 0));
    let measured = Measured::of(&point.fits.iter().map(fitting).collect::<Vec<_>>());
    let label = point.label();
    let name = format!(
        "share of seeds that give all labels, n = {}{}{label}",
        point.samples,
        if label.is_empty() { "" } else { ", " }
    );
    let claim = |expected, source, reason| Quantity {
        name: name.clone(),
        expected,
        source,
        reason,
        measured,
    };
    let mut claims = Vec::new();
    if point.precision == "double-double" {
        claims.push(claim(
            Expected::AtLeast(1.0),
            "Zhang et al. 2017, Theorem 1",
            "none: the theorem is exact",
        ));
    }
    let known = KNOWN.iter().filter(|(precision, samples, _)| {
        *precision == point.precision && *samples == point.samples
    });
    claims.extend(known.map(|(_, _, error)| {
        let expected = if *error < 0.5 {
            Expected::AtLeast(1.0)
        } else {
            Expected::AtMost(0.0)
        };
        claim(
            expected,
            "independent program, uniform inputs",
            "only whether labels are lost",
        )
    }));
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(rows: &mut Rows, samples: i64, precision: &str, error: f64, misfits: u32) {
        let details = Details::Expressivity(Expressivity {
            distinct: u32::try_from(samples).expect("few"),
            direction: 0,
            misfits,
            max_error: Some(error),
            smallest_gap: Some(1e-9),
            largest_weight: Some(1e6),
        });
        rows.push([
            Cell::Int(samples),
            Cell::Int(2 * samples + 784),
            Cell::Int(10),
            format!(r#"{{"precision":"{precision}","samples":{samples},"seed":0}}"#).into(),
            format!(r#"{{"model.precision":"{precision}"}}"#).into(),
            details.to_json().into(),
            Cell::Real(0.9),
        ]);
    }

    fn answers() -> Vec<Rows> {
        let mut rows = Rows::new([
            ("samples", Form::Count),
            ("parameters", Form::Count),
            ("outputs", Form::Count),
            ("axes", Form::Json),
            ("params", Form::Json),
            ("details", Form::Json),
            ("test_error", Form::Share),
        ]);
        result(&mut rows, 100, "f64", 1e-9, 0);
        result(&mut rows, 100, "f64", 3e-9, 0);
        result(&mut rows, 60_000, "f64", 2.0, 31);
        result(&mut rows, 60_000, "double-double", 1e-12, 0);
        vec![rows]
    }

    #[test]
    fn the_report_says_where_labels_are_lost() {
        let text = report("built", &answers()).markdown();
        for line in [
            "| 60000 | 120784 | 1 | not all | 31 |",
            "| share of seeds that give all labels, n = 60000, precision f64 | ≤ 0 | independent program, uniform inputs | only whether labels are lost | 0 | – | 1 | yes | +0 |",
            "| share of seeds that give all labels, n = 60000, precision double-double | ≥ 1 | Zhang et al. 2017, Theorem 1 | none: the theorem is exact | 1 | – | 1 | yes | +0 (+0.0 %) |",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn the_figure_has_a_curve_a_precision_and_a_row_a_point() {
        let picture = picture("built", &answers()).expect("four results");
        let svg = picture.figure.svg();
        for text in [
            "precision f64",
            "precision double-double",
            "½: the label is lost",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(picture.numbers.rows.len(), 3);
        let n = picture.numbers.column("n").expect("a column");
        let seeds: Vec<_> = picture
            .numbers
            .rows
            .iter()
            .map(|row| row[n].int())
            .collect();
        assert_eq!(seeds, [Some(1), Some(2), Some(1)]);
    }
}
