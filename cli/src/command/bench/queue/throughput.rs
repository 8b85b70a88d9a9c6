//! Trials leased and completed a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;

use super::figure::Figures;
use super::fleet::Worker;
use super::place::Place;
use super::points::Points;
use super::server::Server;

/// Who works, and how.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) workers: u32,
    pub(super) per_call: u32,
    pub(super) time: Duration,
    /// Trials made beforehand, if it is not to be decided here.
    pub(super) prepared: Option<u32>,
}

/// Faster than any coordinator that was measured so far: so many trials a second are made beforehand.
const FASTEST: u32 = 30_000;
/// The same where each goes by itself.
const FASTEST_SINGLY: u32 = 8_000;
/// Time between the first calls and the first that count.
const WARM_UP: Duration = Duration::from_secs(1);

/// When it counts, and when it ends.
struct Course {
    from: Instant,
    until: Instant,
    /// Trials leased so far, and how many may be: then the queue is near its end.
    leased: AtomicU32,
    most: u32,
}

/// What one worker saw.
#[derive(Default)]
struct Seen {
    completed: usize,
    leases: Vec<f64>,
    completes: Vec<f64>,
    last: Option<Instant>,
}

/// Measures, on a queue that never runs empty.
pub(super) async fn measure(
    place: &Place,
    load: Load,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    place.forget()?;
    let server = Server::start(place)?;
    let connection = server.connect()?;
    let fastest = if load.per_call == 1 {
        FASTEST_SINGLY
    } else {
        FASTEST
    };
    let seconds = u32::try_from((load.time + WARM_UP).as_secs()).unwrap_or(u32::MAX);
    // Near its end a queue is shared out in smaller packs: that is not what is measured here.
    let spare = load.workers.saturating_mul(load.per_call).saturating_mul(4);
    let trials = load
        .prepared
        .unwrap_or_else(|| fastest.saturating_mul(seconds).saturating_add(spare));
    let points = Points::new(load.per_call, trials);
    points.submit(&connection).await?;
    points.expanded(&connection).await?;
    let mut joined = Vec::new();
    for number in 0..load.workers {
        joined.push(Worker::join(&server.connect()?, &format!("bench-{number}")).await?);
    }
    // Trials prepared by hand are few: all of them count.
    let warm_up = if load.prepared.is_some() {
        Duration::ZERO
    } else {
        WARM_UP
    };
    let from = Instant::now() + warm_up;
    let course = Arc::new(Course {
        from,
        until: from + load.time,
        leased: AtomicU32::new(0),
        most: trials.saturating_sub(spare),
    });
    let mut working = JoinSet::new();
    for worker in joined {
        working.spawn(work(worker, load.per_call, Arc::clone(&course)));
    }
    tokio::time::sleep_until(from.into()).await;
    let before = server.processor_time()?;
    let mut all = Seen::default();
    while let Some(seen) = working.join_next().await {
        let seen = seen.context("a worker")??;
        all.completed += seen.completed;
        all.leases.extend(seen.leases);
        all.completes.extend(seen.completes);
        all.last = all.last.max(seen.last);
    }
    let taken = server.processor_time()? - before;
    // Over as soon as the queue comes near its end, or when the last call was answered after the time.
    let last = all.last.context("nothing was completed in the time")?;
    let time = last - from;
    let rate = all.completed as f64 / time.as_secs_f64();
    let case = "throughput";
    let setting = format!("{} workers, {} a call", load.workers, load.per_call);
    figures.add(case, &setting, "leased and completed", rate, "trials/s");
    figures.add_times(case, &setting, "lease", &mut all.leases);
    figures.add_times(case, &setting, "complete", &mut all.completes);
    let share = taken.as_secs_f64() / time.as_secs_f64();
    figures.add(case, &setting, "coordinator's processor", share, "cores");
    let each = taken.as_secs_f64() / all.completed.max(1) as f64 * 1e6;
    figures.add(case, &setting, "processor a trial", each, "µs");
    figures.add(
        case,
        &setting,
        "coordinator's memory",
        server.memory_mib()?.0,
        "MiB",
    );
    points.delete(&connection).await
}

/// Leases and completes until the time is over.
async fn work(mut worker: Worker, per_call: u32, course: Arc<Course>) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    while Instant::now() < course.until && course.leased.load(Ordering::Relaxed) < course.most {
        let asked = Instant::now();
        let held = worker.lease(per_call, Duration::ZERO).await?;
        let leased = Instant::now();
        ensure!(!held.is_empty(), "the queue ran empty");
        course
            .leased
            .fetch_add(u32::try_from(held.len())?, Ordering::Relaxed);
        let accepted = worker.complete(&held).await?;
        let done = Instant::now();
        ensure!(
            accepted == held.len(),
            "{accepted} of {} results were accepted",
            held.len()
        );
        if course.from <= done {
            seen.completed += accepted;
            seen.leases.push((leased - asked).as_secs_f64());
            seen.completes.push((done - leased).as_secs_f64());
            seen.last = Some(done);
        }
    }
    worker.leave().await?;
    Ok(seen)
}
