//! The same sweep split over processes: one coordinator, several workers, all of them killed now and then; on both databases
//! the same bits as in one undisturbed process.

use crate::harness::{CHAIN, Dice, Process, SMALL, Sandbox, stderr};
use crate::postgres;

/// A coordinator on a port of the system's choosing, and its address.
fn serve(sandbox: &Sandbox, db: &str, listen: &str) -> (Process, String) {
    let mut coordinator = Process::start(sandbox.descent([
        "--db",
        db,
        "serve",
        "--listen",
        listen,
        "--lease-ms",
        "1500",
    ]));
    let line = coordinator.until(" on 127.0.0.1:");
    let address = line
        .rsplit(' ')
        .next()
        .expect("the line ends with the address")
        .trim()
        .to_owned();
    (coordinator, address)
}

/// A worker of one slot.
fn worker(sandbox: &Sandbox, address: &str) -> Process {
    let url = format!("http://{address}");
    Process::start(sandbox.descent(["--coordinator", &url, "worker", "--workers", "1"]))
}

/// The numbers of an undisturbed run in one process.
fn calm(spec: &str) -> String {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", spec);
    sandbox.ok("run sweep.toml --workers 1 --progress none --no-figure");
    sandbox.numbers("sqlite:descent.db")
}

/// Submits, then lets workers and the coordinator be killed at random points of their own logs until the sweep is finished.
fn check(spec: &str, name: &str, db: &str, seed: u64) {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", spec);
    let (mut coordinator, address) = serve(&sandbox, db, "127.0.0.1:0");
    sandbox.ok(&format!("--coordinator http://{address} submit sweep.toml"));
    let mut dice = Dice(seed);
    let mut workers = [worker(&sandbox, &address), worker(&sandbox, &address)];
    let mut kills = 0;
    for round in 0..400_u64 {
        let status = sandbox.run(&format!(
            "--coordinator http://{address} --format json status {name}"
        ));
        let text = String::from_utf8_lossy(&status.stdout).into_owned();
        if text.contains("\"finished\"") {
            break;
        }
        assert!(
            round < 399,
            "seed {seed}: not finished after {kills} kills: {text}"
        );
        let point = usize::try_from(10 + dice.below(30 + 10 * round)).expect("small");
        match dice.below(3) {
            0 => {
                coordinator.lines(point);
                coordinator.kill();
                // The same port: workers that train on find it again by themselves.
                (coordinator, _) = serve(&sandbox, db, &address);
            }
            victim => {
                let victim = usize::try_from(victim - 1).expect("0 or 1");
                workers[victim].lines(point.min(60));
                workers[victim].kill();
                workers[victim] = worker(&sandbox, &address);
            }
        }
        kills += 1;
    }
    assert!(kills >= 3, "only {kills} kills");
    drop(workers);
    drop(coordinator);
    let verify = sandbox
        .descent(["--db", db, "verify"])
        .output()
        .expect("start descent");
    assert!(
        verify.status.success(),
        "{}{}",
        String::from_utf8_lossy(&verify.stdout),
        stderr(&verify)
    );
    assert_eq!(
        sandbox.numbers(db),
        calm(spec),
        "seed {seed} after {kills} kills"
    );
}

#[test]
fn killed_processes_on_sqlite_end_with_the_same_bits() {
    check(SMALL, "small", "sqlite:wild.db", 3);
}

#[test]
fn killed_processes_on_postgres_end_with_the_same_bits() {
    let Some(database) = postgres::database() else {
        return;
    };
    check(SMALL, "small", &database.url, 4);
}

#[test]
fn a_killed_chain_on_postgres_ends_with_the_same_bits() {
    let Some(database) = postgres::database() else {
        return;
    };
    check(CHAIN, "chain", &database.url, 5);
}
