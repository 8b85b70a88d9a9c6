//! Figures of experiments, as SVG and PNG with their numbers as CSV, and what their curves say.

mod account;
mod canvas;
mod curve;
mod legend;
mod marks;
mod numbers;
mod panel;
mod point;
mod published;
mod scale;
mod sheet;
mod theorem;

pub(crate) use account::{Comparable, account};
pub(crate) use numbers::numbers;
pub(crate) use point::{Curve, Measured, Number, Size, curves};
pub(crate) use sheet::draw;
pub(crate) use theorem::theorem;
