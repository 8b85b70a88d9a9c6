//! Samples on devices, shared by all packs of the process.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::super::machine::{Fault, rows};
use super::core::{Core, fault, upload};
use crate::data::Prepared;

/// Inputs of training, validation and test, then labels of validation and test.
pub(super) type Pieces = [Arc<CudaSlice<u8>>; 5];

/// Samples on devices.
static SHARED: Mutex<Vec<Shared>> = Mutex::new(Vec::new());

/// Samples on a device, while someone holds them.
struct Shared {
    number: usize,
    data: Weak<Prepared>,
    memory: [Weak<CudaSlice<u8>>; 5],
}

/// The samples as five pieces of memory that packs share.
pub(super) fn shared(core: &Core, data: &Arc<Prepared>) -> Result<Pieces, Fault> {
    // Held while uploading, so that packs that start together upload once.
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.retain(|held| held.data.strong_count() > 0);
    for held in shared.iter() {
        if held.number == core.number && held.data.as_ptr() == Arc::as_ptr(data) {
            let all: Vec<_> = held.memory.iter().filter_map(Weak::upgrade).collect();
            if let Ok(all) = Pieces::try_from(all) {
                return Ok(all);
            }
        }
    }
    shared.retain(|held| held.memory.iter().all(|memory| memory.strong_count() > 0));
    let inputs = |x: &[f32]| upload(core, pulp::bytemuck::cast_slice(&rows(x, data.inputs)));
    let memory = [
        Arc::new(inputs(&data.train_x)?),
        Arc::new(inputs(&data.validation_x)?),
        Arc::new(inputs(&data.test_x)?),
        Arc::new(upload(core, &data.validation_y)?),
        Arc::new(upload(core, &data.test_y)?),
    ];
    // Other packs' streams do not wait for this one.
    core.stream
        .synchronize()
        .map_err(|error| fault("uploading samples", error))?;
    shared.push(Shared {
        number: core.number,
        data: Arc::downgrade(data),
        memory: memory.each_ref().map(Arc::downgrade),
    });
    Ok(memory)
}
