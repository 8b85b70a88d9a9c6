//! The machine: its name, the speed of a matrix product on it, the memory of this process.

use std::fs;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use descent_training::yardstick::Yardstick;

use super::together::together;

/// How long products are repeated before and while they are timed.
const PATIENCE: Duration = Duration::from_millis(150);

/// The processor's name with family and model, or its architecture where the system does not tell.
pub(super) fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| {
            line.split_once(':')
                .is_some_and(|(key, _)| key.trim() == name)
        })?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    match (field("model name"), field("cpu family"), field("model")) {
        (Some(name), Some(family), Some(model)) => {
            format!("{name} (family {family}, model {model})")
        }
        (Some(name), ..) => name,
        _ => std::env::consts::ARCH.to_owned(),
    }
}

/// 10⁹ operations a second of a 512³ product in single precision, summed over threads that multiply at the same time:
/// on each, the best of many products.
///
/// # Errors
/// When the system has not so many threads.
pub(super) fn sgemm_gflops(threads: u32) -> anyhow::Result<f64> {
    let rates = together(vec![best_product; threads as usize])?;
    Ok(rates.iter().sum())
}

fn best_product(all: &Barrier) -> f64 {
    let mut yardstick = Yardstick::new();
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        yardstick.multiply();
    }
    all.wait();
    let (mut best, since) = (f64::INFINITY, Instant::now());
    while since.elapsed() < PATIENCE {
        let start = Instant::now();
        yardstick.multiply();
        std::hint::black_box(yardstick.corner());
        best = best.min(start.elapsed().as_secs_f64());
    }
    Yardstick::flops() / best / 1e9
}

/// Forgets the largest memory so far, where the system can.
pub(super) fn forget_peak_memory() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The largest memory of this process since [`forget_peak_memory`], in MiB; `None` where the system does not tell.
pub(super) fn peak_memory_mib() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.div_ceil(1024))
}
