//! Curves against the size of a model, as tables: minimum, hump, and how they end.

use crate::figure::{Curve, Number, Shape, Size, shape};
use crate::output::{Cell, Form, Rows, number};

/// A table for each curve.
pub(super) fn tables(curves: &[Curve]) -> Vec<(String, Rows)> {
    let table = |curve: &Curve| {
        let label = curve.label();
        let heading = if label.is_empty() {
            "Measured".to_owned()
        } else {
            label
        };
        Some((heading, table(curve)?))
    };
    curves.iter().filter_map(table).collect()
}

/// The name of a curve's threshold.
fn threshold_name(curve: &Curve) -> &'static str {
    match curve.size {
        Size::Parameters => "n·K",
        Size::Features => "n",
    }
}

/// One curve's numbers as a table.
fn table(curve: &Curve) -> Option<Rows> {
    let threshold = curve.threshold()?;
    let name = threshold_name(curve);
    let at = |position: f64| {
        let point = curve
            .points
            .iter()
            .find(|point| curve.position(point) == position);
        let width = point.map_or(String::new(), |point| match curve.size {
            Size::Parameters => format!("width {}, {} parameters", point.width, point.parameters),
            Size::Features => format!("N = {}", point.width),
        });
        format!("{width} ({:.2} {name})", position / threshold)
    };
    let mut rows = Rows::new([
        ("quantity", Form::Text),
        ("value", Form::Number),
        ("where", Form::Text),
    ]);
    let mut row = |quantity: String, value: String, place: String| {
        rows.push([quantity.into(), value.into(), place.into()]);
    };
    let (low, high) = curve.seeds();
    let seeds = if low == high {
        low.to_string()
    } else {
        format!("{low} to {high}")
    };
    row("seeds a point".to_owned(), seeds, String::new());
    row(
        "points".to_owned(),
        curve.points.len().to_string(),
        String::new(),
    );
    let diverged: usize = curve.points.iter().map(|point| point.diverged).sum();
    if diverged > 0 {
        row(
            "diverged trials".to_owned(),
            diverged.to_string(),
            "left out of the means".to_owned(),
        );
    }
    row(
        format!("interpolation threshold {name}"),
        threshold.to_string(),
        String::new(),
    );
    match curve.fitted_from() {
        Some(size) => row(
            "training error reaches 0".to_owned(),
            "0".to_owned(),
            at(size),
        ),
        None => {
            let errors = curve.means(Number::TrainError).into_iter();
            if let Some((size, error)) = errors.min_by(|a, b| a.1.total_cmp(&b.1)) {
                row(
                    "least training error (0 is not reached)".to_owned(),
                    number(error),
                    at(size),
                );
            }
        }
    }
    for (which, words) in [
        (Number::TestLoss, "test loss"),
        (Number::TestError, "test error"),
        (Number::CoefficientNorm, "coefficient norm"),
    ] {
        let Some(shape) = shape(&curve.means(which)) else {
            continue;
        };
        described(&shape, words, name, threshold, &at, &mut row);
    }
    Some(rows)
}

/// What there is to say of one number of a curve.
fn described(
    shape: &Shape,
    words: &str,
    name: &str,
    threshold: f64,
    at: &impl Fn(f64) -> String,
    row: &mut impl FnMut(String, String, String),
) {
    let (from, start) = shape.start;
    row(format!("{words}: smallest model"), number(start), at(from));
    let (to, last) = shape.last;
    if let Some(hump) = &shape.hump {
        let inside = if hump.falls_first {
            ""
        } else {
            ", at the left end of the range"
        };
        let (place, first) = hump.first_minimum;
        row(
            format!("{words}: first minimum{inside}"),
            number(first),
            at(place),
        );
        row(format!("{words}: hump"), number(hump.top.1), at(hump.top.0));
        let (left, right) = hump.half_height;
        row(
            format!("{words}: hump, width at half height"),
            format!("×{}", number(right / left)),
            format!(
                "from {:.2} to {:.2} {name}",
                left / threshold,
                right / threshold
            ),
        );
        row(
            format!("{words}: hump ÷ first minimum"),
            number(hump.rise()),
            String::new(),
        );
        row(
            format!("{words}: last ÷ first minimum"),
            number(last / first),
            String::new(),
        );
    } else {
        row(
            format!("{words}: hump"),
            "none".to_owned(),
            "no point stands above both its sides".to_owned(),
        );
    }
    row(format!("{words}: largest model"), number(last), at(to));
}

/// Two means of one curve as a ratio, with the deviation that follows from theirs (they come from different trials) and the fewer seeds.
pub(super) fn ratio(
    curve: &Curve,
    which: Number,
    (above, below): (f64, f64),
) -> Option<crate::report::Measured> {
    let spread = |position: f64| {
        let mut points = curve.points.iter();
        points
            .find(|point| curve.position(point) == position)?
            .numbers
            .get(&which)
            .copied()
    };
    let (above, below) = (spread(above)?, spread(below)?);
    let mean = above.mean / below.mean;
    Some(crate::report::Measured {
        mean,
        sd: mean * (above.sd / above.mean).hypot(below.sd / below.mean),
        n: above.n.min(below.n),
    })
}

/// A setting of all trials of a curve, where the file gives it.
pub(super) fn setting<'a>(curve: &'a Curve, name: &str) -> Option<&'a str> {
    curve.settings.get(name).map(String::as_str)
}

/// A setting that is a number; its default where it is left out.
pub(super) fn number_setting(curve: &Curve, name: &str, fallback: f64) -> f64 {
    setting(curve, name)
        .and_then(|value| value.parse().ok())
        .unwrap_or(fallback)
}

/// Whether a curve learns from MNIST, all of it or the digits that come with descent.
pub(super) fn is_mnist(curve: &Curve) -> bool {
    setting(curve, "data.dataset").is_none_or(|name| name == "mnist" || name == "mnist-4k")
}

/// A number at a width, over its seeds.
pub(super) fn mean(curve: &Curve, width: u64, which: Number) -> Option<crate::figure::Spread> {
    let mut points = curve.points.iter();
    let point = points.find(|point| point.width == width)?;
    point.numbers.get(&which).copied()
}

/// Words for a curve in the name of a quantity.
pub(super) fn of(quantity: &str, curve: &Curve) -> String {
    let label = curve.label();
    if label.is_empty() {
        quantity.to_owned()
    } else {
        format!("{quantity}, {label}")
    }
}

/// A cell for a number that may be missing.
pub(super) fn cell(value: Option<f64>) -> Cell {
    value.map_or(Cell::Null, Cell::Real)
}
