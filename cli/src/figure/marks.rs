//! Marks through all panels: the interpolation threshold, and where training errors reach zero.

use super::canvas::{Anchor, Canvas, Stroke, text_width};
use super::panel::{self, INK, Panel, TICK_SIZE};
use super::point::{Curve, Size};
use super::sheet::{GAP, distinct};

const THRESHOLD: Stroke = Stroke {
    colour: INK,
    width: 0.9,
    dash: Some((1.5, 2.5)),
};

fn fitted(at: usize, curves: &[Curve]) -> Stroke {
    Stroke {
        colour: panel::style(at, curves.len()).0,
        width: 0.9,
        dash: Some((6.0, 2.0)),
    }
}

/// Vertical lines: the interpolation threshold of each n·K, and where each curve's training error reaches zero.
pub(crate) fn thresholds(canvas: &mut Canvas, panel: &Panel, curves: &[Curve]) {
    let all = curves.iter().filter_map(Curve::threshold);
    for threshold in distinct(all.map(|threshold| threshold as u64)) {
        if (0.0..=1.0).contains(&panel.x.position(threshold as f64)) {
            panel.vertical(canvas, threshold as f64, THRESHOLD);
        }
    }
    for (at, curve) in curves
        .iter()
        .enumerate()
        .filter(|(_, curve)| curve.size == Size::Parameters)
    {
        if let Some(size) = curve.fitted_from() {
            panel.vertical(canvas, size, fitted(at, curves));
        }
    }
}

/// Names the vertical lines under the first panel, each beside its line, on the side where it collides with nothing.
pub(crate) fn name_thresholds(canvas: &mut Canvas, panel: &Panel, curves: &[Curve]) {
    let y = panel.area.bottom + GAP - 7.0;
    let mut names: Vec<(f64, String)> = Vec::new();
    for curve in curves {
        let Some(threshold) = curve.threshold() else {
            continue;
        };
        let at = panel.across(threshold);
        let number = grouped(threshold as u64);
        let name = match curve.size {
            Size::Parameters => format!("n·K = {number}"),
            Size::Features => format!("N = n = {number}"),
        };
        if (panel.area.left..=panel.area.right).contains(&at)
            && names.iter().all(|(_, other)| *other != name)
        {
            names.push((at, name));
        }
    }
    if let Some(first) = curves
        .iter()
        .filter(|curve| curve.size == Size::Parameters)
        .filter_map(Curve::fitted_from)
        .min_by(f64::total_cmp)
    {
        names.push((panel.across(first), "training error reaches 0".to_owned()));
    }
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free_from = panel.area.left;
    for (i, (at, name)) in names.iter().enumerate() {
        let next = names.get(i + 1).map_or(panel.area.right, |(next, _)| *next);
        let fits = |name: &str| {
            let width = text_width(name, TICK_SIZE);
            (at - 10.0 - width >= free_from, at + 10.0 + width <= next)
        };
        // Where the whole name fits on neither side, it says less rather than leave the sheet.
        let name = match fits(name) {
            (false, false) => name.replace(" reaches", ""),
            _ => name.clone(),
        };
        let (fits_left, fits_right) = fits(&name);
        let width = text_width(&name, TICK_SIZE);
        let to_the_left = fits_left && (!fits_right || i + 1 < names.len());
        let (x, anchor) = if to_the_left {
            (at - 4.0, Anchor::End)
        } else {
            (at + 4.0, Anchor::Start)
        };
        canvas.text((x, y), &name, TICK_SIZE, anchor, INK, false);
        free_from = if to_the_left { *at } else { at + 5.0 + width };
    }
}

/// 40000 as 40,000.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
