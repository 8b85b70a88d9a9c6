//! Names of points: scopes resolved, and chains of trials that start from each other's weights.

use std::sync::PoisonError;

use super::{Candidate, Grid, Place, Point, stage};
use crate::id::Identity;
use crate::identity::{identity, pack_key};
use crate::ladder;
use crate::params::Params;
use crate::setting::Key;
use crate::trial::{ModelSpec, Scope, TrialKey};
use crate::value::Value;
use crate::values::Values;

/// Identities kept at most: 2²⁰ of them take about 50 MB.
const MAX_REMEMBERED: usize = 1 << 20;

/// What a point starts from.
enum Start {
    /// The trained weights of the next narrower network.
    Narrower(Place, Box<Candidate>),
    /// The stage before its own.
    Stage(Box<Candidate>),
}

impl Grid {
    pub(super) fn named(&self, rank: u64, place: &Place, candidate: &Candidate) -> Point {
        let index = self.layout.index(place);
        let start = self.start(Some(place), candidate);
        let widens = self.widens(place);
        let reuses = matches!(start, Some(Start::Narrower(..)));
        let parent = start.map(|start| self.parent_identity(start));
        let params = settled(candidate, reuses);
        let identity = identity(&params, candidate.known.hash, parent);
        if widens {
            self.remember(index, identity);
        }
        let spec = params.resolve().expect("checked when the grid was made");
        let key = TrialKey {
            identity,
            pack_key: pack_key(&spec, candidate.known.hash),
            data: candidate.known.hash,
            parent,
        };
        let cost = self.cost(&spec, &candidate.shape);
        let axes = self.axis_values(place);
        let (shape, parameters) = (candidate.shape, candidate.parameters);
        let layers = ladder::layers(&spec.model, shape.inputs, shape.image, shape.outputs);
        Point {
            index,
            rank,
            params,
            density: spec.mask.density(&layers),
            spec,
            shape,
            key,
            parameters,
            cost,
            feeds: widens || self.fed.contains(&identity),
            axes,
        }
    }

    fn axis_values(&self, place: &Place) -> Vec<(&'static str, Value)> {
        let path = &self.layout.nodes[place.node].path;
        let axes = path.iter().flat_map(|&node| &self.layout.nodes[node].axes);
        axes.flat_map(|&axis| {
            let digit = place.digits[axis] as usize;
            let members = &self.layout.axes[axis].members;
            members
                .iter()
                .map(move |(key, values)| (key.setting().short(), values[digit].clone()))
        })
        .collect()
    }

    /// The name of the network that a place's point is compared with, where that is trained in a subspace of a given dimension.
    pub(super) fn baseline(&self, place: &Place) -> Option<Identity> {
        let candidate = self.candidate(place)?;
        let values = stage::baseline(&candidate.values, &candidate.spec)?;
        Some(self.parent_identity(Start::Stage(Box::new(self.described(values)))))
    }

    /// What a point starts from. Points on their way to a stage have no place.
    fn start(&self, place: Option<&Place>, candidate: &Candidate) -> Option<Start> {
        if let Some((values, _)) = stage::parent(&candidate.values, &candidate.spec) {
            return Some(Start::Stage(Box::new(self.described(values))));
        }
        if self.reuse && reuses(candidate) {
            let (place, candidate) = self.neighbour(place?, false)?;
            return Some(Start::Narrower(place, Box::new(candidate)));
        }
        None
    }

    /// The name of what a point starts from.
    fn parent_identity(&self, start: Start) -> Identity {
        match start {
            Start::Narrower(place, candidate) => self.identity(place, *candidate),
            Start::Stage(candidate) => {
                let earlier = self.start(None, &candidate);
                let parent = earlier.map(|start| self.parent_identity(start));
                identity(&settled(&candidate, false), candidate.known.hash, parent)
            }
        }
    }

