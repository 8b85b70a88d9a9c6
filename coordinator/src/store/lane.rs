//! How urgent a write is.

/// Writes of an earlier lane go before waiting ones of a later lane, where one writer does them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// What workers report: a late heartbeat costs a lease, a late result costs a worker's time.
    Report,
    /// Claims and upkeep.
    Claim,
    /// What people ask for.
    Steer,
    /// Measurements.
    Metrics,
    /// Slices of an expansion.
    Bulk,
}

impl Lane {
    /// All lanes, most urgent first.
    pub(super) const COUNT: usize = 5;

    /// Its place among the lanes.
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}
