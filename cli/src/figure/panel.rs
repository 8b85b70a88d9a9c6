//! One panel: axes, curves with bands, and the lines that mark thresholds.

use super::canvas::{Anchor, Area, Canvas, Marker, Rgb, Stroke, text_width};
use super::scale::Scale;

/// Ink of axes and labels.
pub(crate) const INK: Rgb = Rgb(0x22, 0x22, 0x22);
/// Ink of what is said aside.
pub(crate) const ASIDE: Rgb = Rgb(0x66, 0x66, 0x66);
/// Size of tick labels: 8 pt.
pub(crate) const TICK_SIZE: u32 = 11;
/// Size of axis labels: 9 pt.
pub(crate) const LABEL_SIZE: u32 = 12;

const GRID: Stroke = Stroke {
    colour: Rgb(0xe6, 0xe6, 0xe6),
    width: 0.7,
    dash: None,
};
const FRAME: Stroke = Stroke {
    colour: INK,
    width: 0.8,
    dash: None,
};

/// A point of a curve.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mean {
    /// Where on the horizontal axis.
    pub(crate) x: f64,
    /// The mean.
    pub(crate) y: f64,
    /// The band around it, if more than one value stands behind it.
    pub(crate) band: Option<(f64, f64)>,
}

/// A curve to draw.
pub(crate) struct Line {
    /// Its means, by ascending position.
    pub(crate) points: Vec<Mean>,
    /// Its colour.
    pub(crate) colour: Rgb,
    /// Its marker; `None` draws the line dashed and lighter: training curves.
    pub(crate) marker: Option<Marker>,
}

/// A panel.
pub(crate) struct Panel {
    /// Where it is.
    pub(crate) area: Area,
    /// The horizontal axis.
    pub(crate) x: Scale,
    /// The vertical axis.
    pub(crate) y: Scale,
}

impl Panel {
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.area;
        (
            left + self.x.position(x) * (right - left),
            bottom - self.y.position(y) * (bottom - top),
        )
    }

    /// Where a value of the horizontal axis lies.
    pub(crate) fn across(&self, x: f64) -> f64 {
        self.at(x, 1.0).0
    }

    /// Grid, frame and ticks; the horizontal axis is labelled when `x_label` is given.
    pub(crate) fn axes(&self, canvas: &mut Canvas, x_label: Option<&str>, y_label: &str) {
        let Area {
            left,
            top,
            right,
            bottom,
        } = self.area;
        for tick in self.y.ticks() {
            let (_, y) = self.at(1.0, tick.at);
            let Some(label) = tick.label else {
                canvas.line((left, y), (left + 3.0, y), FRAME);
                continue;
            };
            canvas.line((left, y), (right, y), GRID);
            canvas.line((left - 4.0, y), (left, y), FRAME);
            canvas.text(
                (left - 7.0, y + 4.0),
                &label,
                TICK_SIZE,
                Anchor::End,
                INK,
                false,
            );
        }
        for tick in self.x.ticks() {
            let x = self.across(tick.at);
            let length = if tick.label.is_some() { 4.0 } else { 2.5 };
            canvas.line((x, bottom), (x, bottom + length), FRAME);
            if let (Some(label), Some(_)) = (tick.label, x_label) {
                canvas.text(
                    (x, bottom + 17.0),
                    &label,
                    TICK_SIZE,
                    Anchor::Middle,
                    INK,
                    false,
                );
            }
        }
        canvas.line((left, bottom), (right, bottom), FRAME);
        canvas.line((left, top), (left, bottom), FRAME);
        if let Some(label) = x_label {
            let middle = (left + right) / 2.0;
            canvas.text(
                (middle, bottom + 36.0),
                label,
                LABEL_SIZE,
                Anchor::Middle,
                INK,
                false,
            );
        }
        let middle = (top + bottom) / 2.0;
        canvas.text(
            (left - 46.0, middle),
            y_label,
            LABEL_SIZE,
            Anchor::Middle,
            INK,
            true,
        );
    }

    /// A second labelling of the horizontal axis, above: as many of the given values as fit side by side.
    pub(crate) fn second_labels(&self, canvas: &mut Canvas, label: &str, values: &[(f64, String)]) {
        let Area {
            left, top, right, ..
        } = self.area;
        canvas.line(
            (left, top),
            (right, top),
            Stroke {
                width: 0.5,
                ..FRAME
            },
        );
        let mut free_from = f64::NEG_INFINITY;
        for (value, text) in values {
            let x = self.across(*value);
            canvas.line(
                (x, top),
                (x, top - 2.5),
                Stroke {
                    width: 0.6,
                    ..FRAME
                },
            );
            let half = text_width(text, TICK_SIZE) / 2.0;
            if x - half < free_from {
                continue;
            }
            free_from = x + half + 7.0;
            canvas.line((x, top), (x, top - 4.0), FRAME);
            canvas.text((x, top - 7.0), text, TICK_SIZE, Anchor::Middle, INK, false);
        }
        let middle = (left + right) / 2.0;
        canvas.text(
            (middle, top - 23.0),
            label,
            LABEL_SIZE,
            Anchor::Middle,
            INK,
            false,
        );
    }

    /// The band of a curve.
    pub(crate) fn band(&self, canvas: &mut Canvas, line: &Line) {
        let banded = || {
            line.points
                .iter()
                .filter_map(|mean| Some((mean.x, mean.band?)))
        };
        let upper = banded().map(|(x, (_, high))| self.held(x, high));
        let lower = banded().rev().map(|(x, (low, _))| self.held(x, low));
        let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
        if outline.len() >= 4 {
            canvas.polygon(&outline, line.colour.lighter(0.25), 0.22);
        }
    }

    /// A point moved to the panel's edge where it lies beyond.
    fn held(&self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = self.at(x, y);
        (x, y.clamp(self.area.top, self.area.bottom))
    }

    /// The means of a curve.
    pub(crate) fn line(&self, canvas: &mut Canvas, line: &Line) {
        let at: Vec<(f64, f64)> = line
            .points
            .iter()
            .map(|mean| self.at(mean.x, mean.y))
            .collect();
        canvas.polyline(&at, stroke(line), self.area);
        let Some(marker) = line.marker else { return };
        for point in at
            .into_iter()
            .filter(|(_, y)| (self.area.top..=self.area.bottom).contains(y))
        {
            canvas.marker(point, marker, MARKER, line.colour);
        }
    }

    /// A line from left to right at a value, if the panel shows it.
    pub(crate) fn horizontal(&self, canvas: &mut Canvas, y: f64, stroke: Stroke) -> Option<f64> {
        let (_, at) = self.at(1.0, y);
        let inside = (self.area.top..=self.area.bottom).contains(&at);
        inside.then(|| {
            canvas.line((self.area.left, at), (self.area.right, at), stroke);
            at
        })
    }

    /// A line from top to bottom.
    pub(crate) fn vertical(&self, canvas: &mut Canvas, x: f64, stroke: Stroke) {
        let at = self.across(x);
        canvas.line((at, self.area.top), (at, self.area.bottom), stroke);
    }
}

