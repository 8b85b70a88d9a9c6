//! Where numbers are computed, and with which instructions.

use std::fmt;
use std::str::FromStr;

use descent_spec::trial::TrialSpec;

#[cfg(feature = "cuda")]
use crate::cuda::launch;
use crate::kernel::Isa;

/// A device that trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// The processor: the stacked fast path, one thread a pack.
    Cpu,
    /// A CUDA device, by its number.
    Cuda(usize),
    /// The same, with products whose factors are rounded to TF32: faster, and other numbers.
    CudaTf32(usize),
}

/// A text that names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no device: use `cpu`, `auto`, `cuda:0`, `cuda:0+tf32`, `cuda:all`, or several separated by commas"
)]
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
    /// The driver is older than the CUDA that this binary is built with.
    #[error(
        "{device} needs a driver for CUDA {needed}, and this machine's goes up to CUDA {driver}: update the driver, or build descent with an older CUDA"
    )]
    OldDriver {
        /// The device.
        device: Device,
        /// The newest CUDA that the driver runs.
        driver: String,
        /// The CUDA that this binary is built with.
        needed: String,
    },
    /// There are fewer devices than its number asks for.
    #[error("{device} is not there: {}", there(*.devices))]
    Missing {
        /// The device.
        device: Device,
        /// CUDA devices of this machine.
        devices: usize,
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

/// What there is instead.
fn there(devices: usize) -> String {
    match devices {
        0 => "this machine has no CUDA device".to_owned(),
        1 => "this machine has one CUDA device, cuda:0".to_owned(),
        n => format!(
            "this machine has {n} CUDA devices, cuda:0 to cuda:{}",
            n - 1
        ),
    }
}

/// What a machine says of CUDA: the newest version that its driver runs, the version that this binary is built with, and how many devices there
/// are or what the driver says instead.
#[cfg_attr(
    not(feature = "cuda"),
    allow(dead_code, reason = "without CUDA only tests judge machines")
)]
fn judge(
    device: Device,
    number: usize,
    driver: (i32, i32),
    needed: (i32, i32),
    devices: Result<usize, String>,
) -> Result<(), UnusableDevice> {
    let version = |(major, minor)| format!("{major}.{minor}");
    // A driver that does not tell its version says below what is wrong.
    if driver != (0, 0) && driver < needed {
        return Err(UnusableDevice::OldDriver {
            device,
            driver: version(driver),
            needed: version(needed),
        });
    }
    match devices {
        Ok(devices) if number < devices => Ok(()),
        Ok(devices) => Err(UnusableDevice::Missing { device, devices }),
        Err(reason) => Err(UnusableDevice::Refused { device, reason }),
    }
}

impl Device {
    /// The devices that a text names, separated by commas; `cuda:all` stands for every CUDA device of this machine (`cuda:all+tf32` likewise).
    ///
    /// # Errors
    /// When a part names none, or one twice.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, InvalidDevice> {
        let mut devices = Vec::new();
        for part in text.split(',').map(str::trim) {
            let named = match part {
                "cuda:all" | "cuda:all+tf32" => {
                    // None at all: the first one's check says what is wrong.
                    let make = if part.ends_with("+tf32") {
                        Self::CudaTf32
                    } else {
                        Self::Cuda
                    };
                    (0..count_cuda().max(1)).map(make).collect()
                }
                _ => vec![part.parse()?],
            };
            for device in named {
                let is_same = |held: &Self| match (held.cuda(), device.cuda()) {
                    (Some((held, _)), Some((number, _))) => held == number,
                    (held, number) => held == number,
                };
                if devices.iter().any(is_same) {
                    return Err(InvalidDevice(text.to_owned()));
                }
                devices.push(device);
            }
        }
        Ok(devices)
    }

    /// Its number among CUDA devices, and whether products are rounded to TF32; `None`: it is not one.
    #[must_use]
    pub const fn cuda(self) -> Option<(usize, bool)> {
        match self {
            Self::Cpu => None,
            Self::Cuda(number) => Some((number, false)),
            Self::CudaTf32(number) => Some((number, true)),
        }
    }

    /// Whether this build and this machine can use it.
    ///
    /// # Errors
    /// Says what is missing and the way out.
    pub fn check(self) -> Result<(), UnusableDevice> {
        let Some((number, _)) = self.cuda() else {
            return Ok(());
        };
        #[cfg(not(feature = "cuda"))]
        {
            let _ = number;
            Err(UnusableDevice::NotBuilt { device: self })
        }
        #[cfg(feature = "cuda")]
        {
            let seen = launch::look();
            judge(self, number, seen.driver, seen.needed, seen.devices)?;
            launch::answers(number).map_err(|reason| UnusableDevice::Refused {
                device: self,
                reason,
            })
        }
    }

    /// The instruction set of its arithmetic, as recorded with every result: `avx512`, `cuda-sm90`, `cuda-sm90-tf32`, … Exact resume holds within one.
    #[must_use]
    pub fn instruction_set(self) -> String {
        let Some((number, tf32)) = self.cuda() else {
            return cpu_instruction_set().to_owned();
        };
        // NVIDIA's own switch for all of a process goes before what was asked for.
        let tf32 = match std::env::var("NVIDIA_TF32_OVERRIDE").as_deref() {
            Ok("0") => false,
            Ok("1") => true,
            _ => tf32,
        };
        let suffix = if tf32 { "-tf32" } else { "" };
        match capability(number) {
            Some((major, minor)) => format!("cuda-sm{major}{minor}{suffix}"),
            None => format!("cuda{suffix}"),
        }
    }

    /// What computes a trial for a worker on this device: the device itself, or the processor where nothing else can.
    #[must_use]
    pub fn computing(self, spec: &TrialSpec) -> Self {
        match spec.only_on_processor() {
            Some(_) => Self::Cpu,
            None => self,
        }
    }

    /// Free and total memory of a CUDA device in bytes; `None` for the processor, and where the device does not answer.
    #[must_use]
    pub fn memory_bytes(self) -> Option<(u64, u64)> {
        #[cfg(feature = "cuda")]
        if let Some((number, _)) = self.cuda() {
            return launch::memory(number);
        }
        None
    }
}

