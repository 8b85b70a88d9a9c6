//! Least squares on random features of MNIST beside the same in NumPy, size by size, and beside the claims of Belkin et al. (2019).

use super::sized::{cell, is_mnist, mean, number_setting, of, setting, tables};
use crate::figure::{Curve, Number, shape};
use crate::output::{Form, Rows};
use crate::report::{Expected, Measured, Quantity, Report};

/// One number of features on MNIST, n = 1,000, no noise, no ridge.
struct Known {
    features: u64,
    /// Squared loss, the mean over the ten outputs.
    test_loss: f64,
    test_error: f64,
    norm: Option<f64>,
}

const fn known(features: u64, summed_loss: f64, test_error: f64, norm: Option<f64>) -> Known {
    // The source sums squared loss over the 10 outputs; every loss here is the mean over them.
    Known {
        features,
        test_loss: summed_loss / 10.0,
        test_error,
        norm,
    }
}

/// Random Fourier features of bandwidth 5, solved in f64 with NumPy (`lstsq`); three draws to N = 2,000, one above.
const FOURIER: [Known; 11] = [
    known(50, 0.680, 0.403, Some(3.7)),
    known(200, 0.536, 0.228, Some(9.6)),
    known(400, 0.560, 0.203, Some(17.0)),
    known(800, 1.39, 0.366, Some(47.0)),
    known(950, 5.24, 0.603, Some(106.0)),
    known(1000, 2208.0, 0.876, Some(1884.0)),
    known(1050, 4.83, 0.581, Some(108.0)),
    known(1200, 1.35, 0.335, Some(57.0)),
    known(2000, 0.411, 0.127, Some(32.0)),
    known(4000, 0.263, 0.086, Some(26.0)),
    known(16000, 0.205, 0.074, Some(23.0)),
];

/// Random ReLU features, by the same means.
const RELU: [Known; 8] = [
    known(50, 0.584, 0.310, None),
    known(200, 0.469, 0.186, None),
    known(400, 0.518, 0.177, None),
    known(950, 4.49, 0.556, None),
    known(1000, 1807.0, 0.883, None),
    known(1050, 4.68, 0.566, None),
    known(2000, 0.463, 0.135, None),
    known(16000, 0.250, 0.086, None),
];

const NUMPY: &str = "NumPy `lstsq` in f64, three draws to N = 2,000";
const PAPER: &str = "Belkin et al. 2019, Fig. 2";

/// The report.
pub(super) fn report(title: &str, curves: &[Curve]) -> Report {
    let mut report = Report {
        title: title.to_owned(),
        about:
            "Losses are means over samples and outputs, errors 1 − accuracy; every number is a mean over seeds."
                .to_owned(),
        tables: tables(curves),
        quantities: curves.iter().flat_map(claims).collect(),
        remarks: Vec::new(),
    };
    for curve in curves.iter().filter(|curve| is_plain(curve)) {
        report
            .quantities
            .extend(sizes(curve).iter().flat_map(|known| beside(curve, known)));
        if !sizes(curve).is_empty() {
            let heading = of("Beside NumPy", curve);
            report.tables.push((heading, table(curve)));
        }
    }
    report.remarks.push(
        "At N = n the value is that of a nearly singular system and varies by orders of magnitude between draws: there only that it is the greatest is compared."
            .to_owned(),
    );
    report
}

/// Whether a curve has neither ridge nor label noise.
fn is_plain(curve: &Curve) -> bool {
    number_setting(curve, "model.ridge", 0.0) == 0.0
        && number_setting(curve, "data.label_noise", 0.0) == 0.0
}

/// The known sizes for a curve.
fn sizes(curve: &Curve) -> &'static [Known] {
    if !is_mnist(curve) || curve.samples != 1000 {
        return &[];
    }
    match setting(curve, "model.kind") {
        Some("fourier-features") => &FOURIER,
        Some("relu-features") => &RELU,
        _ => &[],
    }
}

