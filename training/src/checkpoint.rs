//! Checkpoints: everything that going on exactly takes, as safetensors.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use descent_spec::outcome::Measurement;
use descent_spec::trial::{EarlyStop, Optimizer};

use crate::best::{self, Best, Stored};
use crate::course;
use crate::mlp::{Dense, Plan, State};
use crate::notes::{Look, LookBits, Notes};
use crate::pack::TrainError;
use crate::robustness::{self, Snapshot};
use crate::subspace::Coordinates;
use crate::weights::{Named, Unpacked, metadata, named, tensors, write};

/// What a checkpoint says of itself. Fields are in alphabetical order: this is its canonical form.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    best: Option<Stored>,
    instruction_set: String,
    kind: String,
    /// The best look at the validation samples between epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    look: Option<LookBits>,
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
    notes: &Notes,
    instruction_set: &str,
) -> String {
    let header = Header {
        best: best.map(Stored::from),
        instruction_set: instruction_set.to_owned(),
        kind: KIND.to_owned(),
        look: notes.best.map(LookBits::from),
        optimizer: optimizer(plan).0.to_owned(),
        step,
        version: VERSION,
    };
    serde_json::to_string(&header).expect("strings and numbers can be written")
}

/// Prefix of the tensors that hold the state on the way to which later stages are set back.
pub(crate) const REWIND: &str = "rewind.";

/// What of a member's notes its checkpoint must hold: a stage's own masks come from its parent once more.
pub(crate) fn kept<'a>(plan: &Plan, notes: &'a Notes) -> &'a [Named] {
    if plan.keeps_at.is_some() {
        &notes.carried
    } else {
        &[]
    }
}

/// Weights and moments of a state as tensors under a prefix.
pub(crate) fn state_tensors(plan: &Plan, state: &State, under: &str) -> Vec<Named> {
    let mut parts = vec![(under.to_owned(), state.layers.as_slice())];
    for (prefix, layers) in optimizer(plan).1.iter().zip(&state.moments) {
        parts.push((format!("{under}{prefix}"), layers));
    }
    tensors(&parts)
}

pub(crate) fn to_bytes(
    plan: &Plan,
    state: &State,
    notes: &Notes,
    instruction_set: &str,
) -> Vec<u8> {
    let snapshots = state.snapshots.iter();
    let snapshots = snapshots.map(|kept| (robustness::prefix(kept.epoch), kept.network.as_slice()));
    let best = state.best.as_ref();
    let snapshots =
        snapshots.chain(best.map(|best| (best::PREFIX.to_owned(), best.network.as_slice())));
    let mut all = tensors(&snapshots.collect::<Vec<_>>());
    all.extend(kept(plan, notes).iter().cloned());
    match &state.coordinates {
        None => all.extend(state_tensors(plan, state, "")),
        // In a subspace all that is present follows from z.
        Some(at) => {
            let vector = |name: String, values: &[f32]| named(name, &[values.len()], values);
            all.push(vector("z".to_owned(), &at.z));
            let moments = optimizer(plan).1.iter().zip(&at.moments);
            all.extend(moments.map(|(prefix, moment)| vector(format!("{prefix}z"), moment)));
        }
    }
    let best = best.map(|best| &best.measurement);
    write(
        &all,
        &header(plan, state.step, best, notes, instruction_set),
    )
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
    pub(crate) notes: Notes,
    pub(crate) file: Unpacked,
}

/// Opens a checkpoint of a member with this plan.
///
/// # Errors
/// When the bytes are not a checkpoint, or one of another training.
pub(crate) fn read(bytes: &[u8], plan: &Plan) -> Result<Opened, TrainError> {
    let mut file = Unpacked::open(bytes)?;
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
        notes: Notes {
            carried: match plan.keeps_at {
                Some(_) => file.take_all(REWIND),
                None => Vec::new(),
            },
            best: header.look.map(Look::from),
            search: None,
        },
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
pub(crate) fn from_bytes(bytes: &[u8], plan: &Plan) -> Result<(State, Notes), TrainError> {
    let Opened {
        step,
        best,
        notes,
        mut file,
    } = read(bytes, plan)?;
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
        let state = State {
            step,
            coordinates: Some(coordinates),
            snapshots,
            best,
            ..State::fresh(plan)
        };
        return Ok((state, notes));
    }
    let (layers, moments) = take_state(&mut file, plan, "")?;
    file.finish()?;
    let state = State {
        step,
        layers,
        moments,
        coordinates: None,
        snapshots,
        best,
    };
    Ok((state, notes))
}

/// Takes out what [`state_tensors`] put in: layers and moments.
///
/// # Errors
/// When something is missing or of another shape.
pub(crate) fn take_state(
    file: &mut Unpacked,
    plan: &Plan,
    under: &str,
) -> Result<(Vec<Dense>, Vec<Vec<Dense>>), TrainError> {
    let shapes = plan.shapes();
    let mut take =
        |prefix: &str| file.take(prefix, shapes.len(), |index, shape| shapes[index] == shape);
    let layers = take(under)?;
    let prefixes = optimizer(plan).1.iter();
    let moments = prefixes
        .map(|prefix| take(&format!("{under}{prefix}")))
        .collect::<Result<_, _>>()?;
    Ok((layers, moments))
}
