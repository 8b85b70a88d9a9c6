//! How long a claim takes while the table grows.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::figure::Figures;
use super::fleet::Worker;
use super::place::Place;
use super::points::Points;
use super::server::Server;

/// Most trials of one sweep here: cancelling it is one transaction.
const SWEEP: u32 = 500_000;

/// Fills the table up to each number of rows, half of them cancelled, and times claims of one trial, one after the other.
pub(super) async fn measure(
    place: &Place,
    rows: &[u32],
    claims: u32,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    place.forget()?;
    let server = Server::start(place)?;
    let connection = server.connect()?;
    let mut sweeps: Vec<Points> = Vec::new();
    let mut present = 0;
    for &wanted in rows {
        while present < wanted {
            // The first half of each step is cancelled, the second one stays to be claimed.
            let trials = ((wanted - present).div_ceil(2)).min(SWEEP);
            for over in [true, false] {
                let points = Points::new(u32::try_from(sweeps.len())?, trials);
                points.submit(&connection).await?;
                points.expanded(&connection).await?;
                if over {
                    points.cancel(&connection).await?;
                }
                present += trials;
                sweeps.push(points);
            }
        }
        let mut worker = Worker::join(&server.connect()?, "bench").await?;
        let mut times = Vec::new();
        let mut completes = Vec::new();
        for _ in 0..claims {
            let start = Instant::now();
            let held = worker.lease(1, Duration::ZERO).await?;
            times.push(start.elapsed().as_secs_f64());
            ensure!(!held.is_empty(), "nothing is left to be claimed");
            let start = Instant::now();
            worker.complete(&held).await?;
            completes.push(start.elapsed().as_secs_f64());
        }
        worker.leave().await?;
        let load = format!("{present} rows, one worker, 1 a call");
        figures.add_times("claims", &load, "claim", &mut times);
        figures.add_times("claims", &load, "complete", &mut completes);
    }
    for points in &sweeps {
        if !place.url.starts_with("sqlite:") {
            points.delete(&connection).await?;
        }
    }
    Ok(())
}