/// Size of markers.
pub(crate) const MARKER: f64 = 5.4;

/// How a curve's line is drawn: training curves dashed, thinner and lighter.
pub(crate) fn stroke(line: &Line) -> Stroke {
    match line.marker {
        Some(_) => Stroke {
            colour: line.colour,
            width: 1.7,
            dash: None,
        },
        None => Stroke {
            colour: line.colour.lighter(0.3),
            width: 1.2,
            dash: Some((4.5, 3.0)),
        },
    }
}

/// Colours and markers of curves, told apart by the colour-blind (after Okabe & Ito) and in grey: they differ in lightness and in marker.
pub(crate) fn style(at: usize, of: usize) -> (Rgb, Marker) {
    const COLOURS: [Rgb; 6] = [
        Rgb(0x00, 0x5a, 0x9c),
        Rgb(0xe6, 0x8a, 0x00),
        Rgb(0x00, 0x9e, 0x73),
        Rgb(0x8b, 0x1a, 0x4f),
        Rgb(0x56, 0xb4, 0xe9),
        Rgb(0x33, 0x33, 0x33),
    ];
    const MARKERS: [Marker; 4] = [
        Marker::Circle,
        Marker::Square,
        Marker::Triangle,
        Marker::Diamond,
    ];
    let marker = MARKERS[at % MARKERS.len()];
    if of <= COLOURS.len() {
        return (COLOURS[at], marker);
    }
    // Many curves are values of one axis: from dark to light in order (stops of a perceptually even map).
    const STOPS: [(f64, f64, f64); 4] = [
        (48.0, 18.0, 92.0),
        (40.0, 96.0, 140.0),
        (40.0, 160.0, 128.0),
        (214.0, 200.0, 40.0),
    ];
    let place = at as f64 / (of - 1) as f64 * 3.0;
    let below = (place.floor() as usize).min(2);
    let share = place - below as f64;
    let (a, b) = (STOPS[below], STOPS[below + 1]);
    let mix = |a: f64, b: f64| (a + (b - a) * share).round() as u8;
    (Rgb(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2)), marker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_curves_differ_in_lightness_or_marker() {
        let grey = |c: Rgb| 0.3 * f64::from(c.0) + 0.59 * f64::from(c.1) + 0.11 * f64::from(c.2);
        for of in [2, 6, 12] {
            for at in 1..of {
                let ((a, shape_a), (b, shape_b)) = (style(at - 1, of), style(at, of));
                assert_ne!(shape_a, shape_b);
                assert!(
                    (grey(a) - grey(b)).abs() > 8.0,
                    "curves {at} of {of} look alike in print"
                );
            }
        }
    }
}
