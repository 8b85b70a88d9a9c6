//! Kinds of numbers and words that several settings have.

use super::{Bound, Kind};

pub(super) const U32_MAX: u64 = u32::MAX as u64;
/// A count of at least one thing.
pub(super) const COUNT: Kind = Kind::Integer {
    min: 1,
    max: U32_MAX,
};
/// Sweep files and databases hold whole numbers up to 2⁶³ − 1.
pub(super) const SEED: Kind = Kind::Integer {
    min: 0,
    max: i64::MAX as u64,
};
/// A share.
pub(super) const SHARE: Kind = Kind::Float {
    min: Bound::Closed(0.0),
    max: Bound::Closed(1.0),
};
/// A decay or a momentum.
pub(super) const BELOW_ONE: Kind = Kind::Float {
    min: Bound::Closed(0.0),
    max: Bound::Open(1.0),
};
/// A standard deviation or a strength that may be 0.
pub(super) const STRENGTH: Kind = Kind::Float {
    min: Bound::Closed(0.0),
    max: Bound::Closed(1e3),
};
pub(super) const SCOPE: Kind = Kind::Word(&["never", "below-threshold", "always"]);
