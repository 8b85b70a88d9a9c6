//! A stream, a cuBLAS handle and the compiled kernels of a device: what one pack after the other uses.

use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::cuda_backend::cudarc;
use cudarc::cublas::{self, CudaBlas, result::CublasError};
use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, DriverError};
use cudarc::nvrtc;

use super::super::machine::{Fault, Kernel, SOURCE};

/// What cuBLAS may use beside its operands: NVIDIA's advice for Hopper. Ours, so that a recorded product allocates nothing and repeats its bits.
const WORKSPACE: usize = 32 << 20;

/// What one pack after the other uses.
pub(super) struct Core {
    pub(super) number: usize,
    pub(super) context: Arc<CudaContext>,
    pub(super) stream: Arc<CudaStream>,
    /// Leaked where the device is gone: its destructor insists on success.
    pub(super) blas: ManuallyDrop<CudaBlas>,
    pub(super) kernels: HashMap<Kernel, CudaFunction>,
    _workspace: CudaSlice<u8>,
}

/// Cores without a pack.
static IDLE: Mutex<Vec<Core>> = Mutex::new(Vec::new());

/// Compiled kernels by compute capability.
static COMPILED: Mutex<Vec<((i32, i32), String)>> = Mutex::new(Vec::new());

impl Core {
    /// An idle one of this device, or a new one.
    pub(super) fn take(number: usize) -> Result<Self, Fault> {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().position(|core| core.number == number);
        let found = found.map(|index| idle.swap_remove(index));
        drop(idle);
        found.map_or_else(|| Self::new(number), Ok)
    }

    /// Keeps it for the next pack, if all that it was asked is done well.
    pub(super) fn give_back(self) {
        if self.stream.synchronize().is_ok() {
            let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(self);
        }
    }

    fn new(number: usize) -> Result<Self, Fault> {
        let context = CudaContext::new(number).map_err(|error| fault("opening", error))?;
        // SAFETY: see the module: one stream a pack, shared memory is written before it is shared and freed after all streams are done with it.
        unsafe { context.disable_event_tracking() };
        let stream = context
            .new_stream()
            .map_err(|error| fault("making a stream", error))?;
        let capability = context
            .compute_capability()
            .map_err(|error| fault("telling its compute capability", error))?;
        let module = context
            .load_module(nvrtc::Ptx::from_src(compiled(capability)?))
            .map_err(|error| fault("loading the kernels", error))?;
        let mut kernels = HashMap::new();
        for kernel in Kernel::ALL {
            let function = module
                .load_function(kernel.name())
                .map_err(|error| fault(kernel.name(), error))?;
            kernels.insert(kernel, function);
        }
        let workspace = reserve(&stream, WORKSPACE)?;
        // Last, because it is never dropped: whatever failed after it would leave a handle behind at every try.
        let blas =
            CudaBlas::new(Arc::clone(&stream)).map_err(|error| blas_fault("starting", error))?;
        let blas = ManuallyDrop::new(blas);
        let address = workspace.device_ptr(&stream).0;
        // SAFETY: the memory is this handle's alone, as long as the handle is used.
        let set = unsafe {
            cublas::sys::cublasSetWorkspace_v2(*blas.handle(), address as *mut _, WORKSPACE)
        };
        set.result()
            .map_err(|error| blas_fault("taking its workspace", error))?;
        Ok(Self {
            number,
            context,
            stream,
            blas,
            kernels,
            _workspace: workspace,
        })
    }
}

/// The kernels as PTX for a compute capability, compiled once a process.
fn compiled(capability: (i32, i32)) -> Result<String, Fault> {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, ptx)) = compiled.iter().find(|(held, _)| *held == capability) {
        return Ok(ptx.clone());
    }
    let (major, minor) = capability;
    let options = nvrtc::CompileOptions {
        options: vec![format!("--gpu-architecture=compute_{major}{minor}")],
        name: Some("descent.cu".to_owned()),
        ..nvrtc::CompileOptions::default()
    };
    let ptx = nvrtc::compile_ptx_with_opts(SOURCE, options)
        .map_err(|error| Fault::Device(format!("the kernels do not compile: {error}")))?
        .to_src();
    compiled.push((capability, ptx.clone()));
    Ok(ptx)
}

/// Memory that is not set to anything, and read by no kernel before it is written: see the emulator, which fills it with NaN.
pub(super) fn reserve(stream: &Arc<CudaStream>, bytes: usize) -> Result<CudaSlice<u8>, Fault> {
    // SAFETY: bytes have no invalid values.
    unsafe { stream.alloc::<u8>(bytes) }
        .map_err(|error| fault(&format!("taking {bytes} bytes"), error))
}

pub(super) fn upload(core: &Core, bytes: &[u8]) -> Result<CudaSlice<u8>, Fault> {
    let mut slice = reserve(&core.stream, bytes.len().max(1))?;
    if !bytes.is_empty() {
        core.stream
            .memcpy_htod(bytes, &mut slice)
            .map_err(|error| fault("uploading", error))?;
    }
    Ok(slice)
}

pub(super) fn fault(doing: &str, error: DriverError) -> Fault {
    let what = format!("{doing}: {error}");
    match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => Fault::OutOfMemory(what),
        _ => Fault::Device(what),
    }
}

pub(super) fn blas_fault(doing: &str, error: CublasError) -> Fault {
    let what = format!("cuBLAS, {doing}: {error}");
    match error.0 {
        cublas::sys::cublasStatus_t::CUBLAS_STATUS_ALLOC_FAILED => Fault::OutOfMemory(what),
        _ => Fault::Device(what),
    }
}
