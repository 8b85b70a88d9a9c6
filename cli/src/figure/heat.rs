//! Heat maps: a table of numbers as colours, with the numbers written in, one map above the other.

use super::canvas::{Anchor, Canvas, Rgb, text_width};
use super::panel::{ASIDE, INK, LABEL_SIZE, TICK_SIZE};
use super::sheet::{Figure, RIGHT, WIDTH};

/// Maps above one another.
pub(crate) struct HeatMaps {
    /// What they show.
    pub(crate) title: String,
    /// Under the title: samples, seeds.
    pub(crate) aside: String,
    /// What the colours are, for example `test error`.
    pub(crate) value: String,
    /// The maps, from the top.
    pub(crate) maps: Vec<HeatMap>,
}

/// A map.
pub(crate) struct HeatMap {
    /// What it shows.
    pub(crate) title: String,
    /// Name of the horizontal axis, and its columns.
    pub(crate) columns: (String, Vec<String>),
    /// Names of its rows, from the top.
    pub(crate) rows: Vec<String>,
    /// A number for each row and column; `None` where there is none.
    pub(crate) cells: Vec<Vec<Option<f64>>>,
}

const TOP: f64 = 50.0;
const ROW: f64 = 24.0;
/// Above a map's cells: its title.
const HEAD: f64 = 24.0;
/// Under a map's cells: columns' names and the axis' name.
const FOOT: f64 = 48.0;

impl HeatMaps {
    /// Draws them. All maps share one scale of colours, from the least to the greatest number.
    ///
    /// # Errors
    /// When there is no number to draw.
    pub(crate) fn draw(&self) -> Result<Figure, String> {
        let values = || {
            let cells = self.maps.iter().flat_map(|map| map.cells.iter().flatten());
            cells.flatten().copied().filter(|value| value.is_finite())
        };
        if values().next().is_none() {
            return Err("there is nothing to draw yet".to_owned());
        }
        let range = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let heights: f64 = self
            .maps
            .iter()
            .map(|map| HEAD + ROW * map.rows.len() as f64 + FOOT)
            .sum();
        let mut canvas = Canvas::new(WIDTH, TOP + heights + 34.0);
        let widest = self
            .maps
            .iter()
            .flat_map(|map| map.rows.iter().map(|row| text_width(row, TICK_SIZE)));
        let left = 26.0 + widest.fold(40.0, f64::max);
        canvas.text((16.0, 20.0), &self.title, 14, Anchor::Start, INK, false);
        let aside = &self.aside;
        canvas.text((16.0, 36.0), aside, TICK_SIZE, Anchor::Start, ASIDE, false);
        let mut top = TOP;
        for map in &self.maps {
            map.draw(&mut canvas, left, top, range);
            top += HEAD + ROW * map.rows.len() as f64 + FOOT;
        }
        self.key(&mut canvas, left, top, range);
        Ok(Figure(canvas))
    }

    /// The scale of colours.
    fn key(&self, canvas: &mut Canvas, left: f64, top: f64, (low, high): (f64, f64)) {
        const STEPS: u32 = 60;
        let right = left + 220.0;
        let step = (right - left) / f64::from(STEPS);
        for i in 0..STEPS {
            let x = left + f64::from(i) * step;
            let colour = shade(f64::from(i) / f64::from(STEPS - 1));
            rectangle(canvas, (x, top), (x + step + 0.4, top + 10.0), colour);
        }
        let ends = [(left, low, Anchor::Start), (right, high, Anchor::End)];
        for (x, value, anchor) in ends {
            let at = (x, top + 23.0);
            canvas.text(at, &written(value), TICK_SIZE, anchor, INK, false);
        }
        let at = (right + 10.0, top + 9.0);
        canvas.text(at, &self.value, LABEL_SIZE, Anchor::Start, INK, false);
    }
}

