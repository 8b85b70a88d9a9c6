//! The life of a large sweep: submitted, expanded, met again after a kill, finished, read with SQL, deleted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use descent_coordinator::reader::Reader;
use tokio::sync::Mutex;
use tokio::task::{AbortHandle, JoinSet};

use super::figure::{Figures, median, quantile};
use super::fleet::Worker;
use super::place::Place;
use super::points::Points;
use super::server::Server;

/// How often the worker beats that watches for delays: often enough to meet every long write.
const WATCH: Duration = Duration::from_millis(100);
/// Trials in one call, and workers, while the sweep is finished.
const FINISHING: (u32, u32) = (256, 8);
/// How often a query is timed.
const QUERIES: usize = 3;

/// Mean and deviation of every point through the documented view, and by hand over the results.
const QUERY: [(&str, &str); 2] = [
    (
        "mean and sd per point, view risk_curve",
        "SELECT width, n, test_error_mean, test_error_sd FROM risk_curve WHERE sweep = '{}'",
    ),
    (
        "mean and variance per point, grouped over view results",
        "SELECT width, COUNT(*) AS n, AVG(test_error) AS test_error_mean,
            (SUM(test_error * test_error) - COUNT(*) * AVG(test_error) * AVG(test_error)) / (COUNT(*) - 1) AS test_error_variance
        FROM results WHERE sweep = '{}' GROUP BY width",
    ),
];

/// A worker that beats all the time and remembers how long each beat took.
struct Watch {
    task: AbortHandle,
    beats: Arc<Mutex<Vec<f64>>>,
}

impl Watch {
    async fn start(server: &Server) -> anyhow::Result<Self> {
        let mut worker = Worker::join(&server.connect()?, "bench-watch").await?;
        let beats = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&beats);
        let watching = tokio::spawn(async move {
            loop {
                let start = Instant::now();
                if worker.beat(&[]).await.is_err() {
                    return;
                }
                kept.lock().await.push(start.elapsed().as_secs_f64());
                tokio::time::sleep(WATCH).await;
            }
        });
        Ok(Self {
            task: watching.abort_handle(),
            beats,
        })
    }

    /// Tells of the beats since the last time that it was asked.
    async fn tell(&self, load: &str, during: &str, figures: &mut Figures) {
        // Beyond the last write, so that a beat that waited for it is among them.
        tokio::time::sleep(WATCH * 3).await;
        let mut beats = std::mem::take(&mut *self.beats.lock().await);
        for (name, share) in [("p50", 0.5), ("longest", 1.0)] {
            let value = quantile(&mut beats, share) * 1e3;
            figures.add(
                "million",
                load,
                &format!("beat while {during}, {name}"),
                value,
                "ms",
            );
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Measures all of it.
pub(super) async fn measure(
    place: &Place,
    trials: u32,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    place.forget()?;
    let mut server = Server::start(place)?;
    let connection = server.connect()?;
    let load = format!("{trials} trials");
    let case = "million";
    let watch = Watch::start(&server).await?;
    let mut worker = Worker::join(&server.connect()?, "bench").await?;
    let points = Points::new(0, trials);

    let mut waiting = worker.clone();
    let first = tokio::spawn(async move {
        let held = waiting.lease(1, Duration::from_secs(20)).await;
        (held, Instant::now())
    });
    let start = Instant::now();
    points.submit(&connection).await?;
    let acknowledged = Instant::now();
    let (held, leased) = first.await.context("the first lease")?;
    held?;
    points.expanded(&connection).await?;
    let expanded = Instant::now();
    let seconds = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64();
    figures.add(
        case,
        &load,
        "submit acknowledged",
        seconds(start, acknowledged),
        "s",
    );
    figures.add(
        case,
        &load,
        "first lease after it",
        seconds(acknowledged, leased),
        "s",
    );
    figures.add(
        case,
        &load,
        "all expanded, from submit",
        seconds(start, expanded),
        "s",
    );
    watch.tell(&load, "expanding", figures).await;
    if let Some(mib) = place.mib() {
        figures.add(case, &load, "database, expanded", mib, "MiB");
    }
    drop(watch);

    server.kill()?;
    let start = Instant::now();
    server = Server::start(place)?;
    let serving = Instant::now();
    worker = worker.over(&server.connect()?);
    worker.lease(1, Duration::from_secs(20)).await?;
    figures.add(
        case,
        &load,
        "kill -9 to serving again",
        seconds(start, serving),
        "s",
    );
    figures.add(
        case,
        &load,
        "kill -9 to first lease",
        seconds(start, Instant::now()),
        "s",
    );
    // It goes without handing in what it had: others get that.
    worker.leave().await?;

    let connection = server.connect()?;
    let watch = Watch::start(&server).await?;
    let start = Instant::now();
    finish(&server).await?;
    let rate = f64::from(trials) / start.elapsed().as_secs_f64();
    let how = format!(
        "finished by {} workers, {} a call",
        FINISHING.1, FINISHING.0
    );
    figures.add(case, &load, &how, rate, "trials/s");
    watch.tell(&load, "finishing", figures).await;
    if let Some(mib) = place.mib() {
        figures.add(case, &load, "database, finished", mib, "MiB");
    }

    let reader = Reader::open(&place.url).await?;
    for (name, sql) in QUERY {
        let sql = sql.replace("{}", &points.name);
        let mut times = Vec::new();
        for _ in 0..QUERIES {
            let start = Instant::now();
            let answer = reader.query(&sql, usize::MAX >> 1).await?;
            times.push(start.elapsed().as_secs_f64());
            anyhow::ensure!(!answer.rows.is_empty(), "no rows: {sql}");
        }
        figures.add(case, &load, name, median(&mut times), "s");
    }
    reader.close().await;
    let start = Instant::now();
    points.get(&connection).await?;
    figures.add(
        case,
        &load,
        "status",
        start.elapsed().as_secs_f64() * 1e3,
        "ms",
    );
    watch.tell(&load, "reading", figures).await;

    let start = Instant::now();
    points.delete(&connection).await?;
    figures.add(case, &load, "deleted", start.elapsed().as_secs_f64(), "s");
    watch.tell(&load, "deleting", figures).await;
    Ok(())
}

/// Completes everything that is there, many at a time.
async fn finish(server: &Server) -> anyhow::Result<()> {
    let mut working = JoinSet::new();
    for number in 0..FINISHING.1 {
        let mut worker =
            Worker::join(&server.connect()?, &format!("bench-finish-{number}")).await?;
        working.spawn(async move {
            loop {
                let held = worker.lease(FINISHING.0, Duration::from_secs(2)).await?;
                if held.is_empty() {
                    return worker.leave().await;
                }
                worker.complete(&held).await?;
                worker.beat(&[]).await?;
            }
        });
    }
    while let Some(done) = working.join_next().await {
        done.context("a worker")??;
    }
    Ok(())
}
