//! What a machine says of CUDA and of its devices.

use candle_core::cuda_backend::cudarc;
use cudarc::driver::sys::cuDriverGetVersion;
use cudarc::driver::{CudaContext, result};
use cudarc::nvrtc;

/// What this machine says of CUDA.
pub(crate) struct Seen {
    /// The newest CUDA that the driver can run, as major and minor.
    pub(crate) driver: (i32, i32),
    /// The CUDA that this program compiles its kernels with.
    pub(crate) needed: (i32, i32),
    /// Devices, or what the driver says instead.
    pub(crate) devices: Result<usize, String>,
}

/// Asks driver and compiler.
pub(crate) fn look() -> Seen {
    let mut driver = 0;
    // SAFETY: writes one integer, and may be called before anything else.
    let _ = unsafe { cuDriverGetVersion(&raw mut driver) };
    let (mut major, mut minor) = (0, 0);
    // SAFETY: writes two integers.
    let _ = unsafe { nvrtc::sys::nvrtcVersion(&raw mut major, &raw mut minor) };
    let count = result::init().and_then(|()| result::device::get_count());
    Seen {
        driver: (driver / 1000, driver % 1000 / 10),
        needed: (major, minor),
        devices: count
            .map(|count| usize::try_from(count).unwrap_or(0))
            .map_err(|error| error.to_string()),
    }
}

/// The compute capability of a device, such as 9.0. Makes no context, which would take memory there.
pub(crate) fn capability(number: usize) -> Option<(i32, i32)> {
    use cudarc::driver::sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    result::init().ok()?;
    let device = result::device::get(i32::try_from(number).ok()?).ok()?;
    // SAFETY: the device came from the driver.
    let ask = |attribute| unsafe { result::device::get_attribute(device, attribute) };
    Some((ask(MAJOR).ok()?, ask(MINOR).ok()?))
}

/// Free and total memory of a device in bytes.
pub(crate) fn memory(number: usize) -> Option<(u64, u64)> {
    let (free, total) = CudaContext::new(number).ok()?.mem_get_info().ok()?;
    Some((free as u64, total as u64))
}

/// Whether a device takes a context, or what the driver says instead.
pub(crate) fn answers(number: usize) -> Result<(), String> {
    CudaContext::new(number)
        .map(drop)
        .map_err(|error| error.to_string())
}
