//! An account of a sweep's curves as Markdown: what was measured, beside what is known.

use std::fmt::Write as _;

use super::curve::shape;
use super::point::{Curve, Number, Size};
use super::published::{FOURIER, Feature, RELU, RISK_CURVES};
use crate::output::number;

/// What the numbers can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparable {
    /// Networks trained on squared loss.
    Squared,
    /// Random Fourier features.
    Fourier,
    /// Random ReLU features.
    Relu,
    /// Nothing here: another loss, or a mixture.
    Nothing,
}

/// The account, in Markdown.
pub(crate) fn account(sweep: &str, curves: &[Curve], comparable: Comparable) -> String {
    let mut text = format!(
        "# {sweep}\n\nLosses are means over samples and outputs, errors 1 − accuracy; every number is a mean over seeds.\n"
    );
    for curve in curves {
        let label = curve.label();
        let _ = write!(
            text,
            "\n## {}\n\n",
            if label.is_empty() { "Measured" } else { &label }
        );
        measured(&mut text, curve);
    }
    match comparable {
        Comparable::Squared => risk_curves(&mut text),
        Comparable::Fourier => features(&mut text, curves, &FOURIER),
        Comparable::Relu => features(&mut text, curves, &RELU),
        Comparable::Nothing => {}
    }
    text
}

