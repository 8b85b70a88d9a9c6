//! What workers cost that train for long: each holds a trial and beats.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::figure::Figures;
use super::fleet::{Held, Worker};
use super::place::Place;
use super::points::Points;
use super::server::Server;

/// How often a worker beats: what the coordinator asks of it by default.
const EVERY: Duration = Duration::from_secs(5);
/// Workers that join at the same time.
const JOINING: usize = 64;

/// Measures the coordinator while so many workers beat.
pub(super) async fn measure(
    place: &Place,
    workers: u32,
    time: Duration,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    place.forget()?;
    let server = Server::start(place)?;
    let connection = server.connect()?;
    let points = Points::new(0, workers.saturating_mul(2));
    points.submit(&connection).await?;
    points.expanded(&connection).await?;
    let start = Instant::now();
    let gate = Arc::new(Semaphore::new(JOINING));
    let mut joining = JoinSet::new();
    for number in 0..workers {
        let own = server.connect()?;
        let gate = Arc::clone(&gate);
        joining.spawn(async move {
            let _place = gate.acquire().await?;
            let mut worker = Worker::join(&own, &format!("bench-{number}")).await?;
            let held = worker.lease(1, Duration::from_secs(20)).await?;
            ensure!(held.len() == 1, "a worker got no trial");
            worker.beat(&held).await?;
            Ok::<_, anyhow::Error>((worker, held))
        });
    }
    let mut fleet = Vec::new();
    while let Some(joined) = joining.join_next().await {
        fleet.push(joined.context("a worker")??);
    }
    let case = "beats";
    let load = format!("{workers} workers, a beat every {} s", EVERY.as_secs());
    let joined = start.elapsed().as_secs_f64();
    figures.add(case, &load, "all joined and leased", joined, "s");
    // Half a round more than needed: everybody beats on time before it counts.
    let from = Instant::now() + EVERY + EVERY / 2;
    let until = from + time;
    let mut beating = JoinSet::new();
    let count = fleet.len();
    for (number, (worker, held)) in fleet.into_iter().enumerate() {
        let first = Instant::now() + EVERY.mul_f64(number as f64 / count as f64);
        beating.spawn(beat(worker, held, first, from, until));
    }
    tokio::time::sleep_until(from.into()).await;
    let before = server.processor_time()?;
    tokio::time::sleep_until(until.into()).await;
    let taken = server.processor_time()? - before;
    let (resident, peak) = server.memory_mib()?;
    let mut times = Vec::new();
    while let Some(beats) = beating.join_next().await {
        times.extend(beats.context("a worker")??);
    }
    let share = taken.as_secs_f64() / time.as_secs_f64();
    figures.add(case, &load, "coordinator's processor", share, "cores");
    figures.add(case, &load, "coordinator's memory", resident, "MiB");
    figures.add(case, &load, "coordinator's memory, at most", peak, "MiB");
    let rate = times.len() as f64 / time.as_secs_f64();
    figures.add(case, &load, "beats", rate, "beats/s");
    figures.add_times(case, &load, "beat", &mut times);
    if !place.url.starts_with("sqlite:") {
        points.delete(&connection).await?;
    }
    Ok(())
}

/// Beats on time; answers how long those took that count.
async fn beat(
    mut worker: Worker,
    held: Vec<Held>,
    first: Instant,
    from: Instant,
    until: Instant,
) -> anyhow::Result<Vec<f64>> {
    let mut ticks = tokio::time::interval_at(first.into(), EVERY);
    let mut times = Vec::new();
    loop {
        ticks.tick().await;
        let start = Instant::now();
        if start >= until {
            return Ok(times);
        }
        worker.beat(&held).await?;
        if from <= start {
            times.push(start.elapsed().as_secs_f64());
        }
    }
}
