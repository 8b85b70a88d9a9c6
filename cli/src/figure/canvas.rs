//! Drawing in CSS pixels (96 to the inch), for SVG and PNG alike. The only module that names the drawing library.
//!
//! Dashes and clipping are worked out here, because the library's two back ends disagree about both.

use kuva::backend::svg::SvgBackend;
use kuva::render::color::Color;
use kuva::render::render::{PathData, Primitive, Scene, TextAnchor};

/// Resolution of the PNG in dots per inch.
const DPI: f64 = 300.0;

/// A colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rgb(pub(crate) u8, pub(crate) u8, pub(crate) u8);

impl Rgb {
    /// This colour mixed with white; `share` 0 is unchanged, 1 is white.
    pub(crate) fn lighter(self, share: f64) -> Self {
        let mix = |c: u8| (f64::from(c) + (255.0 - f64::from(c)) * share).round() as u8;
        Self(mix(self.0), mix(self.1), mix(self.2))
    }

    fn ink(self) -> Color {
        Color::Rgb(self.0, self.1, self.2)
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stroke {
    /// Its colour.
    pub(crate) colour: Rgb,
    /// Its width.
    pub(crate) width: f64,
    /// Lengths of dash and gap; `None` is solid.
    pub(crate) dash: Option<(f64, f64)>,
}

/// The shape of a marker: told apart in grey as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// ●
    Circle,
    /// ■
    Square,
    /// ▲
    Triangle,
    /// ◆
    Diamond,
}

/// Where a text hangs on its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// A rectangle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Area {
    /// Left edge.
    pub(crate) left: f64,
    /// Upper edge.
    pub(crate) top: f64,
    /// Right edge.
    pub(crate) right: f64,
    /// Lower edge.
    pub(crate) bottom: f64,
}

/// What has been drawn so far.
pub(crate) struct Canvas {
    scene: Scene,
    /// How far down everything is drawn.
    down: f64,
}

