//! How much memory there is for training.

use std::fs;

/// Where nothing can be found out.
const UNKNOWN: u64 = 4 << 30;

/// Three quarters of what is free now, on the device or else in the machine: predictions are from above, but the coordinator, checkpoints on their way and whoever
/// else lives here need some too.
pub(crate) fn for_training(on_device: Option<u64>) -> u64 {
    on_device
        .or_else(free)
        .map_or(UNKNOWN, |free| free / 4 * 3)
        .max(16 << 20)
}

/// What the kernel would give, within the limit of the container.
fn free() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = available(&read("/proc/meminfo")?)?;
    let group = room(
        read("/sys/fs/cgroup/memory.max"),
        read("/sys/fs/cgroup/memory.current"),
    )
    .or_else(|| {
        room(
            read("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
            read("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
        )
    });
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// What a container's limit leaves; `None` where there is none (`max`).
fn room(limit: Option<String>, used: Option<String>) -> Option<u64> {
    let limit: u64 = limit?.trim().parse().ok()?;
    let used: u64 = used?.trim().parse().ok()?;
    Some(limit.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_is_read_from_the_kernel_and_the_container() {
        let meminfo = "MemTotal:       100 kB\nMemFree:  1 kB\nMemAvailable:     64 kB\n";
        assert_eq!(available(meminfo), Some(64 << 10));
        assert_eq!(available("MemTotal: 100 kB"), None);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(room(text("1000\n"), text("400\n")), Some(600));
        assert_eq!(room(text("max\n"), text("400\n")), None);
        assert_eq!(room(text("10\n"), text("40\n")), Some(0));
        assert!(for_training(None) >= 16 << 20);
        assert_eq!(for_training(Some(100 << 20)), 75 << 20);
    }
}
