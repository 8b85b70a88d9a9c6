//! The sheet: panels above one another with one horizontal axis, a legend, and the thresholds marked through all of them.

use super::canvas::{Anchor, Area, Canvas, Stroke};
use super::legend::{draw_legend, legend, legend_rows};
use super::marks::{name_thresholds, thresholds};
use super::panel::{self, ASIDE, INK, Line, Mean, Panel, TICK_SIZE};
use super::point::{Curve, Number, Size};
use super::scale::Scale;

/// Width of a figure: 7 inches, a page's text width.
pub(crate) const WIDTH: f64 = 672.0;
/// Left of the panels: room for ticks and their axis' name.
pub(crate) const LEFT: f64 = 66.0;
/// Right of the panels.
pub(crate) const RIGHT: f64 = 16.0;
/// Between two panels: room for the names of the thresholds.
pub(crate) const GAP: f64 = 20.0;
/// Under the last panel.
pub(crate) const BOTTOM: f64 = 46.0;

/// A finished figure.
pub(crate) struct Figure(pub(super) Canvas);

impl Figure {
    /// As SVG.
    pub(crate) fn svg(&self) -> String {
        self.0.svg()
    }

    /// As PNG, 300 dots per inch.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub(crate) fn png(&self) -> Result<Vec<u8>, String> {
        self.0.png()
    }
}

/// What one panel shows.
struct Plan {
    label: &'static str,
    test: Number,
    train: Option<Number>,
    height: f64,
}

/// The panels of an experiment.
fn plans(size: Size) -> Vec<Plan> {
    let loss = |height| Plan {
        label: "loss",
        test: Number::TestLoss,
        train: Some(Number::TrainLoss),
        height,
    };
    let error = |height| Plan {
        label: "zero-one error",
        test: Number::TestError,
        train: Some(Number::TrainError),
        height,
    };
    let alone = |label, test, height| Plan {
        label,
        test,
        train: None,
        height,
    };
    match size {
        Size::Parameters => vec![loss(225.0), error(165.0)],
        Size::Features => vec![
            loss(200.0),
            error(140.0),
            alone("coefficient norm", Number::CoefficientNorm, 120.0),
        ],
    }
}

/// Draws the curves of one experiment.
///
/// # Errors
/// When there is no point to draw.
pub(crate) fn draw(title: &str, curves: &[Curve]) -> Result<Figure, String> {
    let size = curves
        .first()
        .map(|curve| curve.size)
        .ok_or("there is nothing to draw yet")?;
    let plans = plans(size);
    let legend = legend(curves);
    let above = if size == Size::Parameters { 44.0 } else { 14.0 };
    let top = 50.0 + 17.0 * legend_rows(&legend) as f64 + above;
    let height = top + plans.iter().map(|plan| plan.height + GAP).sum::<f64>() - GAP + BOTTOM;
    let mut canvas = Canvas::new(WIDTH, height);
    heading(&mut canvas, title, curves);
    draw_legend(&mut canvas, &legend);

    let x = horizontal(curves);
    let mut from = top;
    let mut panels = Vec::new();
    for plan in &plans {
        let area = Area {
            left: LEFT,
            top: from,
            right: WIDTH - RIGHT,
            bottom: from + plan.height,
        };
        panels.push(Panel {
            area,
            x,
            y: vertical(plan, curves),
        });
        from += plan.height + GAP;
    }
    let x_label = match size {
        Size::Parameters => "number of parameters",
        Size::Features => "number of random features N",
    };
    for (at, (panel, plan)) in panels.iter().zip(&plans).enumerate() {
        let last = at + 1 == panels.len();
        panel.axes(&mut canvas, last.then_some(x_label), plan.label);
        thresholds(&mut canvas, panel, curves);
        panel_curves(&mut canvas, panel, plan, curves);
        limits(&mut canvas, panel, plan, curves);
    }
    if size == Size::Parameters {
        panels[0].second_labels(
            &mut canvas,
            "width (units per hidden layer)",
            &widths(curves),
        );
    }
    name_thresholds(&mut canvas, &panels[0], curves);
    Ok(Figure(canvas))
}

/// What curves tend to, as lines from left to right; the first is named.
fn limits(canvas: &mut Canvas, panel: &Panel, plan: &Plan, curves: &[Curve]) {
    let mut named = false;
    for (at, curve) in curves.iter().enumerate() {
        let Some(&limit) = curve.limit.get(&plan.test) else {
            continue;
        };
        let stroke = Stroke {
            colour: panel::style(at, curves.len()).0,
            width: 1.0,
            dash: Some((1.5, 2.5)),
        };
        if let (Some(y), false) = (panel.horizontal(canvas, limit, stroke), named) {
            let place = (LEFT + 5.0, y - 4.0);
            canvas.text(
                place,
                "N → ∞: kernel",
                TICK_SIZE,
                Anchor::Start,
                ASIDE,
                false,
            );
            named = true;
        }
    }
}