fn row(text: &mut String, cells: &[&str]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// One curve's numbers as a table.
fn measured(text: &mut String, curve: &Curve) {
    let Some(threshold) = curve.threshold() else {
        return;
    };
    let name = if curve.size == Size::Parameters {
        "n·K"
    } else {
        "n"
    };
    let at = |position: f64| {
        let point = curve
            .points
            .iter()
            .find(|point| curve.position(point) == position);
        let width = point.map_or(String::new(), |point| match curve.size {
            Size::Parameters => format!("width {}, {} parameters", point.width, point.parameters),
            Size::Features => format!("N = {}", point.width),
            Size::Samples => format!("n = {}", point.width),
        });
        format!("{width} ({:.2} {name})", position / threshold)
    };
    row(text, &["", "value", "where"]);
    row(text, &["---", "---:", "---"]);
    let (low, high) = curve.seeds();
    let seeds = if low == high {
        low.to_string()
    } else {
        format!("{low} to {high}")
    };
    row(text, &["seeds a point", &seeds, ""]);
    row(text, &["points", &curve.points.len().to_string(), ""]);
    let diverged: usize = curve.points.iter().map(|point| point.diverged).sum();
    if diverged > 0 {
        row(
            text,
            &[
                "diverged trials",
                &diverged.to_string(),
                "left out of the means",
            ],
        );
    }
    row(
        text,
        &[
            &format!("interpolation threshold {name}"),
            &threshold.to_string(),
            "",
        ],
    );
    match curve.fitted_from() {
        Some(size) => row(text, &["training error reaches 0", "0", &at(size)]),
        None => {
            let least = curve
                .means(Number::TrainError)
                .into_iter()
                .min_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((size, error)) = least {
                row(
                    text,
                    &[
                        "least training error (0 is not reached)",
                        &number(error),
                        &at(size),
                    ],
                );
            }
        }
    }
    for (which, words) in [
        (Number::TestLoss, "test loss"),
        (Number::TestError, "test error"),
    ] {
        let Some(shape) = shape(&curve.means(which)) else {
            continue;
        };
        row(
            text,
            &[
                &format!("{words}: smallest model"),
                &number(shape.start.1),
                &at(shape.start.0),
            ],
        );
        if let Some(hump) = &shape.hump {
            let inside = if hump.falls_first {
                ""
            } else {
                ", at the left end of the range"
            };
            let first = hump.first_minimum;
            row(
                text,
                &[
                    &format!("{words}: first minimum{inside}"),
                    &number(first.1),
                    &at(first.0),
                ],
            );
            row(
                text,
                &[
                    &format!("{words}: hump"),
                    &number(hump.top.1),
                    &at(hump.top.0),
                ],
            );
            let (from, to) = hump.half_height;
            let span = format!(
                "from {:.2} to {:.2} {name}",
                from / threshold,
                to / threshold
            );
            row(
                text,
                &[
                    &format!("{words}: hump, width at half height"),
                    &format!("×{}", number(to / from)),
                    &span,
                ],
            );
            row(
                text,
                &[
                    &format!("{words}: hump ÷ first minimum"),
                    &number(hump.rise()),
                    "",
                ],
            );
            row(
                text,
                &[
                    &format!("{words}: last ÷ first minimum"),
                    &number(shape.last.1 / first.1),
                    "",
                ],
            );
        } else {
            row(
                text,
                &[
                    &format!("{words}: hump"),
                    "none",
                    "no point stands above both its sides",
                ],
            );
        }
        row(
            text,
            &[
                &format!("{words}: largest model"),
                &number(shape.last.1),
                &at(shape.last.0),
            ],
        );
    }
}

fn risk_curves(text: &mut String) {
    text.push_str(
        "\n## Known values\n\nMNIST, n = 4,000, K = 10 (n·K = 40,000, width 50.3), one hidden layer, squared loss. Belkin et al. (2019, Fig. 3) show the same \
         shape with weight reuse and without label noise, their values not as numbers; protocols differ, so compare ratios and positions before values.\n\n",
    );
    row(
        text,
        &[
            "source",
            "label noise",
            "first minimum",
            "hump",
            "last",
            "hump ÷ first",
            "last ÷ first",
        ],
    );
    row(
        text,
        &["---", "---:", "---:", "---:", "---:", "---:", "---:"],
    );
    for known in &RISK_CURVES {
        let at = |(width, value): (Option<u64>, f64)| {
            width.map_or_else(
                || number(value),
                |width| format!("{} @ width {width}", number(value)),
            )
        };
        let first = known.first_minimum.1;
        row(
            text,
            &[
                known.source,
                &known.label_noise.to_string(),
                &at(known.first_minimum),
                &at((Some(known.top.0), known.top.1)),
                &at((Some(known.last.0), known.last.1)),
                &number(known.top.1 / first),
                &number(known.last.1 / first),
            ],
        );
    }
}

/// Measured random features beside the known ones, size by size; only curves without ridge and noise can agree.
fn features(text: &mut String, curves: &[Curve], known: &[Feature]) {
    text.push_str(
        "\n## Known values\n\nMNIST, n = 1,000, no label noise, no ridge, NumPy `lstsq` in f64 (three draws to N = 2,000, one above). At N = n the value is \
         that of a nearly singular system and varies by orders of magnitude between draws.\n",
    );
    for curve in curves
        .iter()
        .filter(|curve| curve.samples == 1000 && is_plain(curve))
    {
        let _ = write!(text, "\n{}\n\n", curve.label());
        row(
            text,
            &[
                "N",
                "test loss",
                "known",
                "test error",
                "known",
                "coefficient norm",
                "known",
            ],
        );
        row(
            text,
            &["---:", "---:", "---:", "---:", "---:", "---:", "---:"],
        );
        for feature in known {
            let Some(point) = curve
                .points
                .iter()
                .find(|point| point.width == feature.features)
            else {
                continue;
            };
            let mean = |which| point.mean(which).map_or("–".to_owned(), number);
            row(
                text,
                &[
                    &feature.features.to_string(),
                    &mean(Number::TestLoss),
                    &number(feature.test_loss),
                    &mean(Number::TestError),
                    &number(feature.test_error),
                    &mean(Number::CoefficientNorm),
                    &feature.norm.map_or("–".to_owned(), number),
                ],
            );
        }
    }
}

/// Whether a curve has neither ridge nor label noise, as the known ones.
fn is_plain(curve: &Curve) -> bool {
    curve.axes.iter().all(|(name, value)| {
        let name = name.rsplit('.').next().unwrap_or(name);
        !["ridge", "label_noise"].contains(&name) || value.parse() == Ok(0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::super::point::{Measured, curves};
    use super::*;

    fn sweep(size: Size, losses: &[(u64, f64, f64)]) -> Vec<Curve> {
        let results: Vec<Measured> = losses
            .iter()
            .map(|&(width, test_loss, train_error)| Measured {
                width,
                parameters: 795 * width + 10,
                samples: if size == Size::Parameters { 4000 } else { 1000 },
                outputs: 10,
                numbers: [
                    (Number::TestLoss, test_loss),
                    (Number::TrainError, train_error),
                ]
                .into(),
                ..Measured::default()
            })
            .collect();
        curves(&results, size)
    }

    #[test]
    fn the_account_names_minimum_hump_ratios_and_where_training_error_ends() {
        let curves = sweep(
            Size::Parameters,
            &[
                (3, 0.0748, 0.5),
                (10, 0.0610, 0.2),
                (15, 0.0840, 0.06),
                (50, 0.0661, 0.01),
                (300, 0.0327, 0.0),
            ],
        );
        let text = account("mnist", &curves, Comparable::Squared);
        for line in [
            "| test loss: first minimum | 0.06100 | width 10, 7960 parameters (0.20 n·K) |",
            "| test loss: hump | 0.08400 | width 15, 11935 parameters (0.30 n·K) |",
            "| test loss: hump ÷ first minimum | 1.377 |  |",
            "| test loss: last ÷ first minimum | 0.5361 |  |",
            "| training error reaches 0 | 0 | width 300, 238510 parameters (5.96 n·K) |",
            "josch14/double-descent",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_curve_without_hump_says_so() {
        let curves = sweep(
            Size::Parameters,
            &[(3, 0.3, 0.5), (10, 0.2, 0.2), (15, 0.1, 0.06)],
        );
        let text = account("mnist", &curves, Comparable::Nothing);
        assert!(text.contains("| test loss: hump | none |"), "{text}");
        assert!(text.contains("0 is not reached"), "{text}");
        assert!(!text.contains("Known values"), "{text}");
    }

    #[test]
    fn random_features_stand_beside_the_known_size_by_size() {
        let curves = sweep(
            Size::Features,
            &[(400, 0.055, 0.1), (1000, 180.0, 0.0), (16000, 0.0207, 0.0)],
        );
        let text = account("rff", &curves, Comparable::Fourier);
        assert!(
            text.contains("| 16000 | 0.02070 | 0.02050 | – | 0.07400 | – | 23 |"),
            "{text}"
        );
    }
}
