//! The points of a sweep: any of them in constant time, all of them in constant memory.

mod chain;
mod check;
mod layout;
mod limits;
mod order;
mod rungs;
mod stage;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::data::KnownData;
use crate::id::Identity;
use crate::params::Params;
use crate::setting::Key;
use crate::shape::{self, DataShape};
use crate::sweep::expression::Condition;
use crate::sweep::{Mistakes, Sweep};
use crate::trial::{ModelSpec, Spread, TrialKey, TrialSpec};
use crate::value::Value;
use crate::values::Values;
use layout::{Layout, Place};

/// One point of a sweep: a trial, and its place in the sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its number in the order of the file. Changing the order of work does not change it.
    pub index: u64,
    /// Its number in the order of work.
    pub rank: u64,
    /// Its settings in canonical form, scopes resolved: what is stored, sent and hashed.
    pub params: Params,
    /// What `params` describe.
    pub spec: TrialSpec,
    /// The samples that it sees.
    pub shape: DataShape,
    /// Its names, its data, and the trial whose weights it starts from.
    pub key: TrialKey,
    /// Count of trained numbers.
    pub parameters: u64,
    /// Predicted floating-point operations.
    pub cost: f64,
    /// Share of weights that a mask keeps.
    pub density: f64,
    /// Whether another trial of the sweep starts from its final weights, which therefore must be kept.
    pub feeds: bool,
    /// Each axis's name and value here, outer axes first.
    pub axes: Vec<(&'static str, Value)>,
}

/// A point's size without its names: cheap enough to sum up a million.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// Units per hidden layer, or number of random features.
    pub width: u32,
    /// Count of trained numbers.
    pub parameters: u64,
    /// Number of parameters around which training samples can be fitted: n·K.
    pub threshold: u64,
    /// Predicted floating-point operations.
    pub cost: f64,
    /// Bytes of its own buffers.
    pub memory: u64,
    /// Bytes of the samples that it sees, shared by all that see them.
    pub data_bytes: u64,
}

/// All points of a sweep over known data.
#[derive(Debug)]
pub struct Grid {
    layout: Layout,
    /// The root's fixed settings.
    base: Values,
    exclude: Vec<Condition>,
    data: BTreeMap<Arc<str>, KnownData>,
    /// Whether some trial may start from another's weights.
    reuse: bool,
    /// Points that a later stage starts from.
    fed: HashSet<Identity>,
    /// Identities of narrower networks, so that a chain of widths is walked once.
    chain: Mutex<HashMap<u64, Identity>>,
    /// Number of measured epochs by (points, epochs), for the logarithmic spread.
    measured: Mutex<HashMap<(u32, u32), u32>>,
}

/// What a place turns out to be, before names are given.
struct Candidate {
    values: Values,
    spec: TrialSpec,
    known: KnownData,
    shape: DataShape,
    parameters: u64,
}

impl Grid {
    /// # Errors
    /// When a data set is unknown or has too few samples, a point describes no trial, or every point is excluded.
    pub(crate) fn new(sweep: &Sweep, data: &BTreeMap<String, KnownData>) -> Result<Self, Mistakes> {
        let reuse = sweep
            .root
            .everything(Key::TrainWeightReuse)
            .iter()
            .any(|(value, _)| value.as_text() != Some("never"));
        let mut base = Values::default();
        base.set(Key::Experiment, Value::Word(sweep.experiment().word()));
        let mut grid = Self {
            layout: Layout::new(&sweep.root, sweep.run().order, reuse),
            base,
            exclude: sweep.exclude.clone(),
            data: data
                .iter()
                .map(|(name, known)| (name.as_str().into(), *known))
                .collect(),
            reuse,
            fed: HashSet::new(),
            chain: Mutex::default(),
            measured: Mutex::default(),
        };
        check::check(&mut grid, sweep)?;
        Ok(grid)
    }

    /// Number of places, those included that conditions rule out: ranks and indices lie below it.
    #[must_use]
    pub fn raw_points(&self) -> u64 {
        self.layout.total()
    }

    /// The point whose turn is `rank`; `None` beyond the end, and for a place that is excluded or belongs to another block.
    /// A trial that another starts from has the smaller rank.
    #[must_use]
    pub fn point(&self, rank: u64) -> Option<Point> {
        if rank >= self.raw_points() {
            return None;
        }
        let place = self.layout.by_rank(rank);
        let candidate = self.candidate(&place)?;
        Some(self.named(rank, &place, &candidate))
    }

