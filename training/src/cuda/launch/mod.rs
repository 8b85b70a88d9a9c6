//! CUDA itself: memory, streams, kernels, cuBLAS and graphs, through candle's bindings. The only module that may be unsafe.
//!
//! One stream, one cuBLAS handle and one set of kernels serve one pack at a time, and the next one after it. Events are not tracked: everything of
//! a pack is on its one stream, and what packs share is written before anyone else sees it.
#![allow(
    unsafe_code,
    reason = "CUDA takes device addresses and kernels' arguments on trust"
)]

mod core;
mod look;
mod shared;

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc;
use cudarc::cublas;
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{CudaGraph, CudaSlice, DevicePtr, LaunchConfig, PushKernelArg};

use self::core::{Core, blas_fault, fault, reserve};
pub(crate) use self::look::{answers, capability, look, memory};
use self::shared::shared;
use super::machine::{Arg, Buffer, Fault, Kernel, Machine, Product, Resident, THREADS};
use crate::data::Prepared;

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
        let machine = Self {
            core: Some(Core::take(number)?),
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
        let shared = shared(self.core(), data);
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
        {
            core.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_runs_out_leaves_the_device_usable() {
        if let Err(reason) = answers(0) {
            eprintln!("skipped: {reason}");
            return;
        }
        let mut machine = Cuda::open(0, false).unwrap();
        let (_, total) = memory(0).unwrap();
        let all = usize::try_from(total).unwrap();
        assert!(matches!(machine.allocate(all), Err(Fault::OutOfMemory(_))));
        assert!(!machine.broken);
        let buffer = machine.allocate(4).unwrap();
        machine.write(buffer, &[1, 2, 3, 4]).unwrap();
        let mut bytes = [0; 4];
        machine.read(buffer, &mut bytes).unwrap();
        assert_eq!(bytes, [1, 2, 3, 4]);
    }
}
