//! What a risk curve says: its first minimum, its hump, how it ends. Pure arithmetic on means over seeds.
//!
//! The hump is the interior point of greatest prominence: the point whose value, divided by the larger of the least values
//! on its two sides, is greatest. So one noisy point beside the first minimum is no hump, and a curve that only rises or only falls has none.

/// What there is to say of one curve. Positions are counts of parameters (or of features).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    /// The smallest size and its value.
    pub(crate) start: (f64, f64),
    /// The largest size and its value.
    pub(crate) last: (f64, f64),
    /// The hump with what lies on both sides of it, if there is one.
    pub(crate) hump: Option<Hump>,
}

/// A hump between two descents.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hump {
    /// The least value before it: where, and what.
    pub(crate) first_minimum: (f64, f64),
    /// Its top.
    pub(crate) top: (f64, f64),
    /// The least value after it.
    pub(crate) second_minimum: (f64, f64),
    /// From where to where the curve lies above half the height between first minimum and top.
    pub(crate) half_height: (f64, f64),
    /// Whether the first minimum lies inside the range: the curve falls to it.
    pub(crate) falls_first: bool,
}

impl Hump {
    /// Top over first minimum.
    pub(crate) fn rise(&self) -> f64 {
        self.top.1 / self.first_minimum.1
    }
}

/// Reads the shape of a curve: points by ascending position, values positive. `None` for fewer than three.
pub(crate) fn shape(points: &[(f64, f64)]) -> Option<Shape> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < 3 {
        return None;
    }
    Some(Shape {
        start: *first,
        last: *last,
        hump: hump(points),
    })
}

fn hump(points: &[(f64, f64)]) -> Option<Hump> {
    let least =
        |range: std::ops::Range<usize>| range.min_by(|&a, &b| points[a].1.total_cmp(&points[b].1));
    let (prominence, top, before, after) = (1..points.len() - 1)
        .filter_map(|top| {
            let (before, after) = (least(0..top)?, least(top + 1..points.len())?);
            let prominence = points[top].1 / points[before].1.max(points[after].1);
            Some((prominence, top, before, after))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    if prominence <= 1.0 {
        return None;
    }
    let half = (points[before].1 + points[top].1) / 2.0;
    Some(Hump {
        first_minimum: points[before],
        top: points[top],
        second_minimum: points[after],
        half_height: (
            crossing(points, half, (0..top).rev().map(|i| (i, i + 1))).unwrap_or(points[0].0),
            crossing(points, half, (top + 1..points.len()).map(|i| (i, i - 1)))
                .unwrap_or(points[points.len() - 1].0),
        ),
        falls_first: before > 0,
    })
}

/// Where the curve first falls below a height, walking pairs (outer, inner) away from the top; between points, log of the position is interpolated.
fn crossing(
    points: &[(f64, f64)],
    height: f64,
    mut pairs: impl Iterator<Item = (usize, usize)>,
) -> Option<f64> {
    let (outer, inner) = pairs.find(|&(outer, _)| points[outer].1 < height)?;
    let ((x0, y0), (x1, y1)) = (points[outer], points[inner]);
    let share = (height - y0) / (y1 - y0);
    Some((x0.ln() + share * (x1.ln() - x0.ln())).exp())
}

/// The smallest size whose mean training error is zero: less than half a misclassified sample.
pub(crate) fn fitted_from(train_error: &[(f64, f64)], samples: f64) -> Option<f64> {
    let fitted = train_error.iter().find(|(_, error)| error * samples < 0.5);
    fitted.map(|(size, _)| *size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test loss of networks on MNIST with n = 4,000, label noise 10 %, Adam 2e-3, by number of hidden units: one seed of a measured curve.
    const MEASURED: [(f64, f64); 13] = [
        (3.0, 0.0748),
        (6.0, 0.0697),
        (10.0, 0.0610),
        (15.0, 0.0840),
        (22.0, 0.0773),
        (32.0, 0.0725),
        (42.0, 0.0746),
        (50.0, 0.0661),
        (60.0, 0.0690),
        (80.0, 0.0669),
        (120.0, 0.0567),
        (200.0, 0.0408),
        (300.0, 0.0327),
    ];

    #[test]
    fn a_measured_curve_has_its_minimum_hump_and_second_descent() {
        let shape = shape(&MEASURED).expect("thirteen points");
        let hump = shape.hump.expect("a hump at 15 units");
        assert_eq!(hump.first_minimum, (10.0, 0.0610));
        assert_eq!(hump.top, (15.0, 0.0840));
        assert_eq!(hump.second_minimum, (300.0, 0.0327));
        assert!(hump.falls_first);
        assert!((hump.rise() - 1.377).abs() < 1e-3);
        assert!(
            hump.half_height.0 > 10.0 && hump.half_height.0 < 15.0,
            "{:?}",
            hump.half_height
        );
        assert!(
            hump.half_height.1 > 22.0 && hump.half_height.1 < 42.0,
            "{:?}",
            hump.half_height
        );
    }

    #[test]
    fn a_curve_that_only_falls_or_only_rises_has_no_hump() {
        let falling: Vec<(f64, f64)> = (1..9).map(|i| (f64::from(i), 1.0 / f64::from(i))).collect();
        let rising: Vec<(f64, f64)> = (1..9).map(|i| (f64::from(i), f64::from(i))).collect();
        assert_eq!(shape(&falling).expect("eight points").hump, None);
        assert_eq!(shape(&rising).expect("eight points").hump, None);
    }

    #[test]
    fn noise_beside_the_first_minimum_is_not_taken_for_the_hump() {
        let points = [
            (1.0, 9.0),
            (2.0, 5.0),
            (3.0, 5.1),
            (4.0, 4.9),
            (5.0, 8.0),
            (6.0, 7.9),
            (7.0, 2.0),
        ];
        let hump = shape(&points)
            .expect("seven points")
            .hump
            .expect("a hump at 5");
        assert_eq!((hump.first_minimum.0, hump.top.0), (4.0, 5.0));
    }

    #[test]
    fn a_rise_from_the_left_end_is_told_apart() {
        let hump = shape(&[(1.0, 1.0), (2.0, 3.0), (3.0, 0.5)])
            .expect("three points")
            .hump;
        assert!(!hump.expect("a hump at 2").falls_first);
        assert_eq!(shape(&[(1.0, 1.0), (2.0, 3.0)]), None);
    }

    #[test]
    fn fitted_means_less_than_half_a_sample_wrong() {
        let errors = [(10.0, 0.2), (20.0, 0.000_2), (30.0, 0.000_1), (40.0, 0.0)];
        assert_eq!(fitted_from(&errors, 4000.0), Some(30.0));
        assert_eq!(fitted_from(&errors[..2], 4000.0), None);
    }
}