    /// The size of the point whose turn is `rank`; `None` as for [`Grid::point`].
    #[must_use]
    pub fn measure(&self, rank: u64) -> Option<Measure> {
        if rank >= self.raw_points() {
            return None;
        }
        let candidate = self.candidate(&self.layout.by_rank(rank))?;
        Some(Measure {
            width: candidate.spec.model.width(),
            parameters: candidate.parameters,
            threshold: candidate.shape.threshold(),
            cost: self.cost(&candidate.spec, &candidate.shape),
            memory: shape::memory_bytes(&candidate.spec, &candidate.shape),
            data_bytes: shape::data_bytes(&candidate.shape),
        })
    }

    /// Number of points, by looking at every place.
    #[must_use]
    pub fn count(&self) -> u64 {
        (0..self.raw_points())
            .filter(|&rank| self.values(&self.layout.by_rank(rank)).is_some())
            .count() as u64
    }

    /// The settings at a place as the file gives them; `None` where conditions rule it out.
    fn values(&self, place: &Place) -> Option<Values> {
        let mut values = self.base.clone();
        let body = &self.layout.nodes[place.node];
        for &node in &body.path {
            let node = &self.layout.nodes[node];
            if node
                .when
                .as_ref()
                .is_some_and(|when| !self.holds(when, &values))
            {
                return None;
            }
            for (key, value) in &node.fixed {
                values.set(*key, value.clone());
            }
            for &axis in &node.axes {
                let digit = place.digits[axis] as usize;
                for (key, axis_values) in &self.layout.axes[axis].members {
                    values.set(*key, axis_values[digit].clone());
                }
            }
        }
        // A point that a block takes up is that block's.
        let taken = body.children.iter().any(|(_, child)| {
            self.layout.nodes[*child]
                .when
                .as_ref()
                .is_none_or(|when| self.holds(when, &values))
        });
        let excluded = taken || self.exclude.iter().any(|when| self.holds(when, &values));
        (!excluded).then_some(values)
    }

    fn holds(&self, condition: &Condition, values: &Values) -> bool {
        condition.holds(&|key| {
            values
                .or_default(key)
                .or_else(|| self.everything_there_is(key, values))
        })
    }

    /// What "all" means for the point's data set.
    fn everything_there_is(&self, key: Key, values: &Values) -> Option<Value> {
        let known = self.data.get(values.given(Key::DataDataset)?.as_text()?)?;
        let held_out = match values.given(Key::DataValidation) {
            Some(Value::Integer(held_out)) => *held_out,
            _ => 0,
        };
        match key {
            Key::DataSamples => Some(Value::Integer(
                u64::from(known.train_samples).saturating_sub(held_out),
            )),
            Key::DataTestSamples => Some(Value::Integer(known.test_samples.into())),
            _ => None,
        }
    }

    fn candidate(&self, place: &Place) -> Option<Candidate> {
        Some(self.described(self.values(place)?))
    }

    /// What settings turn out to be.
    fn described(&self, values: Values) -> Candidate {
        let spec = values.resolve().expect("checked when the grid was made");
        let known = self.data[spec.data.dataset.as_str()];
        let shape = DataShape::of(&known, &spec.data).expect("checked when the grid was made");
        let parameters = match spec.model {
            ModelSpec::Closed(closed) => {
                closed.parameters(shape.inputs, shape.train_samples, shape.outputs)
            }
            ModelSpec::Mlp { .. }
            | ModelSpec::NormalisedMlp { .. }
            | ModelSpec::Conv { .. }
            | ModelSpec::Features { .. } => {
                shape::parameters(&spec.model, known.inputs, known.image, known.outputs)
            }
        };
        Candidate {
            values,
            spec,
            known,
            shape,
            parameters,
        }
    }

    fn cost(&self, spec: &TrialSpec, shape: &DataShape) -> f64 {
        let epochs = spec.train.epochs;
        let count = || shape::measurement_count(&spec.evaluate, epochs);
        let measurements = match spec.model {
            ModelSpec::Mlp { .. } | ModelSpec::NormalisedMlp { .. } | ModelSpec::Conv { .. }
                if spec.evaluate.spread == Spread::Log =>
            {
                let mut known = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
                *known
                    .entry((spec.evaluate.points, epochs))
                    .or_insert_with(count)
            }
            ModelSpec::Mlp { .. } | ModelSpec::NormalisedMlp { .. } | ModelSpec::Conv { .. } => {
                count()
            }
            ModelSpec::Features { .. } | ModelSpec::Closed(_) => 1,
        };
        shape::cost_with(spec, shape, measurements)
    }
}