/// What the paper says of every such curve: where loss and norm are greatest, and that a ridge removes it.
fn claims(curve: &Curve) -> Vec<Quantity> {
    let n = curve.samples as f64;
    let spans = |position: f64| {
        curve
            .points
            .iter()
            .any(|point| point.width as f64 == position)
    };
    let seeds = curve.seeds().0;
    let measured = |mean: f64| Measured {
        mean,
        sd: 0.0,
        n: seeds,
    };
    let mut claims = Vec::new();
    let loss = shape(&curve.means(Number::TestLoss)).and_then(|shape| shape.hump);
    if number_setting(curve, "model.ridge", 0.0) > 0.0 {
        // A ridge that is too weak for its features leaves a peak: what is asked is that it is no peak of orders of magnitude.
        claims.push(Quantity {
            name: of("test loss, hump ÷ first minimum", curve),
            expected: Expected::AtMost(1.5),
            source: PAPER,
            reason: "a ridge removes the peak: no point stands half above the first minimum",
            measured: Some(measured(loss.map_or(1.0, |hump| hump.rise()))),
        });
        return claims;
    }
    if let Some(&limit) = curve.limit.get(&Number::TestLoss) {
        let least = curve
            .means(Number::TestLoss)
            .into_iter()
            .map(|(_, loss)| loss);
        let least = least.fold(f64::INFINITY, f64::min);
        claims.push(Quantity {
            name: of("test loss, kernel ÷ best finite N", curve),
            expected: Expected::AtMost(1.0),
            source: PAPER,
            reason: "none: the kernel is below every finite N",
            measured: Some(measured(limit / least)),
        });
    }
    if !spans(n) {
        return claims;
    }
    let norm = shape(&curve.means(Number::CoefficientNorm)).and_then(|shape| shape.hump);
    for (name, hump) in [("test loss", loss), ("coefficient norm", norm)] {
        claims.push(Quantity {
            name: of(&format!("{name}, N ÷ n at its peak"), curve),
            expected: Expected::Near {
                value: 1.0,
                tolerance: 0.0,
            },
            source: PAPER,
            reason: "none: the peak is at N = n",
            measured: hump.map(|hump| measured(hump.top.0 / n)),
        });
    }
    claims
}

/// One size beside its known numbers. At N = n nothing is compared.
fn beside(curve: &Curve, known: &Known) -> Vec<Quantity> {
    if known.features == curve.samples {
        return Vec::new();
    }
    let near_threshold = known.features.abs_diff(curve.samples) * 10 <= curve.samples;
    let (share, reason) = if near_threshold {
        (
            0.3,
            "30 %: within a tenth of N = n draws differ by a quarter",
        )
    } else {
        (0.1, "10 %: other draws of samples and features")
    };
    let numbers = [
        ("test loss", Number::TestLoss, Some(known.test_loss)),
        ("test error", Number::TestError, Some(known.test_error)),
        ("coefficient norm", Number::CoefficientNorm, known.norm),
    ];
    let quantity = |(name, which, value): (&str, Number, Option<f64>)| {
        let value = value?;
        Some(Quantity {
            name: of(&format!("{name}, N = {}", known.features), curve),
            expected: Expected::Near {
                value,
                tolerance: share * value,
            },
            source: NUMPY,
            reason,
            measured: mean(curve, known.features, which).map(|spread| Measured {
                mean: spread.mean,
                sd: spread.sd,
                n: spread.n,
            }),
        })
    };
    numbers.into_iter().filter_map(quantity).collect()
}

/// Measured and known numbers, size by size.
fn table(curve: &Curve) -> Rows {
    let mut rows = Rows::new([
        ("N", Form::Count),
        ("test loss", Form::Number),
        ("known", Form::Number),
        ("test error", Form::Number),
        ("known", Form::Number),
        ("coefficient norm", Form::Number),
        ("known", Form::Number),
    ]);
    for known in sizes(curve) {
        let measured = |which| cell(mean(curve, known.features, which).map(|spread| spread.mean));
        if mean(curve, known.features, Number::TestLoss).is_none() {
            continue;
        }
        rows.push([
            known.features.into(),
            measured(Number::TestLoss),
            known.test_loss.into(),
            measured(Number::TestError),
            known.test_error.into(),
            measured(Number::CoefficientNorm),
            cell(known.norm),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Measured as Result, Size, curves};

    fn sweep(ridge: &str, losses: &[(u64, f64, f64)]) -> Vec<Curve> {
        let result = |&(width, test_loss, norm): &(u64, f64, f64)| Result {
            width,
            parameters: width * 10,
            samples: 1000,
            outputs: 10,
            settings: [("model.kind", "fourier-features"), ("model.ridge", ridge)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            numbers: [
                (Number::TestLoss, test_loss),
                (Number::CoefficientNorm, norm),
            ]
            .into(),
            ..Result::default()
        };
        let results: Vec<Result> = losses.iter().map(result).collect();
        curves(&results, Size::Features)
    }

    #[test]
    fn sizes_stand_beside_the_known_and_the_peak_at_its_place() {
        let curves = sweep(
            "0",
            &[
                (400, 0.055, 17.0),
                (1000, 180.0, 1500.0),
                (16000, 0.0207, 22.0),
            ],
        );
        let text = report("rff", &curves).markdown();
        for line in [
            "| 16000 | 0.02070 | 0.02050 | – | 0.07400 | 22 | 23 |",
            "| test loss, N ÷ n at its peak | 1 ± 0 | Belkin et al. 2019, Fig. 2 | none: the peak is at N = n | 1 | – | 1 | yes |",
            "| coefficient norm, N = 400 | 17 ± 1.700 |",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_ridge_that_leaves_a_peak_is_said_to_do_so() {
        let peaked = sweep(
            "0.1",
            &[(400, 0.05, 1.0), (1000, 0.1, 1.0), (2000, 0.03, 1.0)],
        );
        let report = report("rff", &peaked);
        assert_eq!(report.quantities[0].verdict().words().0, "no");
    }
}
