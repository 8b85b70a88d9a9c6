//! Panics on this thread, wherever they were caught.

use std::cell::RefCell;
use std::panic;

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Notes panics from now on, but for those that were planned.
pub(crate) fn watch() {
    panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        if !text.contains("by the plan") {
            SEEN.with_borrow_mut(|seen| seen.push(text));
        }
    }));
}

/// Those since the last time.
pub(crate) fn take() -> Vec<String> {
    SEEN.take()
}
