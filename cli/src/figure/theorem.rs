//! An account of networks that were built for their samples: whether they fit, with how many weights, and where precision ends.

use std::fmt::Write as _;

use super::point::{Curve, Number, Point};
use crate::output::number;

/// Where single and double precision were found to end, by an independent program on uniform inputs with random labels: the
/// number of samples, and the largest error there. What decides is the least gap between projections, which differs between data
/// sets by orders of magnitude; so only whether labels are lost is compared, not the error.
const KNOWN: [(&str, u64, f64); 4] = [
    ("f32", 1_000, 18.0),
    ("f64", 100, 2e-10),
    ("f64", 10_000, 3e-3),
    ("f64", 60_000, 1.3),
];

/// The account, in Markdown.
pub(crate) fn theorem(sweep: &str, curves: &[Curve]) -> String {
    let mut text = format!(
        "# {sweep}\n\nEvery network has d + 2n weights (n: samples that differ) and is evaluated by summing its units on every sample. A label is given where the \
         output rounds to it: |c(x) − y| < ½. Means over seeds; errors also by their worst seed.\n"
    );
    for curve in curves {
        let label = curve.label();
        let title = if label.is_empty() { "Measured" } else { &label };
        let _ = write!(
            text,
            "\n## {title}\n\n| n | weights 2n + d | seeds | seeds that fit all n | labels lost (mean) | largest error (mean ± sd) | worst seed | least gap | largest weight |\n\
             |---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        );
        for point in &curve.points {
            row(&mut text, point);
        }
    }
    text.push_str(
        "\n## Beside the published\n\nTolerance, set beforehand: none. The theorem is exact, so every label must be given at every n where precision suffices; elsewhere only \
         whether labels are lost is compared.\n\n| quantity | published | measured | n | agrees |\n|---|---|---|---:|---|\n",
    );
    for curve in curves {
        claims(&mut text, curve);
    }
    text
}

fn worst(point: &Point, which: Number) -> Option<f64> {
    point.numbers.get(&which).map(|spread| spread.max)
}

/// Whether every seed gives every label.
fn fits(point: &Point) -> bool {
    worst(point, Number::Misfits) == Some(0.0)
}

fn row(text: &mut String, point: &Point) {
    let mean = |which| point.mean(which).map_or("–".to_owned(), number);
    let spread = point.numbers.get(&Number::MaxError);
    let error = spread.map_or("not finite".to_owned(), |spread| {
        format!("{} ± {}", number(spread.mean), number(spread.sd))
    });
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} | {error} | {} | {} | {} |",
        point.width,
        point.parameters,
        point.n,
        if fits(point) { "all" } else { "not all" },
        mean(Number::Misfits),
        worst(point, Number::MaxError).map_or("–".to_owned(), number),
        mean(Number::SmallestGap),
        mean(Number::LargestWeight),
    );
}

/// What is claimed of one curve, and whether it holds.
fn claims(text: &mut String, curve: &Curve) {
    let label = curve.label();
    let of = |quantity: String| {
        if label.is_empty() {
            quantity
        } else {
            format!("{quantity}, {label}")
        }
    };
    let words = |holds| if holds { "yes" } else { "no" };
    let precision = curve
        .axes
        .iter()
        .find(|(axis, _)| axis.rsplit('.').next() == Some("precision"))
        .map_or("double-double", |(_, value)| value.as_str());
    for point in &curve.points {
        let lost = worst(point, Number::Misfits).unwrap_or(0.0);
        let measured = if lost == 0.0 {
            format!("all, {} seeds", point.n)
        } else {
            format!("all but {lost}, worst of {} seeds", point.n)
        };
        if precision == "double-double" {
            let _ = writeln!(
                text,
                "| {} | all (Zhang et al. 2017, Theorem 1) | {measured} | {} | {} |",
                of("labels given".to_owned()),
                point.width,
                words(lost == 0.0),
            );
        }
        for (_, _, error) in KNOWN
            .iter()
            .filter(|(known, samples, _)| *known == precision && *samples == point.width)
        {
            let ends = *error >= 0.5;
            let _ = writeln!(
                text,
                "| {} | {} (uniform inputs, largest error {}) | {measured} | {} | {} |",
                of("labels given".to_owned()),
                if ends { "not all" } else { "all" },
                number(*error),
                point.width,
                words(fits(point) != ends),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::point::{Measured, Size, curves};
    use super::*;

    #[test]
    fn the_account_says_where_labels_are_lost() {
        let result = |samples: u64, precision: &str, error: f64, misfits: f64| Measured {
            width: samples,
            parameters: 2 * samples + 784,
            outputs: 10,
            axes: [("model.precision".to_owned(), precision.to_owned())].into(),
            numbers: [(Number::MaxError, error), (Number::Misfits, misfits)].into(),
            ..Measured::default()
        };
        let measured = [
            result(100, "f64", 1e-9, 0.0),
            result(60_000, "f64", 2.0, 31.0),
            result(60_000, "double-double", 1e-12, 0.0),
        ];
        let text = theorem("built", &curves(&measured, Size::Samples));
        for line in [
            "| 60000 | 120784 | 1 | not all | 31 |",
            "| labels given, precision f64 | not all (uniform inputs, largest error 1.300) | all but 31, worst of 1 seeds | 60000 | yes |",
            "| labels given, precision double-double | all (Zhang et al. 2017, Theorem 1) | all, 1 seeds | 60000 | yes |",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
