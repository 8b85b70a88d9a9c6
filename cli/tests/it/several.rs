//! Real processes: a worker whose coordinator dies, falls silent or is replaced; a SQLite file that is taken over; stopping in order
//! and at once.

use std::time::{Duration, Instant};

use crate::harness::{Process, Sandbox, stderr};
use crate::postgres;

/// Two trials of some seconds, with checkpoints and measurements all the time.
const LONG: &str = r#"
name = "long"
experiment = "risk-curve"
[data]
dataset = "mnist-4k"
samples = 200
test_samples = 100
[train]
optimizer = { kind = "adam", lr = 0.002 }
batch = 23
epochs = 4000
[evaluate]
points = 200
[axes]
width = [40]
seed = { count = 2 }
[run]
checkpoint_epochs = 20
"#;

/// Short enough that an outage of these tests outlasts a lease.
const LEASE_MS: &str = "1500";

/// A coordinator, and its address.
fn serve(sandbox: &Sandbox, db: &str, listen: &str, more: &[&str]) -> (Process, String) {
    try_serve(sandbox, db, listen, more).expect("nobody holds the database")
}

/// The same; `None` where another process is in the middle of a transaction.
fn try_serve(
    sandbox: &Sandbox,
    db: &str,
    listen: &str,
    more: &[&str],
) -> Option<(Process, String)> {
    let arguments = [
        "--db",
        db,
        "serve",
        "--listen",
        listen,
        "--lease-ms",
        LEASE_MS,
    ];
    let mut coordinator = Process::start(sandbox.descent(arguments.iter().chain(more)));
    let line = coordinator.until_any(&[" on 127.0.0.1:", "another process keeps it locked"]);
    let address = line.rsplit(' ').next().expect("an address").trim();
    let serves = line.contains(" on 127.0.0.1:");
    serves.then(|| (coordinator, address.to_owned()))
}

/// A worker of one slot, and its spool.
fn worker(sandbox: &Sandbox, addresses: &[&str], more: &[&str]) -> Process {
    let urls: Vec<String> = addresses.iter().map(|at| format!("http://{at}")).collect();
    let urls = urls.join(",");
    let arguments = [
        "--coordinator",
        &urls,
        "worker",
        "--workers",
        "1",
        "--spool",
        "spool",
    ];
    Process::start(sandbox.descent(arguments.iter().chain(more)))
}

fn submit(sandbox: &Sandbox, address: &str) {
    sandbox.file("sweep.toml", LONG);
    sandbox.ok(&format!("--coordinator http://{address} submit sweep.toml"));
}

/// Waits until the sweep is finished.
fn finish(sandbox: &Sandbox, address: &str) {
    sandbox.ok(&format!(
        "--coordinator http://{address} watch long --progress none"
    ));
}

/// The same numbers as in one undisturbed process, every measurement once, and no trial begun twice.
fn check(sandbox: &Sandbox, db: &str) {
    let verify = sandbox.descent(["--db", db, "verify"]).output();
    let verify = verify.expect("start descent");
    assert!(verify.status.success(), "{}", stderr(&verify));
    let attempts = sandbox.descent([
        "--db",
        db,
        "--format",
        "csv",
        "sql",
        "SELECT max(attempts) AS most FROM trials",
    ]);
    let attempts = { attempts }.output().expect("start descent");
    assert_eq!(String::from_utf8_lossy(&attempts.stdout), "most\n1\n");
    let calm = Sandbox::new();
    calm.file("sweep.toml", LONG);
    calm.ok("run sweep.toml --workers 1 --progress none --no-figure");
    assert_eq!(sandbox.numbers(db), calm.numbers("sqlite:descent.db"));
}

#[test]
fn a_worker_outlives_its_coordinator_and_delivers_everything_once() {
    let sandbox = Sandbox::new();
    let db = "sqlite:queue.db";
    let (mut coordinator, address) = serve(&sandbox, db, "127.0.0.1:0", &[]);
    submit(&sandbox, &address);
    let mut worker = worker(&sandbox, &[&address], &[]);
    worker.until("checkpoint committed");
    coordinator.kill();
    worker.until("the coordinator does not answer, training goes on");
    // Longer than the lease.
    std::thread::sleep(Duration::from_secs(2));
    let (mut coordinator, _) = serve(&sandbox, db, &address, &[]);
    worker.until("the coordinator answers again");
    coordinator.kill();
    let (_coordinator, _) = serve(&sandbox, db, &address, &[]);
    finish(&sandbox, &address);
    worker.signal(15);
    let (code, log) = worker.wait();
    assert_eq!(code, Some(143), "{log}");
    assert!(
        log.contains("2 trials completed, 0 failed, 0 handed back, 0 dropped"),
        "{log}"
    );
    check(&sandbox, db);
}

