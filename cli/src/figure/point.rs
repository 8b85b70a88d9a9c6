//! What a figure shows: results with the same settings but for the seed, put together as points of curves.

use std::collections::BTreeMap;

use super::curve::fitted_from;

/// A measured number of a trained network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Number {
    /// Loss on the training samples.
    TrainLoss,
    /// Zero-one error on the training samples.
    TrainError,
    /// Loss on the test samples.
    TestLoss,
    /// Zero-one error on the test samples.
    TestError,
    /// Hidden units that are zero on every training sample.
    DeadUnits,
    /// Euclidean norm of the coefficients.
    CoefficientNorm,
}

impl Number {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::TrainLoss,
        Self::TrainError,
        Self::TestLoss,
        Self::TestError,
        Self::DeadUnits,
        Self::CoefficientNorm,
    ];

    /// Its column in the views.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::TrainLoss => "train_loss",
            Self::TrainError => "train_error",
            Self::TestLoss => "test_loss",
            Self::TestError => "test_error",
            Self::DeadUnits => "dead_units",
            Self::CoefficientNorm => "coefficient_norm",
        }
    }
}

/// One result, as far as figures care.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// Units per hidden layer, or number of random features.
    pub(crate) width: u64,
    /// Count of trained numbers.
    pub(crate) parameters: u64,
    /// Training samples n.
    pub(crate) samples: u64,
    /// Classes K.
    pub(crate) outputs: u64,
    /// Axes that are neither width nor seed, by name, as words.
    pub(crate) axes: BTreeMap<String, String>,
    /// All its settings that are not defaults, by name, as words, without seeds.
    pub(crate) settings: BTreeMap<String, String>,
    /// Its numbers; those that were not finite are missing.
    pub(crate) numbers: BTreeMap<Number, f64>,
}

/// A number over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// How many.
    pub(crate) n: usize,
    /// Their mean.
    pub(crate) mean: f64,
    /// Their standard deviation (n − 1 in the denominator; 0 for one).
    pub(crate) sd: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Spread {
    /// Of some values; `None` for none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self {
            n,
            mean,
            sd: if n > 1 {
                (squares / (n - 1) as f64).sqrt()
            } else {
                0.0
            },
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    /// The band around the mean: ± one standard deviation, or from the smallest to the largest where two seeds are too few for one.
    pub(crate) fn band(self) -> (f64, f64) {
        if self.n >= 3 {
            (self.mean - self.sd, self.mean + self.sd)
        } else {
            (self.min, self.max)
        }
    }
}

/// One point of a curve: a network size, over its seeds.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Units per hidden layer, or number of random features.
    pub(crate) width: u64,
    /// Count of trained numbers.
    pub(crate) parameters: u64,
    /// Results behind it.
    pub(crate) n: usize,
    /// Those of them that have no test loss, because it was not finite.
    pub(crate) diverged: usize,
    /// Its numbers.
    pub(crate) numbers: BTreeMap<Number, Spread>,
}

impl Point {
    /// The mean of a number.
    pub(crate) fn mean(&self, number: Number) -> Option<f64> {
        self.numbers.get(&number).map(|spread| spread.mean)
    }
}

/// By what networks are lined up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Count of trained numbers; the interpolation threshold is n·K.
    Parameters,
    /// Number of random features; every class has its own coefficients, so that the threshold is n.
    Features,
}

/// The points with the same value of every axis but width and seed, by ascending size.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    /// By what its points are lined up.
    pub(crate) size: Size,
    /// The axes that tell this curve from the others, by name; empty when it is the only one.
    pub(crate) axes: BTreeMap<String, String>,
    /// What its numbers tend to as features grow in number: the kernel's, where the sweep has it.
    pub(crate) limit: BTreeMap<Number, f64>,
    /// The settings of its first result, as in [`Measured`].
    pub(crate) settings: BTreeMap<String, String>,
    /// Training samples n.
    pub(crate) samples: u64,
    /// Classes K.
    pub(crate) outputs: u64,
    /// Its points.
    pub(crate) points: Vec<Point>,
}