    /// The stage that a place's point starts from, where it does, and the name of that point.
    pub(super) fn stage(&self, place: &Place) -> Option<(stage::Rule, Identity)> {
        let candidate = self.candidate(place)?;
        let (values, rule) = stage::parent(&candidate.values, &candidate.spec)?;
        let start = Start::Stage(Box::new(self.described(values)));
        Some((rule, self.parent_identity(start)))
    }

    /// Whether the next wider point starts from this one.
    fn widens(&self, place: &Place) -> bool {
        self.reuse
            && self
                .neighbour(place, true)
                .is_some_and(|(_, wider)| reuses(&wider))
    }

    /// The nearest point on the axis of widths, everything else being equal.
    fn neighbour(&self, place: &Place, wider: bool) -> Option<(Place, Candidate)> {
        let path = &self.layout.nodes[place.node].path;
        let mut axes = path.iter().flat_map(|&node| &self.layout.nodes[node].axes);
        let (axis, (ascending, at)) = axes.find_map(|&axis| {
            self.layout.axes[axis]
                .widths
                .as_ref()
                .map(|widths| (axis, widths))
        })?;
        let mut place = place.clone();
        let mut position = at[place.digits[axis] as usize] as usize;
        loop {
            position = if wider {
                position + 1
            } else {
                position.checked_sub(1)?
            };
            place.digits[axis] = *ascending.get(position)?;
            if let Some(candidate) = self.candidate(&place) {
                return Some((place, candidate));
            }
        }
    }

    /// The identity of a point: down the chain to a remembered one or its beginning, and up again.
    fn identity(&self, place: Place, candidate: Candidate) -> Identity {
        let mut pending = Vec::new();
        let mut next = Some((place, candidate));
        let mut known = None;
        while let Some((place, candidate)) = next {
            let index = self.layout.index(&place);
            let chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(identity) = chain.get(&index) {
                known = Some(*identity);
                break;
            }
            drop(chain);
            next = match self.start(Some(&place), &candidate) {
                Some(Start::Narrower(place, candidate)) => Some((place, *candidate)),
                _ => None,
            };
            pending.push((index, candidate));
        }
        while let Some((index, candidate)) = pending.pop() {
            let params = settled(&candidate, known.is_some());
            let name = identity(&params, candidate.known.hash, known);
            self.remember(index, name);
            known = Some(name);
        }
        known.expect("the chain has a beginning")
    }

    fn remember(&self, index: u64, identity: Identity) {
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        if chain.len() >= MAX_REMEMBERED {
            chain.clear();
        }
        chain.insert(index, identity);
    }
}

/// Whether the rule of weight reuse holds for a point.
fn reuses(candidate: &Candidate) -> bool {
    matches!(candidate.spec.model, ModelSpec::Mlp { .. })
        && candidate
            .spec
            .train
            .weight_reuse
            .holds(candidate.parameters, candidate.shape.threshold())
}

/// The canonical settings of a point, with rules "below the threshold" resolved to what they come to for it: a wide network
/// is the same trial whether a sweep says `never` or `below-threshold`.
fn settled(candidate: &Candidate, widens: bool) -> Params {
    let mut values = candidate.values.clone();
    stage::settle(&mut values, &candidate.spec);
    let holds = |scope: Scope| scope.holds(candidate.parameters, candidate.shape.threshold());
    let set =
        |values: &mut Values, key: Key, word: &'static str| values.set(key, Value::Word(word));
    let train = &candidate.spec.train;
    if !candidate.spec.model.is_closed_form() {
        if holds(train.schedule_scope) {
            set(&mut values, Key::TrainScheduleScope, "always");
        } else {
            set(&mut values, Key::TrainScheduleKind, "constant");
        }
        let stop = if holds(train.stop_at_zero_error) {
            "always"
        } else {
            "never"
        };
        set(&mut values, Key::TrainStopAtZeroError, stop);
        set(
            &mut values,
            Key::TrainWeightReuse,
            if widens { "always" } else { "never" },
        );
    }
    if candidate.spec.data.test_samples == Some(candidate.known.test_samples) {
        values.clear(Key::DataTestSamples);
    }
    Params::new(&values)
}
