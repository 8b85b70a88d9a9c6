//! A chart: panels above one another with one horizontal axis, curves with bands, a legend, and marks across and along.

use super::canvas::{Anchor, Area, Canvas, Stroke, text_width};
use super::legend::{draw_legend, legend_rows, place};
use super::panel::{self, ASIDE, INK, Line, Mean, Panel, TICK_SIZE};
use super::scale::Scale;
use super::sheet::{BOTTOM, Figure, GAP, LEFT, RIGHT, WIDTH};

/// How numbers are laid along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Along {
    /// In equal steps, from a little below the least to a little above the greatest.
    Linear,
    /// In equal steps from zero.
    FromZero,
    /// By their logarithm. Numbers that have none are left out.
    Log,
    /// By their logarithm, from the greatest to the least: densities of pruned networks.
    LogReversed,
}

/// A chart.
pub(crate) struct Chart {
    /// What it shows.
    pub(crate) title: String,
    /// Under the title: samples, seeds, what bands are.
    pub(crate) aside: String,
    /// Name of the horizontal axis, and how it runs.
    pub(crate) x: (String, Along),
    /// Its panels, from the top.
    pub(crate) facets: Vec<Facet>,
    /// Lines from top to bottom through all panels, and their names.
    pub(crate) marks: Vec<(f64, String)>,
}

/// One panel of a chart.
pub(crate) struct Facet {
    /// Name of the vertical axis, and how it runs.
    pub(crate) y: (String, Along),
    /// Its height in pixels: 100 to 250.
    pub(crate) height: f64,
    /// Its curves. Those of one name have one colour and one entry in the legend, in all panels.
    pub(crate) series: Vec<Series>,
    /// Lines from left to right, and their names.
    pub(crate) levels: Vec<(f64, String)>,
}

/// A curve of a chart.
pub(crate) struct Series {
    /// What it stands for.
    pub(crate) name: String,
    /// Whether it stands back, dashed and without markers: training curves, published curves.
    pub(crate) dashed: bool,
    /// Its points, by ascending position.
    pub(crate) points: Vec<Mean>,
}

const MARK: Stroke = Stroke {
    colour: INK,
    width: 0.9,
    dash: Some((1.5, 2.5)),
};

impl Along {
    /// The scale that shows these numbers.
    fn scale(self, values: impl Iterator<Item = f64>) -> Scale {
        let shown = values.filter(|value| value.is_finite() && (!self.is_log() || *value > 0.0));
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        match self {
            Self::Linear => Scale::linear(low, high),
            Self::FromZero => Scale::from_zero(high),
            Self::Log => Scale::logarithmic(low, high),
            Self::LogReversed => Scale::logarithmic(low, high).reversed(),
        }
    }

    fn is_log(self) -> bool {
        matches!(self, Self::Log | Self::LogReversed)
    }
}

impl Chart {
    /// Draws it.
    ///
    /// # Errors
    /// When there is no point to draw.
    pub(crate) fn draw(&self) -> Result<Figure, String> {
        stack(std::slice::from_ref(self))
    }

    /// Its legend; none for a single curve.
    fn legend(&self) -> Vec<super::legend::Entry> {
        let names = self.names();
        if names.len() > 1 {
            place(self.samples(&names))
        } else {
            Vec::new()
        }
    }

    /// Above its panels: title, aside and legend.
    fn head(legend: &[super::legend::Entry]) -> f64 {
        64.0 + 17.0 * legend_rows(legend) as f64
    }

    fn height(&self) -> f64 {
        let heights: f64 = self.facets.iter().map(|facet| facet.height + GAP).sum();
        Self::head(&self.legend()) + heights - GAP + BOTTOM
    }

    fn paint(&self, canvas: &mut Canvas) {
        let points = || self.points().map(|(_, mean)| mean.x);
        let (names, legend) = (self.names(), self.legend());
        let top = Self::head(&legend);
        canvas.text((LEFT, 20.0), &self.title, 14, Anchor::Start, INK, false);
        canvas.text(
            (LEFT, 36.0),
            &self.aside,
            TICK_SIZE,
            Anchor::Start,
            ASIDE,
            false,
        );
        draw_legend(canvas, &legend);
        let marks = self.marks.iter().map(|(at, _)| *at);
        let x = self.x.1.scale(points().chain(marks));
        let mut from = top;
        for (at, facet) in self.facets.iter().enumerate() {
            let panel = Panel {
                area: Area {
                    left: LEFT,
                    top: from,
                    right: WIDTH - RIGHT,
                    bottom: from + facet.height,
                },
                x,
                y: facet.scale(),
            };
            let label = (at + 1 == self.facets.len()).then_some(self.x.0.as_str());
            panel.axes(canvas, label, &facet.y.0);
            self.draw_marks(canvas, &panel, at == 0);
            facet.draw(canvas, &panel, &names);
            from += facet.height + GAP;
        }
    }

    fn points(&self) -> impl Iterator<Item = (&Series, &Mean)> {
        let series = self.facets.iter().flat_map(|facet| &facet.series);
        series.flat_map(|series| series.points.iter().map(move |mean| (series, mean)))
    }

