//! Coordinators, workers and the links between them, all real processes, and what can be done to them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::harness::{Process, Sandbox};
use crate::ledger::Ledger;
use crate::proxy::{Proxy, Weather};

/// How long a worker may be silent: short, so that pauses and cuts outlast it.
pub(crate) const LEASE: Duration = Duration::from_millis(1500);
/// Longest that anything may take to get going again.
const PATIENCE: Duration = Duration::from_secs(120);

/// A coordinator, alive or dead.
struct Coordinator {
    process: Option<Process>,
    address: SocketAddr,
}

/// A worker, alive or dead, and its link to each coordinator.
struct Worker {
    process: Option<Process>,
    links: Vec<Proxy>,
}

/// A small cluster.
pub(crate) struct Arena {
    pub(crate) sandbox: Sandbox,
    /// The database as the test reads it.
    pub(crate) db: String,
    /// The database as coordinators reach it.
    served: String,
    name: String,
    coordinators: Vec<Coordinator>,
    workers: Vec<Worker>,
    ledgers: Vec<PathBuf>,
}

impl Arena {
    /// Starts coordinators and workers, and submits a sweep.
    pub(crate) fn start(
        spec: &str,
        name: &str,
        (db, served): (String, String),
        coordinators: usize,
        workers: usize,
    ) -> Self {
        let sandbox = Sandbox::new();
        sandbox.file("sweep.toml", spec);
        sandbox.file("clock", "0");
        let mut arena = Self {
            sandbox,
            db,
            served,
            name: name.to_owned(),
            coordinators: Vec::new(),
            workers: Vec::new(),
            ledgers: Vec::new(),
        };
        for number in 0..coordinators {
            let address = SocketAddr::from(([127, 0, 0, 1], 0));
            arena.coordinators.push(Coordinator {
                process: None,
                address,
            });
            arena.start_coordinator(number, None);
        }
        let urls = arena.urls();
        arena
            .sandbox
            .ok(&format!("--coordinator {urls} submit sweep.toml"));
        for number in 0..workers {
            let links = arena.coordinators.iter();
            let links = links.map(|coordinator| Proxy::start(coordinator.address));
            let links = links.collect();
            arena.workers.push(Worker {
                process: None,
                links,
            });
            arena.start_worker(number);
        }
        arena
    }

    /// Addresses of all coordinators, directly.
    pub(crate) fn urls(&self) -> String {
        let urls = self.coordinators.iter();
        let urls: Vec<String> = urls.map(|at| format!("http://{}", at.address)).collect();
        urls.join(",")
    }

    /// Starts a coordinator, at its old address if it had one. It may be told to fail.
    pub(crate) fn start_coordinator(&mut self, number: usize, fail: Option<&str>) {
        let lease = LEASE.as_millis().to_string();
        let coordinator = &mut self.coordinators[number];
        let listen = coordinator.address.to_string();
        let mut command = self.sandbox.descent([
            "--db",
            &self.served,
            "serve",
            "--listen",
            &listen,
            "--lease-ms",
            &lease,
            "--artifacts",
            "files",
        ]);
        command.env("DESCENT_CLOCK_FILE", self.sandbox.path("clock"));
        if let Some(fail) = fail {
            command.env("DESCENT_FAIL", fail);
        }
        let mut process = Process::start(command);
        if fail.is_none() {
            let line = process.until(" on 127.0.0.1:");
            let address = line.rsplit(' ').next().expect("an address").trim();
            coordinator.address = address.parse().expect(&line);
        }
        coordinator.process = Some(process);
    }

    /// Starts a worker: another life, another ledger.
    pub(crate) fn start_worker(&mut self, number: usize) {
        let ledger = self.sandbox.path(&format!("ledger-{}", self.ledgers.len()));
        let links = self.workers[number].links.iter();
        let urls: Vec<String> = links
            .map(|link| format!("http://{}", link.address()))
            .collect();
        let mut command = self.sandbox.descent([
            "--coordinator",
            &urls.join(","),
            "worker",
            "--workers",
            "1",
            "--pack",
            "3",
            "--connect-s",
            "0",
            "--spool",
            "spool",
        ]);
        command.arg("--ledger").arg(&ledger);
        self.ledgers.push(ledger);
        self.workers[number].process = Some(Process::start(command));
    }

    pub(crate) fn coordinators(&self) -> usize {
        self.coordinators.len()
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers.len()
    }

    /// The process of a coordinator that lives.
    pub(crate) fn coordinator(&mut self, number: usize) -> &mut Process {
        self.coordinators[number]
            .process
            .as_mut()
            .expect("it lives")
    }

    /// The process of a worker that lives.
    pub(crate) fn worker(&mut self, number: usize) -> &mut Process {
        self.workers[number].process.as_mut().expect("it lives")
    }

    /// All links of a worker.
    pub(crate) fn set_links(&self, worker: usize, weather: Weather) {
        for link in &self.workers[worker].links {
            link.set(weather);
        }
    }

    /// Everybody's links.
    pub(crate) fn set_all_links(&self, weather: Weather) {
        for worker in 0..self.workers.len() {
            self.set_links(worker, weather);
        }
    }

    /// How far the coordinators' clocks are ahead, from now on.
    pub(crate) fn set_clocks(&self, ahead_ms: i64) {
        // Replaced whole: it is read all the time.
        let new = self.sandbox.file("clock.new", &ahead_ms.to_string());
        std::fs::rename(new, self.sandbox.path("clock")).expect("rename in the sandbox");
    }

    /// What workers have written so far.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger::read(self.ledgers.iter().map(PathBuf::as_path))
    }

    /// The answer to a query, as CSV without its header.
    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        let output = self
            .sandbox
            .descent([
                "--db", &self.db, "--format", "csv", "sql", "--limit", "0", sql,
            ])
            .output()
            .expect("start descent");
        assert!(
            output.status.success(),
            "{sql}: {}",
            crate::harness::stderr(&output)
        );
        let text = String::from_utf8(output.stdout).expect("stdout is text");
        text.lines().skip(1).map(ToOwned::to_owned).collect()
    }

    /// Whether the sweep is over; asks the database, because coordinators may be dead.
    pub(crate) fn is_over(&self) -> bool {
        let open = "SELECT count(*) AS n FROM trials WHERE state IN ('blocked', 'ready', 'leased', 'delayed')";
        self.query(open) == ["0"]
    }

    /// Waits until a coordinator acknowledges something, or everything is over. Answers how long that took; `None`: it is over.
    pub(crate) fn recover(&self) -> Option<Duration> {
        let since = Instant::now();
        let before = self.ledger().acks.len();
        let mut looked = Instant::now();
        loop {
            if self.ledger().acks.len() > before {
                return Some(since.elapsed());
            }
            if looked.elapsed() > Duration::from_secs(1) {
                looked = Instant::now();
                if self.is_over() {
                    return None;
                }
            }
            assert!(since.elapsed() < PATIENCE, "nothing moves any more");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the sweep is finished.
    pub(crate) fn finish(&self) {
        let urls = self.urls();
        self.sandbox.ok(&format!(
            "--coordinator {urls} watch {} --progress none",
            self.name
        ));
    }

    /// Ends all processes in order.
    pub(crate) fn stop(&mut self) {
        for worker in &mut self.workers {
            if let Some(process) = worker.process.take() {
                process.signal(15);
                process.wait();
            }
        }
        for coordinator in &mut self.coordinators {
            if let Some(process) = coordinator.process.take() {
                process.signal(15);
                process.wait();
            }
        }
    }
}
