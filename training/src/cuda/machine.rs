//! What packs ask of a device: memory, kernels, one product, and to repeat what was recorded.
//!
//! Two things answer: [a CUDA device](super::launch), and in tests [an emulator](super::emulation) that runs the same kernels on the processor.

use std::sync::Arc;

use crate::data::Prepared;
use crate::pack::TrainError;

/// Memory on a device, by a name that its machine gave. Not freed by itself: see [`Machine::free`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffer(pub(crate) u32);

/// The kernels, by what they are called in `kernels/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    Gather,
    Middle,
    Forward,
    Weigh,
    Backward,
    Lose,
    Momentum,
    Adam,
    Tick,
    Measure,
    Total,
    NoteLive,
}

impl Kernel {
    /// Every one.
    #[cfg(feature = "cuda")]
    pub(crate) const ALL: [Self; 12] = [
        Self::Gather,
        Self::Middle,
        Self::Forward,
        Self::Weigh,
        Self::Backward,
        Self::Lose,
        Self::Momentum,
        Self::Adam,
        Self::Tick,
        Self::Measure,
        Self::Total,
        Self::NoteLive,
    ];

    /// The name in the source.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gather => "gather",
            Self::Middle => "middle",
            Self::Forward => "forward",
            Self::Weigh => "weigh",
            Self::Backward => "backward",
            Self::Lose => "lose",
            Self::Momentum => "momentum",
            Self::Adam => "adam",
            Self::Tick => "tick",
            Self::Measure => "measure",
            Self::Total => "total",
            Self::NoteLive => "note_live",
        }
    }
}

/// Threads of every block, as `common.cuh` has it.
pub(crate) const THREADS: usize = 256;

/// A block's square of a later layer's product, and the samples that it looks at for units that live, as `common.cuh` has it.
pub(crate) const SIDE: usize = 64;

/// The source of all kernels, as one text for the compiler.
pub(crate) const SOURCE: &str = concat!(
    include_str!("kernels/common.cuh"),
    include_str!("kernels/gather.cu"),
    include_str!("kernels/middle.cu"),
    include_str!("kernels/dense.cu"),
    include_str!("kernels/update.cu"),
    include_str!("kernels/measure.cu"),
);

/// What a kernel is called with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    /// The start of a buffer.
    Start(Buffer),
    /// A number.
    Number(u32),
}

/// A row-major matrix in single precision, from a row of a buffer on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix {
    pub(crate) buffer: Buffer,
    /// Numbers from row to row.
    pub(crate) pitch: usize,
    /// The first row.
    pub(crate) first: usize,
}

/// `out [rows, columns] = left · right`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    /// `[rows, depth]`, or `[depth, rows]` when transposed.
    pub(crate) left: Matrix,
    pub(crate) transposed: bool,
    /// `[depth, columns]`.
    pub(crate) right: Matrix,
    pub(crate) out: Matrix,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) depth: usize,
}

/// Samples on the device: rows of inputs, a 1 for the bias, and zeros up to [`row`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resident {
    pub(crate) train: Buffer,
    pub(crate) validation: Buffer,
    pub(crate) test: Buffer,
    pub(crate) validation_labels: Buffer,
    pub(crate) test_labels: Buffer,
}

/// Numbers in a row of samples: inputs and bias, to a multiple of 4, as products want it.
pub(crate) const fn row(inputs: usize) -> usize {
    (inputs + 1).next_multiple_of(4)
}

/// A split's inputs in rows as [`Resident`] has them.
pub(crate) fn rows(x: &[f32], inputs: usize) -> Vec<f32> {
    let row = row(inputs);
    let mut padded = vec![0.0; x.len() / inputs * row];
    for (to, from) in padded.chunks_exact_mut(row).zip(x.chunks_exact(inputs)) {
        to[..inputs].copy_from_slice(from);
        to[inputs] = 1.0;
    }
    padded
}

/// Why a device did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Memory ran out. Nothing else is lost.
    OutOfMemory(String),
    /// Anything else; what was on the device is not to be trusted.
    Device(String),
}

impl From<Fault> for TrainError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::OutOfMemory(what) => Self::OutOfMemory(what),
            Fault::Device(what) => Self::Device(what),
        }
    }
}

/// A device. What it is asked to do, it does in order, and later: only [`read`](Self::read) waits.
pub(crate) trait Machine: Send {
    /// Work recorded once.
    type Recording: Send;

    /// Memory of at least one byte, not set to anything.
    fn allocate(&mut self, bytes: usize) -> Result<Buffer, Fault>;
    /// Gives memory back.
    fn free(&mut self, buffer: Buffer);
    /// Copies bytes to the start of a buffer.
    fn write(&mut self, to: Buffer, bytes: &[u8]) -> Result<(), Fault>;
    /// Waits for everything asked before, and copies bytes from the start of a buffer.
    fn read(&mut self, from: Buffer, bytes: &mut [u8]) -> Result<(), Fault>;
    /// Runs a kernel on `blocks` across and down.
    fn launch(&mut self, kernel: Kernel, blocks: (usize, usize), args: &[Arg])
    -> Result<(), Fault>;
    /// Multiplies.
    fn multiply(&mut self, product: &Product) -> Result<(), Fault>;
    /// The samples on the device, put there at the first call and shared with other packs. Held until [`release`](Self::release).
    fn samples(&mut self, data: &Arc<Prepared>) -> Result<Resident, Fault>;
    /// Lets go of [`samples`](Self::samples).
    fn release(&mut self, samples: Resident);
    /// Launches and products until [`recorded`](Self::recorded) are noted, not done.
    fn record(&mut self) -> Result<(), Fault>;
    /// Ends [`record`](Self::record).
    fn recorded(&mut self) -> Result<Self::Recording, Fault>;
    /// Does what was recorded, with the arguments of then and what memory holds now.
    fn replay(&mut self, recording: &Self::Recording) -> Result<(), Fault>;
}
