//! Checkpoints: everything that going on exactly takes, as safetensors.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use descent_spec::outcome::Measurement;
use descent_spec::trial::{EarlyStop, Optimizer};

use crate::best::{self, Best, Stored};
use crate::course;
use crate::mlp::{Plan, State};
use crate::pack::TrainError;
use crate::robustness::{self, Snapshot};
use crate::subspace::Coordinates;
use crate::weights::{Unpacked, metadata, pack};

/// What a checkpoint says of itself. Fields are in alphabetical order: this is its canonical form.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    best: Option<Stored>,
    instruction_set: String,
    kind: String,
    optimizer: String,
    step: u64,
    version: u32,
}

const KIND: &str = "checkpoint";
const VERSION: u32 = 1;

/// The optimizer's name and its moments' name prefixes.
pub(crate) const fn optimizer(plan: &Plan) -> (&'static str, &'static [&'static str]) {
    match plan.optimizer {
        Optimizer::Sgd { .. } => ("sgd", &["velocity."]),
        Optimizer::Adam { .. } => ("adam", &["first_moment.", "second_moment."]),
    }
}

/// What a checkpoint after so many steps says of itself.
pub(crate) fn header(
    plan: &Plan,
    step: u64,
    best: Option<&Measurement>,
    instruction_set: &str,
) -> String {
    let header = Header {
        best: best.map(Stored::from),
        instruction_set: instruction_set.to_owned(),
        kind: KIND.to_owned(),
        optimizer: optimizer(plan).0.to_owned(),
        step,
        version: VERSION,
    };
    serde_json::to_string(&header).expect("strings and numbers can be written")
}

pub(crate) fn to_bytes(plan: &Plan, state: &State, instruction_set: &str) -> Vec<u8> {
    let (_, prefixes) = optimizer(plan);
    let mut parts = vec![(String::new(), state.layers.as_slice())];
    for (prefix, layers) in prefixes.iter().zip(&state.moments) {
        parts.push(((*prefix).to_owned(), layers));
    }
    let snapshots = state.snapshots.iter();
    let snapshots = snapshots.map(|kept| (robustness::prefix(kept.epoch), kept.network.as_slice()));
    let best = state.best.as_ref();
    let snapshots =
        snapshots.chain(best.map(|best| (best::PREFIX.to_owned(), best.network.as_slice())));
    let header = header(
        plan,
        state.step,
        best.map(|best| &best.measurement),
        instruction_set,
    );
    let Some(at) = &state.coordinates else {
        parts.extend(snapshots);
        return pack(&parts, &[], &header);
    };
    // In a subspace all that is present follows from z.
    let mut vectors = vec![("z".to_owned(), at.z.as_slice())];
    for (prefix, moment) in prefixes.iter().zip(&at.moments) {
        vectors.push((format!("{prefix}z"), moment));
    }
    let snapshots: Vec<_> = snapshots.collect();
    pack(&snapshots, &vectors, &header)
}

/// What a file says of itself, if it is a checkpoint.
fn described(metadata: &str) -> Result<Header, TrainError> {
    let header: Header = serde_json::from_str(metadata)
        .map_err(|error| TrainError::Artifact(format!("not a checkpoint: {error}")))?;
    if header.kind != KIND || header.version != VERSION {
        let found = format!("{} {}", header.kind, header.version);
        return Err(TrainError::Artifact(format!(
            "{found} instead of {KIND} {VERSION}"
        )));
    }
    Ok(header)
}

/// The instruction set that a checkpoint was computed with. On another one, its trial starts over. Reads no tensor.
///
/// # Errors
/// When the bytes are not a checkpoint.
pub fn instruction_set(bytes: &[u8]) -> Result<String, TrainError> {
    if let Some(instruction_set) = course::instruction_set(bytes) {
        return Ok(instruction_set);
    }
    described(&metadata(bytes)?).map(|header| header.instruction_set)
}

/// A checkpoint whose tensors are not yet looked at.
pub(crate) struct Opened {
    /// Steps completed.
    pub(crate) step: u64,
    /// The best measurement so far, where training may end early.
    pub(crate) best: Option<Measurement>,
    pub(crate) file: Unpacked,
}

/// Opens a checkpoint of a member with this plan.
///
/// # Errors
/// When the bytes are not a checkpoint, or one of another training.
pub(crate) fn read(bytes: &[u8], plan: &Plan) -> Result<Opened, TrainError> {
    let file = Unpacked::open(bytes)?;
    let header = described(&file.metadata)?;
    let name = optimizer(plan).0;
    if header.optimizer != name || header.step > plan.steps() {
        let found = format!("step {} of {}", header.step, header.optimizer);
        let message = format!(
            "{found}, but the trial has {} steps of {name}",
            plan.steps()
        );
        return Err(TrainError::Artifact(message));
    }
    if header.best.is_some() && plan.early_stop == EarlyStop::Never {
        let message = "it is of a training that may end early, and the trial's may not";
        return Err(TrainError::Artifact(message.to_owned()));
    }
    Ok(Opened {
        step: header.step,
        best: header.best.map(Measurement::from),
        file,
    })
}

/// Reads z and its optimizer's state from a checkpoint of a member with this plan; `None` where it trains outside of a subspace.
///
/// # Errors
/// When they are missing or of another subspace.
pub(crate) fn coordinates(
    file: &mut Unpacked,
    plan: &Plan,
) -> Result<Option<Coordinates>, TrainError> {
    let Some(subspace) = plan.subspace else {
        return Ok(None);
    };
    let dim = subspace.dim as usize;
    let prefixes = optimizer(plan).1.iter();
    let moments = prefixes.map(|prefix| file.tensor(&format!("{prefix}z"), &[dim]));
    Ok(Some(Coordinates {
        moments: moments.collect::<Result<_, _>>()?,
        z: file.tensor("z", &[dim])?,
    }))
}

/// Reads a checkpoint of a member with this plan.
///
/// # Errors
/// When the bytes are not a checkpoint, or one of another network.
pub(crate) fn from_bytes(bytes: &[u8], plan: &Plan) -> Result<State, TrainError> {
    let Opened {
        step,
        best,
        mut file,
    } = read(bytes, plan)?;
    let (_, prefixes) = optimizer(plan);
    let shapes = plan.shapes();
    let fits = |index: usize, shape: (usize, usize)| shapes[index] == shape;
    let mut snapshots = Vec::new();
    for epoch in robustness::kept(plan, plan.epoch(step)) {
        let layers = file.take(&robustness::prefix(epoch), shapes.len(), fits)?;
        snapshots.push(Snapshot {
            epoch,
            network: Arc::new(layers),
        });
    }
    let best = match best {
        Some(measurement) => Some(Best {
            measurement,
            network: Arc::new(file.take(best::PREFIX, shapes.len(), fits)?),
        }),
        None => None,
    };
    if let Some(coordinates) = coordinates(&mut file, plan)? {
        file.finish()?;
        return Ok(State {
            step,
            coordinates: Some(coordinates),
            snapshots,
            best,
            ..State::fresh(plan)
        });
    }
    let mut take = |prefix: &str| file.take(prefix, shapes.len(), fits);
    let layers = take("")?;
    let moments = prefixes
        .iter()
        .map(|prefix| take(prefix))
        .collect::<Result<_, _>>()?;
    file.finish()?;
    Ok(State {
        step,
        layers,
        moments,
        coordinates: None,
        snapshots,
        best,
    })
}
