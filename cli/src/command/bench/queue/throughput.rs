//! Trials leased and completed a second.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
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
}

/// Faster than any coordinator that was measured so far: so many trials a second are made beforehand.
const FASTEST: u32 = 30_000;
/// The same where each goes by itself.
const FASTEST_SINGLY: u32 = 8_000;
/// Time between the first calls and the first that count.
const WARM_UP: Duration = Duration::from_secs(1);

/// What one worker saw.
#[derive(Default)]
struct Seen {
    completed: usize,
    leases: Vec<f64>,
    completes: Vec<f64>,
    ran_dry: bool,
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
    let trials = fastest.saturating_mul(seconds).saturating_add(spare);
    let points = Points::new(load.per_call, trials);
    points.submit(&connection).await?;
    points.expanded(&connection).await?;
    let mut joined = Vec::new();
    for number in 0..load.workers {
        joined.push(Worker::join(&server.connect()?, &format!("bench-{number}")).await?);
    }
    let from = Instant::now() + WARM_UP;
    let until = from + load.time;
    let mut working = JoinSet::new();
    for worker in joined {
        working.spawn(work(worker, load.per_call, from, until));
    }
    tokio::time::sleep_until(from.into()).await;
    let before = server.processor_time()?;
    tokio::time::sleep_until(until.into()).await;
    let taken = server.processor_time()? - before;
    let mut all = Seen::default();
    while let Some(seen) = working.join_next().await {
        let seen = seen.context("a worker")??;
        all.completed += seen.completed;
        all.leases.extend(seen.leases);
        all.completes.extend(seen.completes);
        all.ran_dry |= seen.ran_dry;
    }
    if all.ran_dry {
        bail!("the {trials} trials of the benchmark were not enough: choose fewer --seconds");
    }
    let rate = all.completed as f64 / load.time.as_secs_f64();
    let case = "throughput";
    let setting = format!("{} workers, {} a call", load.workers, load.per_call);
    figures.add(case, &setting, "leased and completed", rate, "trials/s");
    figures.add_times(case, &setting, "lease", &mut all.leases);
    figures.add_times(case, &setting, "complete", &mut all.completes);
    let share = taken.as_secs_f64() / load.time.as_secs_f64();
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

/// Leases and completes until the time is over. Only what was completed within it counts.
async fn work(
    mut worker: Worker,
    per_call: u32,
    from: Instant,
    until: Instant,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    while Instant::now() < until {
        let asked = Instant::now();
        let held = worker.lease(per_call, Duration::ZERO).await?;
        let leased = Instant::now();
        if held.is_empty() {
            seen.ran_dry = true;
            break;
        }
        let accepted = worker.complete(&held).await?;
        let done = Instant::now();
        if accepted != held.len() {
            bail!("{accepted} of {} results were accepted", held.len());
        }
        if from <= done && done < until {
            seen.completed += accepted;
            seen.leases.push((leased - asked).as_secs_f64());
            seen.completes.push((done - leased).as_secs_f64());
        }
    }
    worker.leave().await?;
    Ok(seen)
}