/// The widest instruction set of this processor that the fast path has kernels for.
#[must_use]
pub fn cpu_instruction_set() -> &'static str {
    Isa::detect().name()
}

/// How many CUDA devices this build and this machine can use.
fn count_cuda() -> usize {
    #[cfg(feature = "cuda")]
    return launch::look().devices.unwrap_or(0);
    #[cfg(not(feature = "cuda"))]
    0
}

fn capability(number: usize) -> Option<(i32, i32)> {
    #[cfg(feature = "cuda")]
    return launch::capability(number);
    #[cfg(not(feature = "cuda"))]
    {
        let _ = number;
        None
    }
}

impl FromStr for Device {
    type Err = InvalidDevice;

    fn from_str(text: &str) -> Result<Self, InvalidDevice> {
        let invalid = || InvalidDevice(text.to_owned());
        match text {
            "cpu" => return Ok(Self::Cpu),
            "auto" if Self::Cuda(0).check().is_ok() => return Ok(Self::Cuda(0)),
            "auto" => return Ok(Self::Cpu),
            _ => {}
        }
        let number = text.strip_prefix("cuda:").ok_or_else(invalid)?;
        let (number, tf32) = match number.strip_suffix("+tf32") {
            Some(number) => (number, true),
            None => (number, false),
        };
        if number.starts_with('+') {
            return Err(invalid());
        }
        let number = number.parse().map_err(|_| invalid())?;
        Ok(if tf32 {
            Self::CudaTf32(number)
        } else {
            Self::Cuda(number)
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.pad("cpu"),
            Self::Cuda(number) => f.pad(&format!("cuda:{number}")),
            Self::CudaTf32(number) => f.pad(&format!("cuda:{number}+tf32")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_judged_by_driver_and_devices() {
        let text = |number, driver, devices: Result<usize, &str>| {
            let devices = devices.map_err(str::to_owned);
            judge(Device::Cuda(number), number, driver, (13, 0), devices)
                .map_err(|error| error.to_string())
        };
        assert_eq!(text(0, (13, 0), Ok(1)), Ok(()));
        assert_eq!(text(3, (13, 1), Ok(4)), Ok(()));
        let old = "cuda:0 needs a driver for CUDA 13.0, and this machine's goes up to CUDA 12.8: update the driver, or build descent with an older CUDA";
        assert_eq!(text(0, (12, 8), Ok(1)), Err(old.to_owned()));
        let few = "cuda:9 is not there: this machine has 4 CUDA devices, cuda:0 to cuda:3";
        assert_eq!(text(9, (13, 0), Ok(4)), Err(few.to_owned()));
        let one = "cuda:1 is not there: this machine has one CUDA device, cuda:0";
        assert_eq!(text(1, (13, 0), Ok(1)), Err(one.to_owned()));
        let none = "cuda:0 is not there: this machine has no CUDA device";
        assert_eq!(text(0, (13, 0), Ok(0)), Err(none.to_owned()));
        let mute = "cuda:0 does not answer: no device";
        assert_eq!(text(0, (0, 0), Err("no device")), Err(mute.to_owned()));
    }

    #[test]
    fn texts_name_devices() {
        for text in ["cpu", "cuda:0", "cuda:12", "cuda:1+tf32"] {
            let device: Device = text.parse().unwrap();
            assert_eq!(device.to_string(), text);
        }
        let several = Device::parse_all("cuda:0, cuda:2+tf32");
        assert_eq!(several, Ok(vec![Device::Cuda(0), Device::CudaTf32(2)]));
        assert_eq!(Device::parse_all("cpu"), Ok(vec![Device::Cpu]));
        for text in [
            "gpu",
            "cuda",
            "cuda:",
            "cuda:+1",
            "cuda:-1",
            "cuda:x",
            "cuda:0+tf16",
            "",
            "cuda:0,",
        ] {
            assert!(Device::parse_all(text).is_err(), "{text}");
        }
        for twice in ["cpu,cpu", "cuda:0,cuda:1,cuda:0", "cuda:0,cuda:0+tf32"] {
            assert!(Device::parse_all(twice).is_err(), "{twice}");
        }
        assert!(!Device::parse_all("cuda:all").unwrap().is_empty());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_binary_without_cuda_says_so() {
        let error = Device::Cuda(0).check().unwrap_err().to_string();
        assert!(error.contains("--features cuda"), "{error}");
        assert_eq!("auto".parse(), Ok(Device::Cpu));
    }
}
