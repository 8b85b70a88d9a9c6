//! Chaos on real processes: coordinators, workers and databases are killed, paused, cut off, starved and misled while they train a small
//! sweep. Afterwards the workers' own ledgers and the database are held against each other, and the numbers against an undisturbed run.
//!
//! `CHAOS_SECONDS` says how long each kind of fault is tried (a few seconds by default; `scripts/chaos.sh` takes minutes or hours),
//! `CHAOS_SEED` when and where it strikes. Each test prints its row of the table in docs/reliability.md.

mod arena;
mod checker;
mod faults;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../it/harness.rs"]
mod harness;
mod ledger;
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a panic is how a test fails; other tests use the rest of it"
)]
#[path = "../../../coordinator/tests/it/postgres.rs"]
mod postgres;
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod proxy;
mod server;
mod storage;
mod storm;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use arena::Arena;
use harness::{Dice, Sandbox};
use proxy::{Proxy, Weather};
use server::Cluster;

/// Two chains of widths, each starting from the trained weights of the one before, in packs of three.
const SWEEP: &str = r#"
name = "chaos"
experiment = "risk-curve"
[data]
dataset = "mnist-4k"
samples = 150
test_samples = 100
[train]
optimizer = { kind = "sgd", lr = 0.01, momentum = 0.95 }
weight_reuse = "below-threshold"
batch = 32
epochs = 5000
[evaluate]
points = 100
[axes]
width = [1, 2, 4, 9]
seed = { count = 3 }
[run]
checkpoint_epochs = 40
"#;

/// The numbers of an undisturbed run.
fn calm() -> &'static str {
    static CALM: OnceLock<String> = OnceLock::new();
    CALM.get_or_init(|| {
        let sandbox = Sandbox::new();
        sandbox.file("sweep.toml", SWEEP);
        sandbox.ok("run sweep.toml --workers 1 --progress none --no-figure");
        sandbox.numbers("sqlite:descent.db")
    })
}

fn from_environment(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect(name))
}

/// What came of one kind of fault.
#[derive(Default)]
struct Tally {
    times: u64,
    wasted: u64,
    trained: u64,
    recoveries: Vec<Duration>,
}

impl Tally {
    /// Ends a round: everything is finished, stopped and checked.
    fn end(&mut self, arena: &mut Arena, clocks: bool) {
        arena.finish();
        arena.stop();
        checker::check(arena, clocks);
        assert_eq!(arena.sandbox.numbers(&arena.db), calm(), "other numbers");
        let (wasted, needed) = arena.ledger().wasted();
        self.wasted += wasted;
        self.trained += needed;
    }

    #[allow(clippy::print_stdout, reason = "the row is what a long run is for")]
    fn print(&mut self, fault: &str, engine: &str) {
        self.recoveries.sort();
        let at = |share: usize| {
            let last = self.recoveries.len().saturating_sub(1);
            let found = self.recoveries.get(last * share / 100);
            found.map_or_else(
                || "–".to_owned(),
                |took| format!("{:.1}", took.as_secs_f64()),
            )
        };
        println!(
            "ROW | {fault} | {engine} | {} | none | {} | {} / {} |",
            self.times,
            match self.trained {
                0 => "–".to_owned(),
                trained => format!(
                    "{} of {trained} ({:.2} %)",
                    self.wasted,
                    100.0 * self.wasted as f64 / trained as f64
                ),
            },
            at(50),
            at(100),
        );
    }
}

/// Strikes until the time is up, in one sweep after the other; checks each.
fn scenario(
    fault: &str,
    engine: &str,
    clocks: bool,
    mut start: impl FnMut() -> Arena,
    mut strike: impl FnMut(&mut Arena, &mut Dice, u64),
) {
    let budget = Duration::from_secs(from_environment("CHAOS_SECONDS", 6));
    let mut dice = Dice(from_environment("CHAOS_SEED", 1));
    let mut tally = Tally::default();
    calm();
    let since = Instant::now();
    while tally.times == 0 || since.elapsed() < budget {
        let mut arena = start();
        arena.recover();
        while !arena.is_over() && (tally.times == 0 || since.elapsed() < budget) {
            strike(&mut arena, &mut dice, tally.times);
            tally.times += 1;
            tally.recoveries.extend(arena.recover());
        }
        tally.end(&mut arena, clocks);
    }
    tally.print(fault, engine);
}

/// A scenario on both databases.
fn on_both(fault: &str, clocks: bool, mut strike: impl FnMut(&mut Arena, &mut Dice, u64)) {
    scenario(fault, "SQLite", clocks, sqlite, &mut strike);
    if let Some(database) = postgres::database() {
        let start = || on_postgres(&database, 1);
        scenario(fault, "PostgreSQL", clocks, start, &mut strike);
    }
}

/// One coordinator on a SQLite file.
fn sqlite() -> Arena {
    let db = "sqlite:queue.db".to_owned();
    Arena::start(SWEEP, "chaos", (db.clone(), db), 1, 2)
}

