//! The legend: a sample of every line and what it stands for, in rows above the panels.

use super::canvas::{Anchor, Canvas, Marker, Rgb, text_width};
use super::panel::{self, ASIDE, INK, Line, TICK_SIZE};
use super::point::Curve;
use super::sheet::{LEFT, RIGHT, WIDTH};

/// A sample of a line and what it stands for.
pub(crate) struct Entry {
    text: String,
    colour: Rgb,
    marker: Option<Marker>,
    left: f64,
    row: usize,
}

/// What a line stands for, its colour and its marker (`None`: dashed).
pub(crate) type Sample = (String, Rgb, Option<Marker>);

/// Samples for these curves.
pub(crate) fn legend(curves: &[Curve]) -> Vec<Entry> {
    let mut entries: Vec<Sample> = Vec::new();
    if curves.len() > 1 {
        for (at, curve) in curves.iter().enumerate() {
            let (colour, marker) = panel::style(at, curves.len());
            entries.push((curve.label(), colour, Some(marker)));
        }
        entries.push(("test".to_owned(), ASIDE, Some(Marker::Circle)));
        entries.push(("training".to_owned(), ASIDE, None));
    } else {
        let (colour, marker) = panel::style(0, 1);
        entries.push(("test".to_owned(), colour, Some(marker)));
        entries.push(("training".to_owned(), colour, None));
    }
    place(entries)
}

/// Places samples from left to right and row by row.
pub(crate) fn place(samples: Vec<Sample>) -> Vec<Entry> {
    let (mut left, mut row) = (LEFT, 0);
    let mut placed = Vec::new();
    for (text, colour, marker) in samples {
        let width = 34.0 + text_width(&text, TICK_SIZE) + 16.0;
        if left > LEFT && left + width > WIDTH - RIGHT {
            (left, row) = (LEFT, row + 1);
        }
        placed.push(Entry {
            text,
            colour,
            marker,
            left,
            row,
        });
        left += width;
    }
    placed
}

/// How many rows they fill.
pub(crate) fn legend_rows(legend: &[Entry]) -> usize {
    legend.last().map_or(0, |entry| entry.row + 1)
}

/// Draws them.
pub(crate) fn draw_legend(canvas: &mut Canvas, legend: &[Entry]) {
    for entry in legend {
        let y = 53.0 + 17.0 * entry.row as f64;
        let line = Line {
            points: Vec::new(),
            colour: entry.colour,
            marker: entry.marker,
        };
        canvas.line(
            (entry.left, y),
            (entry.left + 27.0, y),
            panel::stroke(&line),
        );
        if let Some(marker) = entry.marker {
            canvas.marker((entry.left + 13.5, y), marker, panel::MARKER, entry.colour);
        }
        canvas.text(
            (entry.left + 33.0, y + 4.0),
            &entry.text,
            TICK_SIZE,
            Anchor::Start,
            INK,
            false,
        );
    }
}
