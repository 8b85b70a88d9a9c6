//! Packs of dense networks on a CUDA device: the same members, plans and states as on the processor, stacked into wide products.
//!
//! Samples stay on the device, an epoch's order goes there at its start, and a step is recorded once and replayed: gather, one product for all
//! first layers, the members' own later layers, one product back, the optimizer. The host hears of it when members are measured, and when a slice
//! of steps ends. Only [`launch`] talks to CUDA; everything else also runs in tests on an emulator, with the same kernels.

mod buffers;
mod coefficients;
#[cfg(test)]
mod emulation;
mod group;
#[cfg(feature = "cuda")]
pub(crate) mod launch;
mod layout;
mod machine;
mod measure;
mod stack;
mod step;

#[cfg(feature = "cuda")]
pub(crate) use stack::Stack;
