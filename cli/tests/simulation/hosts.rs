//! What runs on the hosts: the product's own coordinator and worker, started as their commands start them.

use std::sync::Arc;
use std::time::Duration;

use descent_coordinator::store::memory::MemoryStore;
use descent_coordinator::{Config, Outside, serve_in};
use descent_worker::link::rpc::RpcLink;
use descent_worker::random::SeededRandom;
use descent_worker::{Shutdown, World};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::device::Flash;
use crate::link::Witness;
use crate::network::{connect, listen};
use crate::plan::Host;
use crate::record::{Life, What};
use crate::shared::{Shared, WallClock};
use crate::stage::{AtOnce, Meter, OneThread};
use crate::trainer::Actor;

pub(crate) async fn coordinator(shared: Arc<Shared>) -> turmoil::Result {
    let mut config = Config::new("unused");
    config.timing.collect = Duration::from_secs(30);
    let outside = Outside {
        store: Arc::new(MemoryStore::on(
            Arc::clone(&shared.disk),
            Arc::new(Flash(Arc::clone(&shared))),
        )),
        artifacts: shared.artifacts.clone(),
        clock: Arc::new(WallClock(Arc::clone(&shared))),
        offload: Arc::new(AtOnce),
    };
    let shutdown = CancellationToken::new();
    let signal = shutdown.clone();
    let mut asked = shared.drain_coordinator.subscribe();
    asked.mark_unchanged();
    tokio::spawn(async move {
        if asked.changed().await.is_ok() {
            // Not in the same instant as messages arrive: tonic lets chance decide what it looks at first.
            tokio::time::sleep(Duration::from_millis(7)).await;
            signal.cancel();
        }
    });
    serve_in(config, outside, listen().await?, shutdown).await?;
    Ok(())
}

pub(crate) async fn worker(shared: Arc<Shared>, number: usize) -> turmoil::Result {
    let shutdown = Shutdown::new();
    let life = {
        let mut state = shared.workers[number].lock().unwrap();
        state.lives += 1;
        state.shutdown = Some(shutdown.clone());
        Life {
            worker: number,
            number: state.lives,
        }
    };
    let plan = &shared.plan;
    let name = format!("{}/{}", Host::Worker(number), life.number);
    let mut config = descent_worker::Config::new(name, "simulated".to_owned());
    config.slots = plan.slots;
    config.pack_trials = plan.pack_trials;
    config.metrics_interval = Duration::from_secs(4);
    config.orphan_grace = plan.orphan_grace;
    config.orphan_policy = plan.orphan_policy;
    let meter = Arc::new(Meter::new(Arc::clone(&shared)));
    let trainer = Actor {
        shared: Arc::clone(&shared),
        life,
        meter: Arc::clone(&meter),
    };
    let link = Witness {
        shared: Arc::clone(&shared),
        life,
        link: Arc::new(RpcLink::new(&connect(Host::Coordinator.name()))),
        forgotten: 0.into(),
    };
    let stage = OneThread {
        shared: Arc::clone(&shared),
        worker: number,
        meter: Arc::clone(&meter),
    };
    let seed = plan.seed.wrapping_mul(1_000) + 100 * number as u64 + u64::from(life.number);
    let world = World {
        link: Arc::new(link),
        trainers: vec![Arc::new(trainer)],
        stage: Arc::new(stage),
        clock: meter,
        random: Arc::new(SeededRandom::new(seed)),
        activity: watch::Sender::new(Vec::new()),
    };
    let ended = descent_worker::run(config, world, shutdown).await;
    let ended = ended.map_err(|error| error.to_string());
    let what = What::Ended(life, format!("{ended:?}"));
    shared.record.note(shared.now(), what);
    let mut state = shared.workers[number].lock().unwrap();
    state.ended.insert(life.number, ended);
    Ok(())
}