    /// Names of its curves, each once, in order of appearance.
    fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for series in self.facets.iter().flat_map(|facet| &facet.series) {
            if !names.contains(&series.name.as_str()) {
                names.push(&series.name);
            }
        }
        names
    }

    /// Samples for the legend: a name that is only ever dashed is shown so.
    fn samples(&self, names: &[&str]) -> Vec<super::legend::Sample> {
        let sample = |(at, name): (usize, &&str)| {
            let mut own = self.facets.iter().flat_map(|facet| &facet.series);
            let solid = own.any(|series| series.name == *name && !series.dashed);
            let (colour, marker) = panel::style(at, names.len());
            ((*name).to_owned(), colour, solid.then_some(marker))
        };
        names.iter().enumerate().map(sample).collect()
    }

    fn draw_marks(&self, canvas: &mut Canvas, panel: &Panel, named: bool) {
        for (at, name) in &self.marks {
            panel.vertical(canvas, *at, MARK);
            if !named {
                continue;
            }
            let x = panel.across(*at);
            let fits = x + 4.0 + text_width(name, TICK_SIZE) <= panel.area.right;
            let (x, anchor) = if fits {
                (x + 4.0, Anchor::Start)
            } else {
                (x - 4.0, Anchor::End)
            };
            canvas.text(
                (x, panel.area.top - 4.0),
                name,
                TICK_SIZE,
                anchor,
                INK,
                false,
            );
        }
    }
}

/// Draws charts of their own axes beneath each other, as one figure. Those without points are left out.
///
/// # Errors
/// When there is no point to draw.
pub(crate) fn stack(charts: &[Chart]) -> Result<Figure, String> {
    let shown = || {
        charts
            .iter()
            .filter(|chart| chart.points().next().is_some())
    };
    if shown().next().is_none() {
        return Err("there is nothing to draw yet".to_owned());
    }
    let height = shown().map(Chart::height).sum();
    let mut canvas = Canvas::new(WIDTH, height);
    for chart in shown() {
        chart.paint(&mut canvas);
        canvas.move_down(chart.height());
    }
    Ok(Figure(canvas))
}

impl Facet {
    fn scale(&self) -> Scale {
        let values = self.series.iter().flat_map(|series| {
            series.points.iter().flat_map(|mean| {
                let (low, high) = mean.band.unwrap_or((mean.y, mean.y));
                // A band that reaches below zero must not stretch a log axis to nothing.
                let low = if low > 0.0 { low } else { mean.y };
                [mean.y, low, high]
            })
        });
        let levels = self.levels.iter().map(|(level, _)| *level);
        self.y.1.scale(values.chain(levels))
    }

    fn draw(&self, canvas: &mut Canvas, panel: &Panel, names: &[&str]) {
        for (level, name) in &self.levels {
            if let Some(y) = panel.horizontal(canvas, *level, MARK) {
                let at = (LEFT + 5.0, y - 4.0);
                canvas.text(at, name, TICK_SIZE, Anchor::Start, ASIDE, false);
            }
        }
        let lines: Vec<Line> = self
            .series
            .iter()
            .map(|series| {
                let at = names.iter().position(|name| *name == series.name);
                let (colour, marker) = panel::style(at.unwrap_or(0), names.len());
                let shown = |mean: &&Mean| !self.y.1.is_log() || mean.y > 0.0;
                Line {
                    points: series.points.iter().filter(shown).cloned().collect(),
                    colour,
                    marker: (!series.dashed).then_some(marker),
                }
            })
            .collect();
        for line in &lines {
            panel.band(canvas, line);
        }
        let (front, back): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.marker.is_some());
        for line in back.into_iter().chain(front) {
            panel.line(canvas, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(along: Along, points: &[(f64, f64)]) -> Chart {
        let means = points.iter().map(|&(x, y)| Mean {
            x,
            y,
            band: Some((y - 0.1, y + 0.1)),
        });
        let series = |name: &str, dashed| Series {
            name: name.to_owned(),
            dashed,
            points: means.clone().collect(),
        };
        Chart {
            title: "tickets".to_owned(),
            aside: "5 seeds".to_owned(),
            x: ("density".to_owned(), along),
            facets: vec![Facet {
                y: ("accuracy".to_owned(), Along::Linear),
                height: 120.0,
                series: vec![series("ticket", false), series("published", true)],
                levels: vec![(0.9, "dense".to_owned())],
            }],
            marks: vec![(0.2, "21 %".to_owned())],
        }
    }

    #[test]
    fn a_chart_names_its_curves_its_marks_and_its_levels() {
        let figure = chart(Along::LogReversed, &[(0.01, 0.8), (1.0, 0.97)]).draw();
        let svg = figure.expect("two points").svg();
        for text in ["tickets", "ticket", "published", "21 %", "dense", "density"] {
            assert!(svg.contains(&format!(">{text}<")), "{text} is not in {svg}");
        }
    }

    #[test]
    fn charts_beneath_each_other_are_one_figure_as_high_as_both() {
        let one = chart(Along::Linear, &[(0.0, 0.8), (1.0, 0.97)]);
        let none = chart(Along::Linear, &[]);
        let height = |charts: &[Chart]| {
            let svg = stack(charts).expect("two points").svg();
            let after = svg.split("height=\"").nth(1).expect("a height");
            let digits = after.split('"').next().expect("its end");
            digits.parse::<f64>().expect("a number")
        };
        let single = height(&[chart(Along::Linear, &[(0.0, 0.8), (1.0, 0.97)])]);
        assert!((height(&[none, one]) - single).abs() < 1.0);
        let two = [(); 2].map(|()| chart(Along::Linear, &[(0.0, 0.8), (1.0, 0.97)]));
        assert!((height(&two) - 2.0 * single).abs() < 2.0);
    }

    #[test]
    fn a_chart_without_points_is_an_error() {
        assert!(chart(Along::Log, &[]).draw().is_err());
    }
}
