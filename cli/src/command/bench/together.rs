//! Jobs that run at the same time, each on a thread of its own.

use std::sync::{Barrier, Mutex, PoisonError};
use std::thread::Builder;

use anyhow::Context as _;

/// Runs every job once all have a thread, and answers what each gave, in order. A job may wait at the barrier for all others.
///
/// # Errors
/// When the system has no thread for one of them, in which case none runs, or when one panics.
pub(super) fn together<T: Send>(
    jobs: Vec<impl FnOnce(&Barrier) -> T + Send>,
) -> anyhow::Result<Vec<T>> {
    let barrier = Barrier::new(jobs.len());
    let complete = Mutex::new(false);
    std::thread::scope(|scope| {
        // Held until all are there: who runs before would wait at the barrier for ever if one could not be started.
        let mut all = complete.lock().unwrap_or_else(PoisonError::into_inner);
        let mut handles = Vec::with_capacity(jobs.len());
        for job in jobs {
            let (barrier, complete) = (&barrier, &complete);
            let work = move || {
                let go = *complete.lock().unwrap_or_else(PoisonError::into_inner);
                go.then(|| job(barrier))
            };
            let handle = Builder::new().spawn_scoped(scope, work);
            handles.push(handle.context("the system gives no thread more: take fewer --threads")?);
        }
        *all = true;
        drop(all);
        let ended = handles.into_iter().map(|handle| handle.join().ok()?);
        let ended: Option<Vec<T>> = ended.collect();
        ended.context("a thread panicked")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_sees_all_others_at_work() {
        let begun = Mutex::new(0);
        let job = |number: usize| {
            let begun = &begun;
            move |barrier: &Barrier| {
                *begun.lock().unwrap() += 1;
                barrier.wait();
                (number, *begun.lock().unwrap())
            }
        };
        let seen = together((0..3).map(job).collect()).unwrap();
        assert_eq!(seen, [(0, 3), (1, 3), (2, 3)]);
        let broken = together(vec![|_: &Barrier| panic!("by the test")]);
        assert!(broken.is_err());
    }
}
