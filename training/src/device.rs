//! Where numbers are computed, and with which instructions.

use std::fmt;
use std::str::FromStr;

use crate::kernel::Isa;

/// A device that trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// The processor: the stacked fast path, one thread a pack.
    Cpu,
    /// A CUDA device, by its number.
    Cuda(usize),
}

/// A text that names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no device: use `cpu`, `auto` or `cuda:0`")]
pub struct InvalidDevice(pub String);

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableDevice {
    /// The binary was built without it.
    #[error("{device} needs a binary built with `--features cuda`; this one trains on `cpu`")]
    NotBuilt {
        /// The device.
        device: Device,
    },
    /// The driver refuses it.
    #[error("{device} does not answer: {reason}")]
    Refused {
        /// The device.
        device: Device,
        /// What the driver reported.
        reason: String,
    },
}

impl Device {
    /// Whether this build and this machine can use it.
    ///
    /// # Errors
    /// Says what is missing and the way out.
    pub fn check(self) -> Result<(), UnusableDevice> {
        let Self::Cuda(number) = self else {
            return Ok(());
        };
        if !cfg!(feature = "cuda") {
            return Err(UnusableDevice::NotBuilt { device: self });
        }
        candle_core::Device::new_cuda(number)
            .map(drop)
            .map_err(|error| UnusableDevice::Refused {
                device: self,
                reason: error.to_string(),
            })
    }

    /// The instruction set of its arithmetic, as recorded with every result. Exact resume holds within one.
    #[must_use]
    pub fn instruction_set(self) -> String {
        match self {
            Self::Cpu => cpu_instruction_set().to_owned(),
            Self::Cuda(_) => "cuda".to_owned(),
        }
    }
}

/// The widest instruction set of this processor that the fast path has kernels for.
#[must_use]
pub fn cpu_instruction_set() -> &'static str {
    Isa::detect().name()
}

/// Whether a first CUDA device is there and this build can use it.
fn has_cuda() -> bool {
    cfg!(feature = "cuda") && candle_core::Device::new_cuda(0).is_ok()
}

impl FromStr for Device {
    type Err = InvalidDevice;

    fn from_str(text: &str) -> Result<Self, InvalidDevice> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "auto" => Ok(if has_cuda() { Self::Cuda(0) } else { Self::Cpu }),
            Some(("cuda", number)) if !number.starts_with('+') => number
                .parse()
                .map(Self::Cuda)
                .map_err(|_| InvalidDevice(text.to_owned())),
            _ => Err(InvalidDevice(text.to_owned())),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.pad("cpu"),
            Self::Cuda(number) => f.pad(&format!("cuda:{number}")),
        }
    }
}
