//! Two hundred workers that lose their coordinator at one moment: all of them come back, spread, with what they hold.

use std::sync::Arc;
use std::time::{Duration, Instant};

use descent_proto::channel::{Connection, Credentials};
use descent_proto::retry::{FIRST_BACKOFF, backoff};
use descent_proto::v1;

use crate::harness::Dice;
use crate::{SWEEP, Tally};

const WORKERS: u64 = 200;
/// As a worker's, under the usual lease. Shorter than all of them together take, and nobody would ever be answered.
const BEAT_DEADLINE: Duration = Duration::from_secs(10);

/// A worker that beats and trains nothing.
struct Simulated {
    connection: Connection,
    session: Vec<u8>,
    dice: Dice,
}

impl Simulated {
    fn new(url: &str, number: u64) -> Self {
        let session = [number.to_be_bytes(), (!number).to_be_bytes()].concat();
        Self {
            connection: Connection::new(&[url], &Credentials::default()).expect("an address"),
            session,
            dice: Dice(number),
        }
    }

    async fn open(&self) {
        let request = v1::OpenSessionRequest {
            session: self.session.clone(),
            worker: format!("simulated/{}", self.session[7]),
            version: "test".to_owned(),
            protocol: descent_proto::PROTOCOL,
            numerics: descent_spec::NUMERICS_VERSION,
            device: "cpu".to_owned(),
            instruction_set: "portable".to_owned(),
            slots: 1,
            memory_bytes: 1 << 30,
            data: Vec::new(),
        };
        self.connection
            .work()
            .open_session(request)
            .await
            .expect("a session");
    }

    /// Beats until it is answered; answers how often it had to ask.
    async fn beat(&mut self) -> u64 {
        let dice = &mut self.dice;
        let draw = move || dice.below(1 << 20) as f64 / f64::from(1_u32 << 20);
        let mut tries = 0;
        for pause in backoff(FIRST_BACKOFF, Duration::from_secs(1), draw) {
            tries += 1;
            let mut request = tonic::Request::new(v1::HeartbeatRequest {
                session: self.session.clone(),
                held: Vec::new(),
            });
            request.set_timeout(BEAT_DEADLINE);
            if let Ok(answer) = self.connection.work().heartbeat(request).await {
                // Nobody's session was lost.
                assert_eq!(answer.into_inner().session(), v1::SessionDirective::None);
                break;
            }
            tokio::time::sleep(pause).await;
        }
        tries
    }
}

#[test]
fn two_hundred_workers_come_back_at_once() {
    let mut arena = crate::arena::Arena::start(
        SWEEP,
        "chaos",
        ("sqlite:queue.db".to_owned(), "sqlite:queue.db".to_owned()),
        1,
        0,
    );
    let url = arena.urls();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    // Connections begin in a runtime.
    let _inside = runtime.enter();
    let workers: Vec<Simulated> = (1..=WORKERS).map(|n| Simulated::new(&url, n)).collect();
    let workers = runtime.block_on(async {
        for worker in &workers {
            worker.open().await;
        }
        workers
    });
    let mut tally = Tally::default();
    let workers = Arc::new(tokio::sync::Mutex::new(workers));
    for _ in 0..crate::from_environment("CHAOS_STORMS", 3) {
        arena.coordinator(0).kill();
        let beating = Arc::clone(&workers);
        // All of them find out at the same moment.
        let storm = runtime.spawn(async move {
            let mut workers = beating.lock().await;
            let mut beats = Vec::new();
            for mut worker in workers.drain(..) {
                beats.push(tokio::spawn(async move {
                    let tries = worker.beat().await;
                    (worker, tries)
                }));
            }
            let mut tries = 0;
            for beat in beats {
                let (worker, asked) = beat.await.expect("a beat");
                workers.push(worker);
                tries += asked;
            }
            tries
        });
        std::thread::sleep(Duration::from_secs(2));
        arena.start_coordinator(0, None);
        let since = Instant::now();
        let tries = runtime.block_on(storm).expect("the storm ends");
        tally.recoveries.push(since.elapsed());
        tally.times += 1;
        // Nobody hammers: with pauses that double, two seconds take some ten tries.
        assert!(tries < 30 * WORKERS, "{tries} tries");
    }
    arena.stop();
    tally.print(
        "restart with 200 simulated workers beating at once",
        "SQLite",
    );
}
