//! What a sweep would train, counted before anything is trained.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use crate::grid::{Grid, Point};
use crate::id::Identity;
use crate::shape;

/// Identities handed to [`Plan::count`]'s caller at a time.
pub const CHUNK: usize = 10_000;

/// Totals of a sweep.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Points before exclusion.
    pub places: u64,
    /// Points, duplicates included.
    pub points: u64,
    /// Points that are the same trial as an earlier one.
    pub duplicates: u64,
    /// Trials that start from another's weights.
    pub chained: u64,
    /// Trials that have a result already.
    pub finished: u64,
    /// Floating-point operations of all trials.
    pub cost: f64,
    /// Floating-point operations of those without a result.
    pub cost_left: f64,
    /// Bytes of the largest trial's own buffers.
    pub memory: u64,
    /// Bytes of the largest set of samples that a trial sees.
    pub data_bytes: u64,
    /// Smallest and largest n·K, the number of parameters around which training samples can be fitted.
    pub threshold: Option<(u64, u64)>,
    /// What each width comes to.
    pub widths: BTreeMap<u32, Width>,
}

/// What the trials of one width come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Width {
    /// Trials.
    pub trials: u64,
    /// Fewest parameters of one.
    pub min_parameters: u64,
    /// Most parameters of one.
    pub max_parameters: u64,
    /// Floating-point operations of all of them.
    pub cost: f64,
}

impl Plan {
    /// Trials: points without duplicates.
    #[must_use]
    pub const fn trials(&self) -> u64 {
        self.points - self.duplicates
    }

    /// Trials without a result.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.trials() - self.finished
    }

    /// Counts a sweep's points. `finished` is asked, some thousand identities at a time, which of them have a result.
    ///
    /// Takes time in proportion to the points and, for duplicates, about 40 bytes a trial.
    ///
    /// # Errors
    /// The first that `finished` answers.
    pub fn count<E>(
        grid: &Grid,
        mut finished: impl FnMut(&[Identity]) -> Result<Vec<Identity>, E>,
    ) -> Result<Self, E> {
        let mut plan = Self {
            places: grid.raw_points(),
            ..Self::default()
        };
        let mut seen: HashSet<Identity, BuildHasherDefault<Leading>> = HashSet::default();
        let mut chunk: Vec<(Identity, f64)> = Vec::with_capacity(CHUNK);
        for rank in 0..plan.places {
            if let Some(point) = grid.point(rank) {
                plan.points += 1;
                if seen.insert(point.key.identity) {
                    plan.add(&point);
                    chunk.push((point.key.identity, point.cost));
                } else {
                    plan.duplicates += 1;
                }
            }
            if chunk.len() == CHUNK {
                plan.ask(&mut chunk, &mut finished)?;
            }
        }
        plan.ask(&mut chunk, &mut finished)?;
        Ok(plan)
    }

    fn add(&mut self, point: &Point) {
        self.chained += u64::from(point.key.parent.is_some());
        self.cost += point.cost;
        self.memory = self
            .memory
            .max(shape::memory_bytes(&point.spec, &point.shape));
        self.data_bytes = self.data_bytes.max(shape::data_bytes(&point.shape));
        let threshold = point.shape.threshold();
        let (low, high) = self.threshold.unwrap_or((u64::MAX, 0));
        self.threshold = Some((low.min(threshold), high.max(threshold)));
        let width = self.widths.entry(point.spec.model.width()).or_default();
        width.add(point.parameters, point.cost);
    }

    fn ask<E>(
        &mut self,
        chunk: &mut Vec<(Identity, f64)>,
        finished: &mut impl FnMut(&[Identity]) -> Result<Vec<Identity>, E>,
    ) -> Result<(), E> {
        let identities: Vec<Identity> = chunk.iter().map(|(identity, _)| *identity).collect();
        let done: HashSet<Identity> = finished(&identities)?.into_iter().collect();
        for (identity, cost) in chunk.drain(..) {
            if done.contains(&identity) {
                self.finished += 1;
            } else {
                self.cost_left += cost;
            }
        }
        Ok(())
    }
}

impl Width {
    fn add(&mut self, parameters: u64, cost: f64) {
        self.min_parameters = if self.trials == 0 {
            parameters
        } else {
            self.min_parameters.min(parameters)
        };
        self.max_parameters = self.max_parameters.max(parameters);
        self.trials += 1;
        self.cost += cost;
    }
}

/// Takes the leading bytes of an identity, which is a hash already.
#[derive(Default)]
struct Leading(u64);

impl Hasher for Leading {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut leading = [0; 8];
        let length = bytes.len().min(8);
        leading[..length].copy_from_slice(&bytes[..length]);
        self.0 ^= u64::from_le_bytes(leading);
    }

    /// The length of the array, the same for every identity.
    fn write_usize(&mut self, _: usize) {}

    fn write_u64(&mut self, _: u64) {}
}
