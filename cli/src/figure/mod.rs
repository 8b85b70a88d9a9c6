//! Figures of experiments, as SVG and PNG with their numbers as CSV, and what their curves say.

mod canvas;
mod chart;
mod curve;
mod heat;
mod legend;
mod marks;
mod numbers;
mod panel;
mod point;
mod scale;
mod sheet;

pub(crate) use chart::{Along, Chart, Facet, Series, stack};
pub(crate) use curve::{Hump, Shape, shape};
pub(crate) use heat::{HeatMap, HeatMaps};
pub(crate) use numbers::numbers;
pub(crate) use panel::Mean;
pub(crate) use point::{Curve, Measured, Number, Size, Spread, curves, words};
pub(crate) use sheet::{Figure, draw};