#[test]
fn a_worker_moves_on_from_a_coordinator_that_dies_or_falls_silent() {
    let Some(database) = postgres::database() else {
        return;
    };
    let sandbox = Sandbox::new();
    let start = |listen: &str| serve(&sandbox, &database.url, listen, &["--artifacts", "files"]);
    let (one, first) = start("127.0.0.1:0");
    let (mut other, second) = start("127.0.0.1:0");
    submit(&sandbox, &first);
    let mut worker = worker(&sandbox, &[&first, &second], &[]);
    worker.until("checkpoint committed");
    // Silent, with its connections open: nothing tells that it hangs but that it does not answer.
    one.signal(19);
    worker.until("the coordinator does not answer");
    worker.until("the coordinator answers again");
    // The trials may have ended meanwhile.
    worker.until_any(&["checkpoint committed", "trial completed"]);
    one.signal(18);
    other.kill();
    // Whichever of its calls notices it, the worker goes back to the first.
    finish(&sandbox, &first);
    check(&sandbox, &database.url);
}

#[test]
fn a_coordinator_that_was_paused_is_shut_out_of_a_file_that_was_taken_over() {
    let sandbox = Sandbox::new();
    let db = "sqlite:queue.db";
    let (mut first, address) = serve(&sandbox, db, "127.0.0.1:0", &[]);
    sandbox.file("sweep.toml", LONG);
    sandbox.ok(&format!("--coordinator http://{address} submit sweep.toml"));
    first.signal(19);
    let refused = sandbox.run("--db sqlite:queue.db serve --listen 127.0.0.1:0");
    assert_eq!(refused.status.code(), Some(3));
    let reason = stderr(&refused);
    assert!(
        reason.contains(&address) && reason.contains("--take-over"),
        "{reason}"
    );

    let (_second, successor) = loop {
        if let Some(second) = try_serve(&sandbox, db, "127.0.0.1:0", &["--take-over"]) {
            break second;
        }
        // It was paused in the middle of a transaction, which nobody can take from it.
        first.signal(18);
        first.lines(1);
        first.signal(19);
    };
    sandbox.ok(&format!("--coordinator http://{successor} pause long"));
    // The lock speaks of the successor now, and keeps others out as before.
    let refused = sandbox.run("--db sqlite:queue.db serve --listen 127.0.0.1:0");
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        stderr(&refused).contains(&successor),
        "{}",
        stderr(&refused)
    );

    first.signal(18);
    let (code, log) = first.wait();
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("taken the database over"), "{log}");
    let status = sandbox.ok(&format!(
        "--coordinator http://{successor} --format json status long"
    ));
    assert!(status.contains("\"paused\""), "{status}");
    sandbox.ok("--db sqlite:queue.db verify");
}

#[test]
fn a_worker_without_its_coordinator_stops_in_time_and_at_once_when_told_twice() {
    let sandbox = Sandbox::new();
    let (mut coordinator, address) = serve(&sandbox, "sqlite:queue.db", "127.0.0.1:0", &[]);
    submit(&sandbox, &address);
    let mut patient = worker(&sandbox, &[&address], &["--drain-s", "2"]);
    patient.until("checkpoint committed");
    let mut hasty = worker(&sandbox, &[&address], &["--drain-s", "600"]);
    hasty.until("session open");
    coordinator.kill();
    patient.until("the coordinator does not answer");
    let told = Instant::now();
    patient.signal(15);
    let (code, log) = patient.wait();
    assert_eq!(code, Some(143), "{log}");
    assert!(
        log.contains("not everything could be delivered in time"),
        "{log}"
    );
    let took = told.elapsed();
    assert!(
        Duration::from_secs(1) < took && took < Duration::from_secs(30),
        "{took:?}"
    );

    hasty.until("the coordinator does not answer");
    hasty.signal(15);
    hasty.until("a second signal ends at once");
    hasty.signal(15);
    let (code, log) = hasty.wait();
    assert_eq!(code, Some(143), "{log}");
}
