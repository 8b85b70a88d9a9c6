//! Faults on demand, for tests of whole processes. Debug builds alone have them: a release build cannot be told to fail.
//!
//! `DESCENT_FAIL=POINT:N` ends the process at once, as kill -9 would, when it comes by a point for the N-th time. Points:
//! `before-commit` and `after-commit` of every transaction that writes, `before-reply` to whoever asked for it, `before-file` and
//! `after-file` of every artifact that is stored. `DESCENT_CLOCK_FILE` names a file with the milliseconds that the
//! machine's clock is ahead, read whenever somebody asks for the time.

/// Ends the process here if it was told to.
#[cfg(debug_assertions)]
pub(crate) fn pass(point: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static TOLD: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let told = std::env::var("DESCENT_FAIL").ok()?;
        let (point, n) = told.split_once(':')?;
        Some((point.to_owned(), n.parse().ok()?))
    });
    static PASSED: AtomicU64 = AtomicU64::new(0);
    if let Some((fatal, n)) = &*TOLD
        && fatal == point
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *n
    {
        std::process::abort();
    }
}

/// How far the machine's clock is ahead, by the tester's will.
#[cfg(debug_assertions)]
pub(crate) fn clock_ahead_ms() -> i64 {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("DESCENT_CLOCK_FILE").map(PathBuf::from));
    let text = FILE
        .as_ref()
        .and_then(|path| std::fs::read_to_string(path).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(not(debug_assertions))]
pub(crate) const fn pass(_point: &str) {}

#[cfg(not(debug_assertions))]
pub(crate) const fn clock_ahead_ms() -> i64 {
    0
}