/// So many coordinators on a PostgreSQL database, which is emptied first.
fn on_postgres(database: &postgres::Database, coordinators: usize) -> Arena {
    let _ = Sandbox::new()
        .descent(["--db", &database.url, "delete", "chaos", "--yes"])
        .output();
    let urls = (database.url.clone(), database.url.clone());
    Arena::start(SWEEP, "chaos", urls, coordinators, 2)
}

#[test]
fn workers_are_killed() {
    on_both("worker: kill -9", true, |arena, dice, _| {
        faults::kill_worker(arena, dice);
    });
}

#[test]
fn the_coordinator_is_killed() {
    on_both("coordinator: kill -9, any time", true, |arena, dice, _| {
        faults::kill_coordinator(arena, dice);
    });
}

#[test]
fn the_coordinator_ends_at_every_commit_boundary() {
    // Pass after pass, each at every point.
    on_both(
        "coordinator: ends before or after a commit, a reply, a file",
        true,
        |arena, _, times| {
            let points = faults::POINTS.len() as u64;
            let point = faults::POINTS[usize::try_from(times % points).expect("small")];
            faults::fail_at(arena, point, 1 + times / points);
        },
    );
}

#[test]
fn workers_are_paused_past_their_lease() {
    on_both(
        "worker: paused for two leases (SIGSTOP)",
        true,
        |arena, dice, _| {
            faults::pause_worker(arena, dice);
        },
    );
}

#[test]
fn the_coordinator_is_paused_past_all_leases() {
    on_both(
        "coordinator: paused for two leases (SIGSTOP)",
        true,
        |arena, dice, _| {
            faults::pause_coordinator(arena, dice);
        },
    );
}

#[test]
fn links_are_cut_both_ways() {
    on_both(
        "link: cut both ways for two leases, connections stay open",
        true,
        |arena, dice, _| {
            faults::cut(arena, dice, Weather::Cut);
        },
    );
}

#[test]
fn links_are_cut_one_way() {
    on_both(
        "link: cut one way for two leases",
        true,
        |arena, dice, times| {
            let one_way = [Weather::CutUp, Weather::CutDown];
            faults::cut(arena, dice, one_way[usize::from(times % 2 == 1)]);
        },
    );
}

#[test]
fn links_are_slow_and_connections_reset() {
    on_both(
        "link: 10 KB/s in pieces of 97 bytes; connections reset",
        true,
        |arena, dice, times| {
            if times % 2 == 0 {
                faults::slow(arena, dice);
            } else {
                faults::reset(arena, dice);
            }
        },
    );
}

#[test]
fn clocks_are_set_an_hour_on_and_back() {
    on_both(
        "coordinator's clock: set an hour on or back",
        false,
        |arena, dice, _| {
            faults::step_clocks(arena, dice);
        },
    );
}

#[test]
fn one_of_two_coordinators_dies_or_hangs() {
    let Some(database) = postgres::database() else {
        return;
    };
    let start = || on_postgres(&database, 2);
    scenario(
        "one of two coordinators: kill -9 or paused",
        "PostgreSQL",
        true,
        start,
        |arena, dice, times| {
            if times % 2 == 0 {
                faults::kill_coordinator(arena, dice);
            } else {
                faults::pause_coordinator(arena, dice);
            }
        },
    );
}

#[test]
fn the_database_server_crashes() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let server = &cluster.primary;
    let start = || on_server(&cluster, server.address);
    scenario(
        "database: stopped at once and started (-m immediate), backends killed",
        "PostgreSQL",
        true,
        start,
        |_, dice, times| {
            if times % 2 == 0 {
                faults::crash_database(server, dice);
            } else {
                faults::kill_backends(server, dice);
            }
        },
    );
}

#[test]
fn the_database_fails_over_to_its_standby() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let standby = cluster.standby();
    let link = Proxy::start(cluster.primary.address);
    let mut tally = Tally::default();
    let mut arena = on_server_through(&cluster, &standby, &link);
    arena.recover();
    cluster.primary.crash();
    standby.promote();
    // Nobody waits for a standby that is no longer there.
    standby.sql("ALTER SYSTEM RESET synchronous_standby_names");
    standby.sql("SELECT pg_reload_conf()");
    link.lead_to(standby.address);
    link.set(Weather::Down);
    std::thread::sleep(Duration::from_millis(200));
    link.set(Weather::Fair);
    tally.times = 1;
    tally.recoveries.extend(arena.recover());
    tally.end(&mut arena, true);
    tally.print(
        "database: primary crashes, synchronous standby takes over",
        "PostgreSQL",
    );
}

/// A coordinator on a server of our own, which is emptied first.
fn on_server(cluster: &Cluster, at: std::net::SocketAddr) -> Arena {
    let url = cluster.primary.url(at);
    let _ = Sandbox::new()
        .descent(["--db", &url, "delete", "chaos", "--yes"])
        .output();
    Arena::start(SWEEP, "chaos", (url.clone(), url), 1, 2)
}

/// The same, reached over a link; read where it will be in the end.
fn on_server_through(cluster: &Cluster, standby: &server::Server, link: &Proxy) -> Arena {
    let read = cluster.primary.url(standby.address);
    let served = cluster.primary.url(link.address());
    Arena::start(SWEEP, "chaos", (read, served), 1, 2)
}
