//! CUDA itself: memory, streams, kernels, cuBLAS and graphs, through candle's bindings. The only module that may be unsafe.
//!
//! One stream, one cuBLAS handle and one set of kernels serve one pack at a time, and the next one after it. Events are not tracked: everything of
//! a pack is on its one stream, and what packs share is written before anyone else sees it.
#![allow(
    unsafe_code,
    reason = "CUDA takes device addresses and kernels' arguments on trust"
)]

use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use candle_core::cuda_backend::cudarc;
use cudarc::cublas::{self, CudaBlas, result::CublasError};
use cudarc::driver::sys::{
    CUgraphInstantiate_flags, CUresult, CUstreamCaptureMode, cuDriverGetVersion,
};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaGraph, CudaSlice, CudaStream, DevicePtr, DriverError,
    LaunchConfig, PushKernelArg, result,
};
use cudarc::nvrtc;

use super::machine::{
    Arg, Buffer, Fault, Kernel, Machine, Product, Resident, SOURCE, THREADS, rows,
};
use crate::data::Prepared;

/// What cuBLAS may use beside its operands: NVIDIA's advice for Hopper. Ours, so that a recorded product allocates nothing and repeats its bits.
const WORKSPACE: usize = 32 << 20;

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

/// The compute capability of a device, such as 9.0.
pub(crate) fn capability(number: usize) -> Option<(i32, i32)> {
    let context = CudaContext::new(number).ok()?;
    context.compute_capability().ok()
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

/// What one pack after the other uses.
struct Core {
    number: usize,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    /// Leaked where the device is gone: its destructor insists on success.
    blas: ManuallyDrop<CudaBlas>,
    kernels: HashMap<Kernel, CudaFunction>,
    _workspace: CudaSlice<u8>,
}

/// Cores without a pack.
static IDLE: Mutex<Vec<Core>> = Mutex::new(Vec::new());

/// Compiled kernels by compute capability.
static COMPILED: Mutex<Vec<((i32, i32), String)>> = Mutex::new(Vec::new());

/// Samples on devices.
static SHARED: Mutex<Vec<Shared>> = Mutex::new(Vec::new());

/// Samples on a device: inputs of training, validation and test, then labels of validation and test.
struct Shared {
    number: usize,
    data: Weak<Prepared>,
    memory: [Weak<CudaSlice<u8>>; 5],
}

impl Core {
    fn new(number: usize) -> Result<Self, Fault> {
        let context = CudaContext::new(number).map_err(|error| fault("opening", error))?;
        // SAFETY: see the module: one stream a pack, shared memory is written before it is shared and freed after all streams are done with it.
        unsafe { context.disable_event_tracking() };
        let stream = context
            .new_stream()
            .map_err(|error| fault("making a stream", error))?;
        let blas =
            CudaBlas::new(Arc::clone(&stream)).map_err(|error| blas_fault("starting", error))?;
        let blas = ManuallyDrop::new(blas);
        let workspace = reserve(&stream, WORKSPACE)?;
        let address = workspace.device_ptr(&stream).0;
        // SAFETY: the memory is this handle's alone, as long as the handle is used.
        let set = unsafe {
            cublas::sys::cublasSetWorkspace_v2(*blas.handle(), address as *mut _, WORKSPACE)
        };
        set.result()
            .map_err(|error| blas_fault("taking its workspace", error))?;
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

enum Memory {
    Own(CudaSlice<u8>),
    Shared(Arc<CudaSlice<u8>>),
}

/// A device that serves one pack.
pub(crate) struct Cuda {
    /// Taken out only when this is dropped.
    core: Option<Core>,
    memory: HashMap<u32, Memory>,
    next: u32,
    /// Something failed, and nothing on the device is to be trusted any more.
    broken: bool,
}

/// A recorded step.
pub(crate) struct Recording(CudaGraph);

// SAFETY: a graph must not be used from two threads at once. It is only ever used with the machine that made it, which is borrowed mutably.
unsafe impl Send for Recording {}

impl Cuda {
    /// A device by its number. With `tf32`, products round their factors to 10 bits of mantissa.
    ///
    /// # Errors
    /// When the device cannot be used.
    pub(crate) fn open(number: usize, tf32: bool) -> Result<Self, Fault> {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().position(|core| core.number == number);
        let found = found.map(|index| idle.swap_remove(index));
        drop(idle);
        let core = match found {
            Some(core) => core,
            None => Core::new(number)?,
        };
        let machine = Self {
            core: Some(core),
            memory: HashMap::new(),
            next: 0,
            broken: false,
        };
        let mode = if tf32 {
            cublas::sys::cublasMath_t::CUBLAS_TF32_TENSOR_OP_MATH
        } else {
            cublas::sys::cublasMath_t::CUBLAS_DEFAULT_MATH
        };
        // SAFETY: the handle is alive, and this machine's alone.
        let set = unsafe { cublas::sys::cublasSetMathMode(*machine.core().blas.handle(), mode) };
        set.result()
            .map_err(|error| blas_fault("setting the precision", error))?;
        Ok(machine)
    }

    fn core(&self) -> &Core {
        self.core.as_ref().expect("taken out only when dropped")
    }

    fn address(&self, buffer: Buffer) -> u64 {
        let core = self.core();
        let memory = self.memory.get(&buffer.0).expect("buffers are live");
        match memory {
            Memory::Own(slice) => slice.device_ptr(&core.stream).0,
            Memory::Shared(slice) => slice.device_ptr(&core.stream).0,
        }
    }

    /// Notes whether the device still is what it was.
    fn noted<T>(&mut self, done: Result<T, Fault>) -> Result<T, Fault> {
        self.broken |= matches!(done, Err(Fault::Device(_)));
        done
    }

    fn keep(&mut self, memory: Memory) -> Buffer {
        let buffer = Buffer(self.next);
        self.next += 1;
        self.memory.insert(buffer.0, memory);
        buffer
    }

    /// The samples as five pieces of memory that packs share.
    fn shared(&self, data: &Arc<Prepared>) -> Result<[Arc<CudaSlice<u8>>; 5], Fault> {
        let core = self.core();
        // Held while uploading, so that packs that start together upload once.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|held| held.data.strong_count() > 0);
        for held in shared.iter() {
            if held.number == core.number && held.data.as_ptr() == Arc::as_ptr(data) {
                let all: Vec<_> = held.memory.iter().filter_map(Weak::upgrade).collect();
                if let Ok(all) = <[Arc<CudaSlice<u8>>; 5]>::try_from(all) {
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
}

/// Memory that is not set to anything, and read by no kernel before it is written: see the emulator, which fills it with NaN.
fn reserve(stream: &Arc<CudaStream>, bytes: usize) -> Result<CudaSlice<u8>, Fault> {
    // SAFETY: bytes have no invalid values.
    unsafe { stream.alloc::<u8>(bytes) }
        .map_err(|error| fault(&format!("taking {bytes} bytes"), error))
}

fn upload(core: &Core, bytes: &[u8]) -> Result<CudaSlice<u8>, Fault> {
    let mut slice = reserve(&core.stream, bytes.len().max(1))?;
    if !bytes.is_empty() {
        core.stream
            .memcpy_htod(bytes, &mut slice)
            .map_err(|error| fault("uploading", error))?;
    }
    Ok(slice)
}

fn fault(doing: &str, error: DriverError) -> Fault {
    let what = format!("{doing}: {error}");
    match error.0 {
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => Fault::OutOfMemory(what),
        _ => Fault::Device(what),
    }
}

fn blas_fault(doing: &str, error: CublasError) -> Fault {
    let what = format!("cuBLAS, {doing}: {error}");
    match error.0 {
        cublas::sys::cublasStatus_t::CUBLAS_STATUS_ALLOC_FAILED => Fault::OutOfMemory(what),
        _ => Fault::Device(what),
    }
}

/// A size as cuBLAS takes it.
fn int(size: usize) -> i32 {
    i32::try_from(size).expect("sizes on the device were checked to fit")
}

impl Machine for Cuda {
    type Recording = Recording;

    fn allocate(&mut self, bytes: usize) -> Result<Buffer, Fault> {
        let slice = reserve(&self.core().stream, bytes);
        let slice = self.noted(slice)?;
        Ok(self.keep(Memory::Own(slice)))
    }

    fn free(&mut self, buffer: Buffer) {
        // In the stream's order: after what was asked before.
        self.memory.remove(&buffer.0);
    }

    fn write(&mut self, to: Buffer, bytes: &[u8]) -> Result<(), Fault> {
        if bytes.is_empty() {
            return Ok(());
        }
        let stream = Arc::clone(&self.core().stream);
        let Some(Memory::Own(slice)) = self.memory.get_mut(&to.0) else {
            unreachable!("samples are only written when they are put there");
        };
        let done = stream
            .memcpy_htod(bytes, slice)
            .map_err(|error| fault("writing", error));
        self.noted(done)
    }

    fn read(&mut self, from: Buffer, bytes: &mut [u8]) -> Result<(), Fault> {
        let stream = &self.core().stream;
        let Some(Memory::Own(slice)) = self.memory.get(&from.0) else {
            unreachable!("samples are not read back");
        };
        let done = stream
            .memcpy_dtoh(&slice.slice(..bytes.len()), bytes)
            .and_then(|()| stream.synchronize())
            .map_err(|error| fault("waiting for the device", error));
        self.noted(done)
    }

    fn launch(
        &mut self,
        kernel: Kernel,
        blocks: (usize, usize),
        args: &[Arg],
    ) -> Result<(), Fault> {
        enum Value {
            Address(u64),
            Number(u32),
        }
        let values: Vec<Value> = args
            .iter()
            .map(|arg| match *arg {
                Arg::Start(buffer) => Value::Address(self.address(buffer)),
                Arg::Number(number) => Value::Number(number),
            })
            .collect();
        let core = self.core();
        let mut builder = core.stream.launch_builder(&core.kernels[&kernel]);
        for value in &values {
            match value {
                Value::Address(address) => builder.arg(address),
                Value::Number(number) => builder.arg(number),
            };
        }
        let config = LaunchConfig {
            grid_dim: (int(blocks.0) as u32, int(blocks.1) as u32, 1),
            block_dim: (THREADS as u32, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: arguments match the kernel's signature and stay within their buffers, as the emulator checks for the same calls.
        let done = unsafe { builder.launch(config) };
        let done = done
            .map(drop)
            .map_err(|error| fault(&format!("launching {}", kernel.name()), error));
        self.noted(done)
    }

    fn multiply(&mut self, product: &Product) -> Result<(), Fault> {
        use cublas::sys::cublasOperation_t::{CUBLAS_OP_N, CUBLAS_OP_T};
        let Product {
            left,
            transposed,
            right,
            out,
            rows,
            columns,
            depth,
        } = *product;
        let [left_at, right_at, out_at] = [left, right, out]
            .map(|matrix| self.address(matrix.buffer) + 4 * (matrix.first * matrix.pitch) as u64);
        let core = self.core();
        let done = core
            .context
            .bind_to_thread()
            .map_err(|error| fault("binding", error));
        self.noted(done)?;
        let (one, zero) = (1.0_f32, 0.0_f32);
        // cuBLAS counts columns first, so that it sees every matrix transposed: outᵀ = rightᵀ · leftᵀ.
        // SAFETY: addresses and pitches are those of live buffers with room for these rows, as the emulator checks for the same calls.
        let done = unsafe {
            cublas::result::sgemm(
                *self.core().blas.handle(),
                CUBLAS_OP_N,
                if transposed { CUBLAS_OP_T } else { CUBLAS_OP_N },
                int(columns),
                int(rows),
                int(depth),
                &raw const one,
                right_at as *const f32,
                int(right.pitch),
                left_at as *const f32,
                int(left.pitch),
                &raw const zero,
                out_at as *mut f32,
                int(out.pitch),
            )
        };
        let done = done.map_err(|error| blas_fault("multiplying", error));
        self.noted(done)
    }

    fn samples(&mut self, data: &Arc<Prepared>) -> Result<Resident, Fault> {
        let shared = self.shared(data);
        let shared = self.noted(shared)?;
        let [train, validation, test, validation_labels, test_labels] =
            shared.map(|memory| self.keep(Memory::Shared(memory)));
        Ok(Resident {
            train,
            validation,
            test,
            validation_labels,
            test_labels,
        })
    }

    fn release(&mut self, samples: Resident) {
        // Whoever lets go last frees it, on another stream perhaps: nothing of this one may still read.
        let done = self
            .core()
            .stream
            .synchronize()
            .map_err(|error| fault("waiting for the device", error));
        let _ = self.noted(done);
        for buffer in [
            samples.train,
            samples.validation,
            samples.test,
            samples.validation_labels,
            samples.test_labels,
        ] {
            self.memory.remove(&buffer.0);
        }
    }

    fn record(&mut self) -> Result<(), Fault> {
        // Of this thread alone: other packs go on as they like.
        let mode = CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let done = self
            .core()
            .stream
            .begin_capture(mode)
            .map_err(|error| fault("recording a step", error));
        self.noted(done)
    }

    fn recorded(&mut self) -> Result<Recording, Fault> {
        let ended = self
            .core()
            .stream
            .end_capture(CUgraphInstantiate_flags(0))
            .map_err(|error| fault("recording a step", error));
        let graph = ended.and_then(|graph| {
            graph.ok_or_else(|| Fault::Device("recording a step: nothing came of it".to_owned()))
        });
        self.noted(graph).map(Recording)
    }

    fn replay(&mut self, recording: &Recording) -> Result<(), Fault> {
        let done = recording
            .0
            .launch()
            .map_err(|error| fault("replaying a step", error));
        self.noted(done)
    }
}

impl Drop for Cuda {
    fn drop(&mut self) {
        self.memory.clear();
        if let Some(core) = self.core.take()
            && !self.broken
            && core.stream.synchronize().is_ok()
        {
            let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(core);
        }
    }
}