fn heading(canvas: &mut Canvas, title: &str, curves: &[Curve]) {
    let seeds = curves
        .iter()
        .map(Curve::seeds)
        .fold((usize::MAX, 0), |a, b| (a.0.min(b.0), a.1.max(b.1)));
    let spread = match seeds {
        (_, 0 | 1) => "one seed".to_owned(),
        (low, high) if low == high && low >= 3 => {
            format!("mean of {high} seeds, band ± 1 standard deviation")
        }
        (2, 2) => "mean of 2 seeds, band from least to greatest".to_owned(),
        (low, high) => format!(
            "mean of {low} to {high} seeds, band ± 1 standard deviation (least to greatest of 2)"
        ),
    };
    let samples: Vec<String> = distinct(curves.iter().map(|curve| curve.samples))
        .map(|n| n.to_string())
        .collect();
    let outputs: Vec<String> = distinct(curves.iter().map(|curve| curve.outputs))
        .map(|k| k.to_string())
        .collect();
    canvas.text((LEFT, 20.0), title, 14, Anchor::Start, INK, false);
    let aside = format!(
        "n = {}, K = {}; {spread}",
        samples.join(", "),
        outputs.join(", ")
    );
    canvas.text((LEFT, 36.0), &aside, TICK_SIZE, Anchor::Start, ASIDE, false);
}

/// Each value once, ascending.
pub(crate) fn distinct(values: impl Iterator<Item = u64>) -> impl Iterator<Item = u64> {
    values
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
}

/// The horizontal axis: all sizes, and the threshold where it is not far outside.
fn horizontal(curves: &[Curve]) -> Scale {
    let sizes = curves
        .iter()
        .flat_map(|curve| curve.points.iter().map(|point| curve.position(point)));
    let (mut low, mut high) = sizes.fold((f64::INFINITY, 0.0f64), |(low, high), size| {
        (low.min(size), high.max(size))
    });
    for threshold in curves.iter().filter_map(Curve::threshold) {
        if threshold <= 2.0 * high && 2.0 * threshold >= low {
            (low, high) = (low.min(threshold), high.max(threshold));
        }
    }
    Scale::logarithmic(low, high)
}

/// The vertical axis: from zero, or in powers of ten where the test values ask for it.
fn vertical(plan: &Plan, curves: &[Curve]) -> Scale {
    let spreads = |number: Number| {
        curves.iter().flat_map(move |curve| {
            curve
                .points
                .iter()
                .filter_map(move |point| point.numbers.get(&number))
        })
    };
    let high = |number| {
        spreads(number)
            .map(|s| s.mean.max(s.band().1))
            .fold(0.0, f64::max)
    };
    let limits = || {
        curves
            .iter()
            .filter_map(|curve| curve.limit.get(&plan.test).copied())
    };
    let means = || {
        spreads(plan.test)
            .map(|spread| spread.mean)
            .chain(limits())
            .filter(|mean| *mean > 0.0)
    };
    let (least, most) = means().fold((f64::INFINITY, 0.0f64), |(l, h), mean| {
        (l.min(mean), h.max(mean))
    });
    if most <= 25.0 * least {
        return Scale::from_zero(plan.train.map_or(0.0, high).max(high(plan.test)));
    }
    // Training losses fall to rounding errors: a decade below the test values is all that can be read.
    let train = plan
        .train
        .into_iter()
        .flat_map(spreads)
        .map(|s| s.mean)
        .filter(|mean| *mean > 0.0);
    let floor = train.fold(least, f64::min).max(least / 12.0);
    Scale::logarithmic(floor, most)
}

fn panel_curves(canvas: &mut Canvas, panel: &Panel, plan: &Plan, curves: &[Curve]) {
    let line = |at: usize, curve: &Curve, number: Number, with_marker: bool| {
        let (colour, marker) = panel::style(at, curves.len());
        let points = curve.points.iter().filter_map(|point| {
            let spread = point.numbers.get(&number)?;
            Some(Mean {
                x: curve.position(point),
                y: spread.mean,
                band: (spread.n > 1).then_some(spread.band()),
            })
        });
        Line {
            points: points.collect(),
            colour,
            marker: with_marker.then_some(marker),
        }
    };
    let each = || curves.iter().enumerate();
    for (at, curve) in each() {
        panel.band(canvas, &line(at, curve, plan.test, true));
    }
    for (at, curve) in each() {
        if let Some(train) = plan.train {
            panel.line(canvas, &line(at, curve, train, false));
        }
    }
    for (at, curve) in each() {
        panel.line(canvas, &line(at, curve, plan.test, true));
    }
}

/// Sizes and their widths, for the labels above; every width once.
fn widths(curves: &[Curve]) -> Vec<(f64, String)> {
    let points = curves.iter().flat_map(|curve| &curve.points);
    let by_size: std::collections::BTreeMap<u64, u64> = points
        .map(|point| (point.parameters, point.width))
        .collect();
    by_size
        .into_iter()
        .map(|(parameters, width)| (parameters as f64, width.to_string()))
        .collect()
}