impl Canvas {
    /// A white sheet.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        let mut scene = Scene::new(width, height);
        scene.font_family = Some("DejaVu Sans, Verdana, Helvetica, Arial, sans-serif".to_owned());
        Self { scene, down: 0.0 }
    }

    /// Draws all that follows further down.
    pub(crate) fn move_down(&mut self, by: f64) {
        self.down += by;
    }

    /// A line through points, clipped to `area`.
    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], stroke: Stroke, area: Area) {
        for run in clipped(points, area) {
            match stroke.dash {
                None => self.solid(run, stroke),
                Some((dash, gap)) => {
                    for piece in dashed(&run, dash, gap) {
                        self.solid(piece, stroke);
                    }
                }
            }
        }
    }

    /// A straight line.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        let whole = Area {
            left: 0.0,
            top: 0.0,
            right: self.scene.width,
            bottom: self.scene.height,
        };
        self.polyline(&[from, to], stroke, whole);
    }

    fn solid(&mut self, mut points: Vec<(f64, f64)>, stroke: Stroke) {
        points.iter_mut().for_each(|(_, y)| *y += self.down);
        self.scene.elements.push(Primitive::PolyLine {
            points,
            stroke: stroke.colour.ink(),
            stroke_width: stroke.width,
            stroke_dasharray: None,
        });
    }

    /// A filled shape.
    pub(crate) fn polygon(&mut self, points: &[(f64, f64)], fill: Rgb, opacity: f64) {
        let mut d = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            let y = y + self.down;
            d.push_str(&format!("{}{x:.2},{y:.2}", if i == 0 { "M" } else { "L" }));
        }
        d.push('Z');
        self.scene.elements.push(Primitive::Path(Box::new(PathData {
            d,
            fill: Some(fill.ink()),
            stroke: Color::None,
            stroke_width: 0.0,
            opacity: Some(opacity),
            stroke_dasharray: None,
        })));
    }

    /// A marker of about `size` across, with a thin white rim that keeps neighbours apart.
    pub(crate) fn marker(&mut self, at: (f64, f64), marker: Marker, size: f64, fill: Rgb) {
        self.shape(at, marker, size / 2.0 + 0.7, Rgb(255, 255, 255));
        self.shape(at, marker, size / 2.0, fill);
    }

    fn shape(&mut self, (x, y): (f64, f64), marker: Marker, r: f64, fill: Rgb) {
        let corners: &[(f64, f64)] = match marker {
            Marker::Circle => {
                self.scene.elements.push(Primitive::Circle {
                    cx: x,
                    cy: y + self.down,
                    r,
                    fill: fill.ink(),
                    fill_opacity: None,
                    stroke: None,
                    stroke_width: None,
                });
                return;
            }
            Marker::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Marker::Triangle => &[(0.0, -1.25), (1.15, 0.8), (-1.15, 0.8)],
            Marker::Diamond => &[(0.0, -1.3), (1.2, 0.0), (0.0, 1.3), (-1.2, 0.0)],
        };
        let points: Vec<_> = corners
            .iter()
            .map(|(dx, dy)| (x + dx * r, y + dy * r))
            .collect();
        self.polygon(&points, fill, 1.0);
    }

    /// A text whose baseline passes through the point; `upright` turns it to read upwards.
    pub(crate) fn text(
        &mut self,
        at: (f64, f64),
        text: &str,
        size: u32,
        anchor: Anchor,
        colour: Rgb,
        upright: bool,
    ) {
        self.scene.elements.push(Primitive::Text {
            x: at.0,
            y: at.1 + self.down,
            content: text.to_owned(),
            size,
            anchor: match anchor {
                Anchor::Start => TextAnchor::Start,
                Anchor::Middle => TextAnchor::Middle,
                Anchor::End => TextAnchor::End,
            },
            rotate: upright.then_some(-90.0),
            bold: false,
            color: Some(colour.ink()),
        });
    }

    /// The picture as SVG.
    pub(crate) fn svg(&self) -> String {
        SvgBackend::new().render_scene(&self.scene)
    }

    /// The picture as PNG with its resolution recorded.
    ///
    /// # Errors
    /// When the library cannot encode it.
    pub(crate) fn png(&self) -> Result<Vec<u8>, String> {
        let scale = DPI / 96.0;
        let png = kuva::RasterBackend {
            scale: scale as f32,
        }
        .render_scene(&self.scene)?;
        Ok(with_resolution(&png, DPI))
    }
}

/// About how wide a text of this size is drawn (DejaVu Sans averages 0.6 em).
pub(crate) fn text_width(text: &str, size: u32) -> f64 {
    let ems: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'l' | 'j' | '.' | ',' | ':' | '·' | ' ' | '|' | '\'' => 0.32,
            'm' | 'w' | 'M' | 'W' => 0.9,
            _ => 0.62,
        })
        .sum();
    ems * f64::from(size)
}

/// The parts of a line inside an area.
fn clipped(points: &[(f64, f64)], area: Area) -> Vec<Vec<(f64, f64)>> {
    let mut runs: Vec<Vec<(f64, f64)>> = Vec::new();
    for pair in points.windows(2) {
        let Some((from, to)) = clip(pair[0], pair[1], area) else {
            continue;
        };
        match runs.last_mut() {
            Some(run) if run.last() == Some(&from) => run.push(to),
            _ => runs.push(vec![from, to]),
        }
    }
    runs
}

/// The part of a segment inside an area (Liang–Barsky).
fn clip(a: (f64, f64), b: (f64, f64), area: Area) -> Option<((f64, f64), (f64, f64))> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut from, mut to) = (0.0f64, 1.0f64);
    let edges = [
        (-dx, a.0 - area.left),
        (dx, area.right - a.0),
        (-dy, a.1 - area.top),
        (dy, area.bottom - a.1),
    ];
    for (p, q) in edges {
        if p == 0.0 {
            if q < 0.0 {
                return None;
            }
        } else if p < 0.0 {
            from = from.max(q / p);
        } else {
            to = to.min(q / p);
        }
    }
    if from > to {
        return None;
    }
    let at = |t: f64| {
        if t == 0.0 {
            a
        } else if t == 1.0 {
            b
        } else {
            (a.0 + t * dx, a.1 + t * dy)
        }
    };
    Some((at(from), at(to)))
}

