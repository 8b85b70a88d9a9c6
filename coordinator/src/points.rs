//! A sweep's points as the store wants them.

use std::collections::BTreeMap;

use descent_spec::data::KnownData;
use descent_spec::grid::{Grid, Point};
use descent_spec::setting::{Kind, Setting};
use descent_spec::shape;
use descent_spec::sweep::{Artifacts, Mistakes, RunSettings, Sweep};

use crate::store::{Axis, AxisKind, NewTrial, Slice, SweepRow, TrialColumns};

/// A sweep whose points can be enumerated.
pub(crate) struct Points {
    run: RunSettings,
    grid: Grid,
}

/// Why a stored sweep cannot be enumerated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// Its text is not what this version takes for a sweep.
    #[error("the sweep's file: {0}")]
    Source(#[from] Mistakes),
    /// What is known of its data is not what this version stores.
    #[error("the sweep's data: {0}")]
    Data(#[from] serde_json::Error),
}

impl Points {
    /// From a sweep that was just read.
    pub(crate) fn of(sweep: &Sweep, data: &BTreeMap<String, KnownData>) -> Result<Self, Mistakes> {
        Ok(Self {
            run: sweep.run().clone(),
            grid: sweep.grid(data)?,
        })
    }

    /// From a sweep as stored.
    pub(crate) fn stored(source: &str, data: &str) -> Result<Self, Unreadable> {
        let data = serde_json::from_str(data)?;
        Ok(Self::of(&Sweep::parse(source)?, &data)?)
    }

    /// The points themselves.
    pub(crate) fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The next slice after the stored cursor. The last one is empty: before it, absent trials of an edited sweep are dropped.
    pub(crate) fn slice(&self, row: &SweepRow, raw_points: u64) -> Slice {
        let total = self.grid.raw_points();
        let from = row.cursor;
        let to = from.saturating_add(raw_points).min(total).max(from);
        Slice {
            sweep: row.id,
            edition: row.edition,
            from,
            to,
            trials: (from..to)
                .filter_map(|rank| self.grid.point(rank))
                .map(|point| self.trial(&point))
                .collect(),
            last: from >= total,
        }
    }

    /// One point as a trial.
    fn trial(&self, point: &Point) -> NewTrial {
        let run = &self.run;
        let axes: serde_json::Map<String, serde_json::Value> = point
            .axes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_json()))
            .collect();
        NewTrial {
            point: point.index,
            identity: point.key.identity,
            pack_key: point.key.pack_key,
            data: point.key.data,
            data_memory: shape::data_bytes(&point.shape),
            device: run.device.clone().unwrap_or_default(),
            instruction_set: run.instruction_set.clone().unwrap_or_default(),
            parent: point.key.parent,
            params: point.params.to_json(),
            columns: columns(point),
            axes: serde_json::Value::Object(axes).to_string(),
            ord: signed(point.rank),
            time_limit_ms: run.time_limit_s.saturating_mul(1000),
            stall_ms: run.stall_ms(),
            max_failures: run.max_failures,
            checkpoint_ms: run.checkpoint_s.saturating_mul(1000),
            checkpoint_epochs: run.checkpoint_epochs,
            // Weights that another trial starts from are always stored.
            keep_weights: point.feeds || run.artifacts != Artifacts::None,
        }
    }
}

/// The columns of a sweep's own view.
pub(crate) fn axes(sweep: &Sweep) -> Vec<Axis> {
    let kind = |name: &str| match Setting::find(name).map(|setting| setting.kind) {
        Some(Kind::Integer { .. }) => AxisKind::Integer,
        Some(Kind::Float { .. }) => AxisKind::Real,
        Some(Kind::Boolean | Kind::Word(_) | Kind::Text { .. } | Kind::Layers | Kind::Epochs)
        | None => AxisKind::Text,
    };
    sweep
        .axis_names()
        .into_iter()
        .map(|name| Axis {
            name: name.to_owned(),
            kind: kind(name),
        })
        .collect()
}

fn columns(point: &Point) -> TrialColumns {
    let spec = &point.spec;
    TrialColumns {
        width: spec.model.width().into(),
        depth: spec.model.depth().into(),
        parameters: signed(point.parameters),
        samples: signed(u64::from(point.shape.train_samples)),
        outputs: point.shape.outputs.into(),
        label_noise: spec.data.label_noise,
        ridge: spec.model.ridge(),
        weight_decay: spec.train.weight_decay,
        epochs: spec.train.epochs.into(),
        model: spec.model.word(),
        subspace_dim: spec.subspace.map_or(0, |subspace| subspace.dim.into()),
        projection: spec.subspace.map(|subspace| subspace.projection.word()),
        density: point.density,
        seed: signed(spec.seed),
        cost: point.cost,
        memory: shape::memory_bytes(spec, &point.shape),
    }
}

/// A count as a database column; the bounds of the settings keep it far below the limit.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What is added, kept and removed when a sweep's points change. Trials count, not points: two points may share one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) added: u64,
    pub(crate) kept: u64,
    pub(crate) removed: u64,
}

impl Difference {
    /// Between two enumerations. Takes 16 bytes a trial and a pass over both.
    pub(crate) fn between(old: Option<&Grid>, new: &Grid) -> Self {
        let identities = |grid: &Grid| -> std::collections::HashSet<_> {
            (0..grid.raw_points())
                .filter_map(|rank| grid.point(rank))
                .map(|point| point.key.identity)
                .collect()
        };
        let new = identities(new);
        let old = old.map(identities).unwrap_or_default();
        let kept = new.intersection(&old).count() as u64;
        Self {
            added: new.len() as u64 - kept,
            kept,
            removed: old.len() as u64 - kept,
        }
    }
}

/// Points and cost of a whole sweep.
pub(crate) fn totals(grid: &Grid) -> (u64, f64) {
    (0..grid.raw_points())
        .filter_map(|rank| grid.measure(rank))
        .fold((0, 0.0), |(points, cost), measure| {
            (points + 1, cost + measure.cost)
        })
}
