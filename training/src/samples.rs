//! The samples of trials, prepared once and shared by all that want the same.

use std::sync::{Arc, Mutex, PoisonError};

use descent_spec::id::ContentHash;
use descent_spec::trial::{DataSpec, Inputs};

use crate::data::{DataStore, Noise, Prepared, prepare};
use crate::pack::TrainError;

/// What decides the images. Label noise does not: labels are drawn apart.
#[derive(Clone, Debug, PartialEq)]
struct Choice {
    hash: ContentHash,
    samples: Option<u32>,
    validation: u32,
    test_samples: Option<u32>,
    centre: bool,
    inputs: Inputs,
    seed: u64,
}

/// The images prepared last, held for the packs that come next: mostly they want the same. One, because each may be large.
static LAST: Mutex<Option<(Choice, Arc<Prepared>)>> = Mutex::new(None);

/// The samples that a trial asks for, and its training labels.
///
/// # Errors
/// When they are not here, or fewer than asked for.
pub(crate) fn samples(
    store: &DataStore,
    hash: ContentHash,
    spec: &DataSpec,
) -> Result<(Arc<Prepared>, Arc<[u8]>), TrainError> {
    let choice = Choice {
        hash,
        samples: spec.samples,
        validation: spec.validation,
        test_samples: spec.test_samples,
        centre: spec.centre,
        inputs: spec.inputs,
        seed: spec.seed,
    };
    // Held while preparing, so that packs that start together prepare once.
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let prepared = match &*last {
        Some((held, prepared)) if *held == choice => Arc::clone(prepared),
        _ => {
            *last = None;
            let failed = |error: &dyn std::fmt::Display| TrainError::Data(error.to_string());
            let dataset = store.load(hash).map_err(|error| failed(&error))?;
            let prepared = prepare(&dataset, spec).map_err(|error| failed(&error))?;
            let prepared = Arc::new(prepared);
            *last = Some((choice, Arc::clone(&prepared)));
            prepared
        }
    };
    let labels = prepared.labels(&Noise::of(spec)).into();
    Ok((prepared, labels))
}