impl HeatMap {
    fn draw(&self, canvas: &mut Canvas, left: f64, top: f64, (low, high): (f64, f64)) {
        let (name, columns) = &self.columns;
        canvas.text(
            (left, top + 14.0),
            &self.title,
            LABEL_SIZE,
            Anchor::Start,
            INK,
            false,
        );
        let wide = (WIDTH - RIGHT - left) / columns.len().max(1) as f64;
        let wide = wide.min(90.0);
        let top = top + HEAD;
        for (at, (row, cells)) in self.rows.iter().zip(&self.cells).enumerate() {
            let y = top + ROW * at as f64;
            let middle = y + ROW / 2.0 + 4.0;
            canvas.text(
                (left - 7.0, middle),
                row,
                TICK_SIZE,
                Anchor::End,
                INK,
                false,
            );
            for (column, cell) in cells.iter().enumerate() {
                let x = left + wide * column as f64;
                let Some(value) = cell.filter(|value| value.is_finite()) else {
                    let dash = (x + wide / 2.0, middle);
                    canvas.text(dash, "–", TICK_SIZE, Anchor::Middle, ASIDE, false);
                    continue;
                };
                let share = if high > low {
                    (value - low) / (high - low)
                } else {
                    0.0
                };
                let fill = shade(share);
                rectangle(canvas, (x, y), (x + wide - 1.0, y + ROW - 1.0), fill);
                let text = written(value);
                if text_width(&text, TICK_SIZE) <= wide {
                    let ink = if share > 0.5 { Rgb(255, 255, 255) } else { INK };
                    let at = (x + wide / 2.0, middle);
                    canvas.text(at, &text, TICK_SIZE, Anchor::Middle, ink, false);
                }
            }
        }
        let bottom = top + ROW * self.rows.len() as f64;
        for (at, column) in columns.iter().enumerate() {
            let x = left + wide * (at as f64 + 0.5);
            let place = (x, bottom + 14.0);
            canvas.text(place, column, TICK_SIZE, Anchor::Middle, INK, false);
        }
        let middle = left + wide * columns.len() as f64 / 2.0;
        canvas.text(
            (middle, bottom + 32.0),
            name,
            LABEL_SIZE,
            Anchor::Middle,
            INK,
            false,
        );
    }
}

fn rectangle(canvas: &mut Canvas, (left, top): (f64, f64), (right, bottom): (f64, f64), fill: Rgb) {
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
    canvas.polygon(&corners, fill, 1.0);
}

/// From light to dark: even steps of lightness, so that it reads in grey as well.
fn shade(share: f64) -> Rgb {
    const STOPS: [(f64, f64, f64); 4] = [
        (255.0, 247.0, 226.0),
        (247.0, 186.0, 112.0),
        (196.0, 72.0, 74.0),
        (72.0, 12.0, 70.0),
    ];
    let place = share.clamp(0.0, 1.0) * 3.0;
    let below = (place.floor() as usize).min(2);
    let along = place - below as f64;
    let (a, b) = (STOPS[below], STOPS[below + 1]);
    let mix = |a: f64, b: f64| (a + (b - a) * along).round() as u8;
    Rgb(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// A number with three digits, as short as they allow.
fn written(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_writes_its_numbers_and_leaves_out_what_is_not_there() {
        let maps = HeatMaps {
            title: "256x3".to_owned(),
            aside: "1 seed".to_owned(),
            value: "test error".to_owned(),
            maps: vec![HeatMap {
                title: "set back to its state at an epoch".to_owned(),
                columns: ("epoch".to_owned(), vec!["0".to_owned(), "100".to_owned()]),
                rows: vec!["layer 1".to_owned()],
                cells: vec![vec![Some(0.8561), None]],
            }],
        };
        let svg = maps.draw().expect("one number").svg();
        for text in ["0.856", "–", "layer 1", "epoch", "test error"] {
            assert!(svg.contains(&format!(">{text}<")), "{text} is not in {svg}");
        }
        let none = HeatMaps {
            maps: Vec::new(),
            ..maps
        };
        assert!(none.draw().is_err());
    }

    #[test]
    fn shades_darken_evenly() {
        let grey = |c: Rgb| 0.3 * f64::from(c.0) + 0.59 * f64::from(c.1) + 0.11 * f64::from(c.2);
        for i in 1..=10 {
            let (light, dark) = (shade(f64::from(i - 1) / 10.0), shade(f64::from(i) / 10.0));
            assert!(grey(light) - grey(dark) > 5.0, "step {i}");
        }
    }
}