/// A line cut into dashes that run on around its corners.
fn dashed(points: &[(f64, f64)], dash: f64, gap: f64) -> Vec<Vec<(f64, f64)>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<(f64, f64)> = points.first().copied().into_iter().collect();
    let (mut on, mut left) = (true, dash);
    for pair in points.windows(2) {
        let ((x, y), (dx, dy)) = (pair[0], (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1));
        let length = dx.hypot(dy);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let at = (x + dx * done / length, y + dy * done / length);
            if on {
                piece.push(at);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![at];
            }
            on = !on;
            left = if on { dash } else { gap };
        }
        left -= length - done;
        if on {
            piece.push(pair[1]);
        }
    }
    if on && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

/// Adds the chunk that records dots per metre (PNG specification, pHYs) after the header.
fn with_resolution(png: &[u8], dpi: f64) -> Vec<u8> {
    const HEADER_END: usize = 8 + 25;
    let Some((head, rest)) = png.split_at_checked(HEADER_END) else {
        return png.to_vec();
    };
    let per_metre = (dpi / 0.0254).round() as u32;
    let mut chunk = b"pHYs".to_vec();
    chunk.extend(per_metre.to_be_bytes());
    chunk.extend(per_metre.to_be_bytes());
    chunk.push(1);
    let mut out = head.to_vec();
    out.extend(9u32.to_be_bytes());
    out.extend(&chunk);
    out.extend(crc(&chunk).to_be_bytes());
    out.extend(rest);
    out
}

/// CRC-32 as PNG uses it (ISO 3309).
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                0xEDB8_8320 ^ (crc >> 1)
            } else {
                crc >> 1
            };
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Area = Area {
        left: 0.0,
        top: 0.0,
        right: 10.0,
        bottom: 10.0,
    };

    #[test]
    fn lines_end_at_the_edge_of_their_area() {
        let runs = clipped(
            &[(0.0, 5.0), (5.0, 5.0), (5.0, 15.0), (8.0, 15.0), (8.0, 5.0)],
            BOX,
        );
        assert_eq!(
            runs,
            vec![
                vec![(0.0, 5.0), (5.0, 5.0), (5.0, 10.0)],
                vec![(8.0, 10.0), (8.0, 5.0)]
            ]
        );
    }

    #[test]
    fn dashes_run_on_around_corners() {
        let pieces = dashed(&[(0.0, 0.0), (3.0, 0.0), (3.0, 10.0)], 4.0, 2.0);
        assert_eq!(pieces[0], vec![(0.0, 0.0), (3.0, 0.0), (3.0, 1.0)]);
        assert_eq!(pieces[1], vec![(3.0, 3.0), (3.0, 7.0)]);
        assert_eq!(pieces[2], vec![(3.0, 9.0), (3.0, 10.0)]);
    }

    #[test]
    fn checksums_agree_with_the_specification() {
        assert_eq!(crc(b"IEND"), 0xAE42_6082);
    }

    #[test]
    fn a_picture_is_written_in_both_forms() {
        let mut canvas = Canvas::new(96.0, 48.0);
        canvas.line(
            (0.0, 0.0),
            (96.0, 48.0),
            Stroke {
                colour: Rgb(0, 0, 0),
                width: 1.0,
                dash: None,
            },
        );
        canvas.text(
            (10.0, 20.0),
            "n·K < 5",
            10,
            Anchor::Start,
            Rgb(0, 0, 0),
            false,
        );
        assert!(canvas.svg().contains("n·K &lt; 5"));
        let png = canvas.png().expect("a small picture can be encoded");
        assert_eq!(
            u32::from_be_bytes([png[16], png[17], png[18], png[19]]),
            300,
            "an inch is 300 dots"
        );
        assert_eq!(&png[37..41], b"pHYs");
    }
}
