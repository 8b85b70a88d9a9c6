//! Risk curves of networks beside earlier ones on MNIST: n = 4,000, one hidden layer, squared loss.

use super::sized::{is_mnist, number_setting, of, ratio, setting, tables};
use crate::figure::{Curve, Number, shape};
use crate::output::{Form, Rows};
use crate::report::{Expected, Quantity, Report};

/// An earlier curve: its settings, and what its test loss does.
struct Known {
    source: &'static str,
    label_noise: f64,
    weight_decay: f64,
    /// Word of `train.optimizer.kind` and learning rate.
    optimizer: (&'static str, f64),
    /// Whether networks below the threshold start from the next narrower one.
    reuse: bool,
    /// First minimum, top of the hump, and widest network: width and value.
    first_minimum: (u64, f64),
    top: (u64, f64),
    last: (u64, f64),
    /// How far ratios of the two may lie from these, as a share of them, and why.
    tolerance: (f64, &'static str),
}

/// How far the re-run is to be trusted: its step size of 0.1 on raw pixels kills most units of narrow networks, which lifts their loss.
const RERUN: (f64, &str) = (
    0.3,
    "30 %: there step size 0.1 on raw pixels kills units of narrow networks",
);
const REPEATED: (f64, &str) = (
    0.15,
    "15 %: one seed there, seeds differ by 5 %, positions by a grid step",
);
const BELKIN: &str = "josch14/double-descent, logs: Belkin's schedule, 5 repeats";

/// Test losses are means over samples and outputs. The y-values of Belkin et al. (2019), Fig. 3 are not published as numbers: only the
/// shape can be compared with them.
const KNOWN: [Known; 9] = [
    known(0.0, 0.0, (49, 0.0536), (55, 0.0679), (150, 0.0274)),
    known(0.05, 0.0, (28, 0.0658), (58, 0.0810), (150, 0.0411)),
    known(0.1, 0.0, (26, 0.0734), (49, 0.0967), (150, 0.0545)),
    known(0.2, 0.0, (10, 0.0833), (55, 0.1318), (150, 0.0700)),
    known(0.0, 1e-4, (8, 0.0756), (10, 0.0827), (150, 0.0139)),
    known(0.2, 1e-4, (26, 0.0450), (30, 0.0523), (150, 0.0362)),
    Known {
        source: "josch14/double-descent, logs: Belkin's schedule, weight reuse below n·K",
        reuse: true,
        ..known(0.0, 0.0, (10, 0.0676), (50, 0.2204), (150, 0.0284))
    },
    Known {
        source: "JAX, this project: centred, Adam 2e-3, batch 100, 600 epochs, 1 seed",
        optimizer: ("adam", 0.002),
        tolerance: REPEATED,
        ..known(0.1, 0.0, (10, 0.0610), (15, 0.0840), (300, 0.0327))
    },
    Known {
        source: "JAX, this project: centred, SGD 0.01 momentum 0.95, batch 100, 600 epochs, 1 seed",
        optimizer: ("sgd", 0.01),
        tolerance: REPEATED,
        ..known(0.1, 0.0, (10, 0.0461), (120, 0.0632), (500, 0.0467))
    },
];

const fn known(
    label_noise: f64,
    weight_decay: f64,
    first_minimum: (u64, f64),
    top: (u64, f64),
    last: (u64, f64),
) -> Known {
    Known {
        source: BELKIN,
        label_noise,
        weight_decay,
        optimizer: ("sgd", 0.1),
        reuse: false,
        first_minimum,
        top,
        last,
        tolerance: RERUN,
    }
}

/// The report.
pub(super) fn report(title: &str, curves: &[Curve]) -> Report {
    let mut report = Report {
        title: title.to_owned(),
        about:
            "Losses are means over samples and outputs, errors 1 − accuracy; every number is a mean over seeds."
                .to_owned(),
        tables: tables(curves),
        quantities: curves.iter().flat_map(quantities).collect(),
        remarks: Vec::new(),
    };
    if curves.iter().any(is_comparable) {
        report.tables.push(("Earlier curves".to_owned(), earlier()));
        report.remarks.push(
            "MNIST, n = 4,000, K = 10 (n·K = 40,000, width 50.3), one hidden layer, squared loss. Belkin et al. (2019, Fig. 3) show the same \
             shape with weight reuse and without label noise, their values not as numbers; protocols differ, so ratios and positions are compared, not values."
                .to_owned(),
        );
    }
    report
}

/// Whether a curve may stand beside the earlier ones at all.
fn is_comparable(curve: &Curve) -> bool {
    is_mnist(curve)
        && curve.samples == 4000
        && setting(curve, "train.loss").is_none_or(|loss| loss == "squared")
        && number_setting(curve, "model.depth", 1.0) == 1.0
        && setting(curve, "model.kind").is_none_or(|kind| kind == "mlp")
        && number_setting(curve, "subspace.dim", 0.0) == 0.0
}

/// Whether an earlier curve asks the same of the data: noise, decay, reuse; and of the optimizer, where that run can be repeated exactly.
fn matches(known: &Known, curve: &Curve) -> bool {
    let reuse = setting(curve, "train.weight_reuse").is_some_and(|scope| scope != "never");
    let (kind, lr) = known.optimizer;
    let same_steps = setting(curve, "train.optimizer.kind").unwrap_or("sgd") == kind
        && number_setting(curve, "train.optimizer.lr", 0.0) == lr;
    known.label_noise == number_setting(curve, "data.label_noise", 0.0)
        && known.weight_decay == number_setting(curve, "train.weight_decay", 0.0)
        && known.reuse == reuse
        && (known.tolerance.0 == RERUN.0 || same_steps)
}

fn quantities(curve: &Curve) -> Vec<Quantity> {
    if !is_comparable(curve) {
        return Vec::new();
    }
    let shape = shape(&curve.means(Number::TestLoss));
    let mut quantities = Vec::new();
    for known in KNOWN.iter().filter(|known| matches(known, curve)) {
        let hump = shape.as_ref().and_then(|shape| shape.hump.as_ref());
        let (share, reason) = known.tolerance;
        let near = |value: f64| Expected::Near {
            value,
            tolerance: share * value,
        };
        let mut quantity = |name: &str, expected, measured| {
            quantities.push(Quantity {
                name: of(name, curve),
                expected,
                source: known.source,
                reason,
                measured,
            });
        };
        quantity(
            "test loss, hump ÷ first minimum",
            near(known.top.1 / known.first_minimum.1),
            hump.and_then(|hump| {
                ratio(curve, Number::TestLoss, (hump.top.0, hump.first_minimum.0))
            }),
        );
        quantity(
            &format!("test loss, width {} ÷ hump", known.last.0),
            near(known.last.1 / known.top.1),
            hump.and_then(|hump| {
                let mut points = curve.points.iter();
                let wide = points.find(|point| point.width == known.last.0)?;
                ratio(curve, Number::TestLoss, (curve.position(wide), hump.top.0))
            }),
        );
    }
    quantities
}

fn earlier() -> Rows {
    let mut rows = Rows::new([
        ("source", Form::Text),
        ("label_noise", Form::Number),
        ("weight_decay", Form::Number),
        ("first minimum @ width", Form::Text),
        ("hump @ width", Form::Text),
        ("last @ width", Form::Text),
        ("hump ÷ first", Form::Number),
        ("last ÷ first", Form::Number),
    ]);
    let at = |(width, value): (u64, f64)| format!("{value:.4} @ {width}");
    for known in &KNOWN {
        rows.push([
            known.source.into(),
            known.label_noise.into(),
            known.weight_decay.into(),
            at(known.first_minimum).into(),
            at(known.top).into(),
            at(known.last).into(),
            (known.top.1 / known.first_minimum.1).into(),
            (known.last.1 / known.first_minimum.1).into(),
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Measured, Size, curves};

    fn sweep(settings: &[(&str, &str)], losses: &[(u64, f64, f64)]) -> Vec<Curve> {
        let results: Vec<Measured> = losses
            .iter()
            .map(|&(width, test_loss, train_error)| Measured {
                width,
                parameters: 795 * width + 10,
                samples: 4000,
                outputs: 10,
                settings: settings
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
                numbers: [
                    (Number::TestLoss, test_loss),
                    (Number::TrainError, train_error),
                ]
                .into(),
                ..Measured::default()
            })
            .collect();
        curves(&results, Size::Parameters)
    }

    const LOSSES: [(u64, f64, f64); 5] = [
        (3, 0.0748, 0.5),
        (10, 0.0610, 0.2),
        (15, 0.0840, 0.06),
        (50, 0.0661, 0.01),
        (300, 0.0327, 0.0),
    ];

    #[test]
    fn the_report_names_minimum_hump_ratios_and_where_training_error_ends() {
        let text = report("mnist", &sweep(&[], &LOSSES)).markdown();
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
    fn a_curve_stands_beside_the_one_with_its_noise_and_its_steps() {
        let settings = [
            ("data.label_noise", "0.1"),
            ("train.optimizer.kind", "adam"),
            ("train.optimizer.lr", "0.002"),
        ];
        let report = report("mnist", &sweep(&settings, &LOSSES));
        let adam: Vec<_> = report
            .quantities
            .iter()
            .filter(|quantity| quantity.source.contains("Adam"))
            .collect();
        assert_eq!(adam.len(), 2);
        for quantity in adam {
            let (agrees, _) = quantity.verdict().words();
            assert_eq!(
                agrees, "yes",
                "the same curve agrees with itself: {quantity:?}"
            );
        }
        assert_eq!(
            report.quantities.len(),
            4,
            "noise alone is compared with the re-run"
        );
    }

    #[test]
    fn a_curve_without_hump_says_so_and_other_data_is_not_compared() {
        let falling = [(3, 0.3, 0.5), (10, 0.2, 0.2), (15, 0.1, 0.06)];
        let curves = sweep(&[("data.dataset", "cifar10")], &falling);
        let text = report("mnist", &curves).markdown();
        assert!(text.contains("| test loss: hump | none |"), "{text}");
        assert!(text.contains("0 is not reached"), "{text}");
        assert!(!text.contains("Beside the published"), "{text}");
    }
}
