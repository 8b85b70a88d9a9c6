//! What is published of memorisation, beside the measured.

use super::{Point, Task, is_held_back, joined};
use crate::report::{Expected, Measured, Quantity};

/// What the paper says whatever the data and the network.
pub(super) fn claims(points: &[Point]) -> Vec<Quantity> {
    let mut claims = Vec::new();
    let mut claim = |name: String, expected, source, reason, measured| {
        claims.push(Quantity {
            name,
            expected,
            source,
            reason,
            measured,
        });
    };
    let free = || points.iter().filter(|point| !is_held_back(point));
    for point in free().filter(|point| point.task == Task::RandomLabels) {
        claim(
            joined("random labels: training error", &point.besides),
            Expected::AtMost(0.01),
            "Zhang et al. 2017, Table 1",
            "the paper's own networks miss up to 0.66 %",
            point.train_error,
        );
        claim(
            joined("random labels: test error", &point.besides),
            Expected::Near {
                value: 0.9,
                tolerance: 0.02,
            },
            "Zhang et al. 2017, Table 1",
            "chance; the paper's lie between 0.894 and 0.902, classes are not equally frequent",
            point.test_error,
        );
    }
    // Time to fit, over that of true labels, for networks of the same besides.
    for truth in free().filter(|point| point.task == Task::True) {
        let same = |task: Task| {
            free().find(move |point| point.task == task && point.besides == truth.besides)
        };
        for task in [
            Task::Shuffled,
            Task::Gaussian,
            Task::RandomPixels,
            Task::RandomLabels,
        ] {
            let Some(other) = same(task) else { continue };
            let ratio = other.low_loss.zip(truth.low_loss).map(|(other, truth)| {
                let ratio = other.mean / truth.mean;
                // Relative deviations of a quotient add up as squares.
                let share = (other.sd / other.mean).hypot(truth.sd / truth.mean);
                Measured {
                    mean: ratio,
                    sd: ratio * share,
                    n: other.n.min(truth.n),
                }
            });
            let dense = truth
                .settings
                .get("model.kind")
                .is_none_or(|kind| kind == "mlp");
            let (expected, reason) = if task == Task::Shuffled && dense {
                (
                    Expected::Near {
                        value: 1.0,
                        tolerance: 0.25,
                    },
                    "a dense network sees no difference: a quarter for other initial weights and whole epochs",
                )
            } else {
                (
                    Expected::AtLeast(1.0),
                    "the order alone: times are those of another network",
                )
            };
            claim(
                joined(
                    &format!("{} ÷ true labels: epochs to low loss", task.words()),
                    &truth.besides,
                ),
                expected,
                "Zhang et al. 2017, Figure 1a",
                reason,
                ratio,
            );
        }
    }
    let mut names: Vec<&str> = free().map(|point| point.besides.as_str()).collect();
    names.dedup();
    for name in names {
        let mut errors: Vec<(f64, f64)> = free()
            .filter(|point| point.besides == name)
            .filter_map(|point| Some((point.task.corruption()?, point.test_error?.mean)))
            .collect();
        errors.sort_by(|a, b| a.0.total_cmp(&b.0));
        errors.dedup_by(|a, b| a.0 == b.0);
        let steps: Vec<f64> = errors
            .windows(2)
            .map(|pair| f64::from(u8::from(pair[1].1 > pair[0].1)))
            .collect();
        if steps.len() >= 2 {
            claim(
                joined(
                    "test error rises from one corruption to the next: share of steps",
                    name,
                ),
                Expected::AtLeast(1.0),
                "Zhang et al. 2017, Figure 1c",
                "none: it rises throughout",
                Measured::of(&steps),
            );
        }
    }
    // "Regularization is neither necessary nor by itself sufficient": without any, networks generalise nearly as well.
    for truth in free().filter(|point| point.task == Task::True) {
        let held: Vec<f64> = points
            .iter()
            .filter(|point| point.task == Task::True && is_held_back(point))
            .filter_map(|point| Some(truth.test_error?.mean - point.test_error?.mean))
            .collect();
        if let Some(most) = held.into_iter().reduce(f64::max) {
            claim(
                "true labels: what the best regulariser takes off the test error".to_owned(),
                Expected::AtMost(0.052),
                "Zhang et al. 2017, Table 1",
                "there: 0.036 for Inception, 0.052 for AlexNet with crops and decay",
                Some(Measured {
                    mean: most,
                    sd: 0.0,
                    n: 1,
                }),
            );
        }
    }
    claims
}

/// Table 1's rows of dense networks on CIFAR-10.
pub(super) fn table_1(point: &Point) -> Vec<Quantity> {
    let setting = |name: &str| point.settings.get(name).map(String::as_str);
    let cifar = setting("data.dataset").is_some_and(|name| name.contains("cifar10"));
    if !cifar || point.samples != 50_000 {
        return Vec::new();
    }
    let decays = setting("train.weight_decay").is_some();
    let shape = setting("model.shape").or_else(|| setting("model.width"));
    let value = match (shape, point.task, decays) {
        (Some("512-512-512"), Task::True, true) => 0.4665,
        (Some("512-512-512"), Task::True, false) => 0.4761,
        (Some("512-512-512"), Task::RandomLabels, false) => 0.8952,
        (Some("512"), Task::True, true) => 0.4961,
        (Some("512"), Task::True, false) => 0.4949,
        (Some("512"), Task::RandomLabels, false) => 0.8939,
        _ => return Vec::new(),
    };
    vec![Quantity {
        name: format!(
            "test error of {}, {}",
            shape.unwrap_or_default(),
            joined(point.task.words(), &point.besides)
        ),
        expected: Expected::Near {
            value,
            tolerance: 0.04,
        },
        source: "Zhang et al. 2017, Table 1",
        reason: "0.04: whole images of 32 by 32 and the mean image subtracted, there crops of 28 by 28, each whitened",
        measured: point.test_error,
    }]
}