impl Curve {
    /// What to call it in a legend: `label noise 0.2`, or nothing when it is the only one.
    pub(crate) fn label(&self) -> String {
        words(&self.axes)
    }

    /// Where a point lies.
    pub(crate) fn position(&self, point: &Point) -> f64 {
        match self.size {
            Size::Parameters => point.parameters as f64,
            Size::Features => point.width as f64,
        }
    }

    /// A number's mean against the size.
    pub(crate) fn means(&self, number: Number) -> Vec<(f64, f64)> {
        let points = self.points.iter();
        points
            .filter_map(|point| Some((self.position(point), point.mean(number)?)))
            .collect()
    }

    /// The size from which a model can fit any labels, where there is one.
    pub(crate) fn threshold(&self) -> Option<f64> {
        match self.size {
            Size::Parameters => Some(self.samples as f64 * self.outputs as f64),
            Size::Features => Some(self.samples as f64),
        }
    }

    /// The size from which the mean training error is zero.
    pub(crate) fn fitted_from(&self) -> Option<f64> {
        fitted_from(&self.means(Number::TrainError), self.samples as f64)
    }

    /// The fewest and the most seeds behind a point.
    pub(crate) fn seeds(&self) -> (usize, usize) {
        let counts = || self.points.iter().map(|point| point.n);
        (counts().min().unwrap_or(0), counts().max().unwrap_or(0))
    }
}

/// Axes and their values as readers say them: `depth 2, label noise 0.2`.
pub(crate) fn words<'a>(axes: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let word = |(axis, value): (&String, &String)| {
        let name = axis.rsplit('.').next().unwrap_or(axis).replace('_', " ");
        format!("{name} {value}")
    };
    axes.into_iter().map(word).collect::<Vec<_>>().join(", ")
}

/// Puts results together as curves, in the order of their axes' values (as numbers where they are). A kernel is the limit of the
/// curve whose settings it shares.
pub(crate) fn curves(results: &[Measured], size: Size) -> Vec<Curve> {
    let (limits, results): (Vec<&Measured>, Vec<&Measured>) = results
        .iter()
        .partition(|result| size == Size::Features && result.width == 0);
    let mut groups: BTreeMap<_, Vec<&Measured>> = BTreeMap::new();
    for &result in &results {
        groups
            .entry((&result.axes, result.samples, result.outputs))
            .or_default()
            .push(result);
    }
    let differing = differing(&results);
    let limit = |axes: &BTreeMap<String, String>, samples, outputs| {
        let own = limits.iter().find(|limit| {
            (limit.samples, limit.outputs) == (samples, outputs)
                && of_features(&limit.axes) == *axes
        });
        own.map_or_else(BTreeMap::new, |limit| limit.numbers.clone())
    };
    let mut curves: Vec<Curve> = groups
        .into_iter()
        .map(|((axes, samples, outputs), members)| Curve {
            size,
            axes: axes
                .iter()
                .filter(|(axis, _)| differing.contains(axis))
                .map(owned)
                .collect(),
            limit: limit(axes, samples, outputs),
            settings: members[0].settings.clone(),
            samples,
            outputs,
            points: points(&members),
        })
        .collect();
    curves.sort_by(|a, b| {
        let by_value = a
            .axes
            .values()
            .zip(b.axes.values())
            .map(|(x, y)| compare(x, y));
        by_value.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    curves
}

fn owned((axis, value): (&String, &String)) -> (String, String) {
    (axis.clone(), value.clone())
}

/// The axes of the features that a kernel is the limit of.
fn of_features(axes: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let features = |(axis, value): (&String, &String)| {
        let value = match value.strip_suffix("-kernel") {
            Some(kind) => format!("{kind}-features"),
            None => value.clone(),
        };
        (axis.clone(), value)
    };
    axes.iter().map(features).collect()
}

/// The axes that have more than one value.
fn differing<'a>(results: &[&'a Measured]) -> Vec<&'a String> {
    let mut seen: BTreeMap<&String, (&String, bool)> = BTreeMap::new();
    for (axis, value) in results.iter().flat_map(|result| &result.axes) {
        seen.entry(axis)
            .and_modify(|(first, many)| *many |= *first != value)
            .or_insert((value, false));
    }
    seen.into_iter()
        .filter(|(_, (_, many))| *many)
        .map(|(axis, _)| axis)
        .collect()
}

fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    }
}

fn points(members: &[&Measured]) -> Vec<Point> {
    let mut sizes: BTreeMap<(u64, u64), Vec<&Measured>> = BTreeMap::new();
    for member in members {
        sizes
            .entry((member.parameters, member.width))
            .or_default()
            .push(member);
    }
    let point = |((parameters, width), seeds): ((u64, u64), Vec<&Measured>)| {
        let values = |number| -> Vec<f64> {
            seeds
                .iter()
                .filter_map(|seed| seed.numbers.get(&number).copied())
                .collect()
        };
        Point {
            width,
            parameters,
            n: seeds.len(),
            diverged: seeds.len() - values(Number::TestLoss).len(),
            numbers: Number::ALL
                .into_iter()
                .filter_map(|number| Some((number, Spread::of(&values(number))?)))
                .collect(),
        }
    };
    sizes.into_iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(width: u64, noise: &str, loss: f64) -> Measured {
        let axes = [
            ("data.label_noise".to_owned(), noise.to_owned()),
            ("model.depth".to_owned(), "1".to_owned()),
        ];
        Measured {
            width,
            parameters: 795 * width + 10,
            samples: 100,
            outputs: 10,
            axes: axes.into(),
            settings: BTreeMap::new(),
            numbers: [(Number::TestLoss, loss)]
                .into_iter()
                .filter(|(_, loss)| loss.is_finite())
                .collect(),
        }
    }

    #[test]
    fn seeds_become_one_point_and_other_axes_become_curves() {
        let results = [
            result(5, "0.2", 0.3),
            result(2, "0.1", 1.0),
            result(2, "0.2", 0.1),
            result(2, "0.2", 0.3),
            result(2, "0.2", f64::NAN),
        ];
        let curves = curves(&results, Size::Parameters);
        assert_eq!(
            curves.iter().map(Curve::label).collect::<Vec<_>>(),
            ["label noise 0.1", "label noise 0.2"]
        );
        let noisy = &curves[1];
        assert_eq!(
            noisy
                .points
                .iter()
                .map(|point| point.width)
                .collect::<Vec<_>>(),
            [2, 5]
        );
        assert_eq!((noisy.points[0].n, noisy.points[0].diverged), (3, 1));
        assert!(
            (noisy.points[0]
                .mean(Number::TestLoss)
                .expect("two finite losses")
                - 0.2)
                .abs()
                < 1e-12
        );
        assert_eq!(noisy.seeds(), (1, 3));
    }

    #[test]
    fn a_kernel_is_the_limit_of_its_features() {
        let of = |kind: &str, width, loss| Measured {
            axes: [("kind".to_owned(), kind.to_owned())].into(),
            ..result(width, "0", loss)
        };
        let results = [of("fourier-features", 5, 0.3), of("fourier-kernel", 0, 0.1)];
        let curves = curves(&results, Size::Features);
        assert_eq!(curves.len(), 1);
        assert_eq!(curves[0].limit.get(&Number::TestLoss), Some(&0.1));
        assert_eq!(curves[0].label(), "", "the only curve needs no name");
    }

    #[test]
    fn values_are_ordered_as_numbers() {
        let results = [result(2, "10", 1.0), result(2, "9", 1.0)];
        assert_eq!(
            curves(&results, Size::Parameters)[0].label(),
            "label noise 9"
        );
    }

    #[test]
    fn a_band_needs_three_seeds_for_a_standard_deviation() {
        let three = Spread::of(&[1.0, 2.0, 3.0]).expect("three values");
        assert_eq!(three.band(), (1.0, 3.0));
        let two = Spread::of(&[1.0, 2.0]).expect("two values");
        assert_eq!(two.band(), (1.0, 2.0));
        assert!(Spread::of(&[]).is_none());
    }
}
