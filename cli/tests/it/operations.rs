//! Sweeps and workers that are stopped and go on, through real processes.

use std::time::{Duration, Instant};

use crate::harness::{Process, SMALL, Sandbox, stderr};

/// A coordinator of this SQLite file, and its address.
fn serve(sandbox: &Sandbox, file: &str) -> (Process, String) {
    let line = format!("--db sqlite:{file} serve --listen 127.0.0.1:0 --lease-ms 1500");
    let mut coordinator = Process::start(sandbox.descent(line.split_whitespace()));
    let line = coordinator.until(" on 127.0.0.1:");
    let address = line.rsplit(' ').next().expect("the address comes last");
    (coordinator, format!("http://{}", address.trim()))
}

/// Repeats a command until its output is as wanted.
fn until(sandbox: &Sandbox, line: &str, wanted: impl Fn(&str) -> bool) -> String {
    let since = Instant::now();
    loop {
        let output = sandbox.run(line);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if wanted(&text) {
            return text;
        }
        assert!(since.elapsed() < Duration::from_secs(240), "{line}: {text}");
    }
}

/// A column of the first row.
fn field(csv: &str, column: &str) -> String {
    let mut lines = csv.lines();
    let names = lines.next().unwrap_or_default();
    let at = names.split(',').position(|name| name == column);
    let at = at.unwrap_or_else(|| panic!("no column {column} in {csv}"));
    let row = lines.next().unwrap_or_default();
    row.split(',').nth(at).unwrap_or_default().to_owned()
}

#[test]
fn a_paused_sweep_lets_go_of_its_workers_and_ends_with_the_same_bits() {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", &SMALL.replace("epochs = 600", "epochs = 900"));
    sandbox.ok("--db sqlite:calm.db run sweep.toml --workers 1 --progress none --no-figure");
    let (coordinator, url) = serve(&sandbox, "descent.db");
    let to = format!("--coordinator {url} --format csv");
    sandbox.ok(&format!("{to} submit sweep.toml"));
    let line = format!("--coordinator {url} worker --workers 1");
    let mut worker = Process::start(sandbox.descent(line.split_whitespace()));
    worker.until("checkpoint committed");
    let paused = sandbox.ok(&format!("{to} pause small"));
    assert!(paused.contains("small,paused"), "{paused}");
    let status = format!("{to} status small");
    let text = until(&sandbox, &status, |text| field(text, "leased") == "0");
    assert_eq!(field(&text, "state"), "paused");
    assert_ne!(
        field(&text, "ready"),
        "0",
        "it was over before the pause: {text}"
    );
    // The worker is there, holds nothing and is given nothing.
    let there = sandbox.ok(&format!("{to} workers"));
    assert_eq!(
        (field(&there, "state"), field(&there, "trials")),
        ("open".into(), "0".into())
    );
    sandbox.ok(&format!("{to} resume small"));
    until(&sandbox, &status, |text| field(text, "state") == "finished");
    sandbox.ok(&format!("{to} drain {}", field(&there, "worker")));
    let (code, log) = worker.wait();
    assert_eq!(code, Some(0), "{log}");
    drop(coordinator);
    assert_eq!(
        sandbox.numbers("sqlite:descent.db"),
        sandbox.numbers("sqlite:calm.db")
    );
    sandbox.ok("verify");
}

#[test]
fn a_sweep_of_which_all_trials_fail_alike_is_paused_and_goes_on_when_told() {
    let sandbox = Sandbox::new();
    let sweep = SMALL
        .replace("width = [1, 3, 8, 40]", "width = [3900, 4000]")
        .replace("epochs = 600", "epochs = 1")
        .replace("[run]", "[run]\nmax_failures = 1\nmax_alike_failures = 3");
    sandbox.file("sweep.toml", &sweep);
    let run = sandbox.run("run sweep.toml --memory-mib 32 --no-figure");
    assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
    for part in [
        "paused",
        "3 trials in a row failed alike (out-of-memory)",
        "MiB",
    ] {
        assert!(stderr(&run).contains(part), "{}", stderr(&run));
    }
    let status = sandbox.run("--format csv status small");
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert_eq!(field(&text, "state"), "paused");
    assert!(text.contains("3 trials in a row"), "{text}");
    // With the cause mended, the same line goes on; what had failed is made up for.
    sandbox.ok("rerun small --failed");
    let run = sandbox.run("run sweep.toml --memory-mib 512 --no-figure");
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert!(stderr(&run).contains("it goes on"), "{}", stderr(&run));
    assert!(
        sandbox
            .ok("--format csv status small")
            .contains("small,finished")
    );
}

#[test]
fn a_backup_made_under_load_is_whole_and_goes_on_with_the_same_bits() {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", SMALL);
    sandbox.ok("--db sqlite:calm.db run sweep.toml --workers 1 --progress none --no-figure");
    let (coordinator, url) = serve(&sandbox, "descent.db");
    sandbox.ok(&format!("--coordinator {url} submit sweep.toml"));
    let line = format!("--coordinator {url} worker --workers 2");
    let mut worker = Process::start(sandbox.descent(line.split_whitespace()));
    worker.until("checkpoint committed");
    sandbox.ok("db backup copy");
    drop((worker, coordinator));
    sandbox.ok("--db sqlite:copy/descent.db verify");
    // The copy knows of a worker that is not there any more; another one makes up for it.
    let (coordinator, url) = serve(&sandbox, "copy/descent.db");
    let line = format!("--coordinator {url} worker --workers 2");
    let worker = Process::start(sandbox.descent(line.split_whitespace()));
    let status = format!("--coordinator {url} --format csv status small");
    until(&sandbox, &status, |text| field(text, "state") == "finished");
    drop((worker, coordinator));
    sandbox.ok("--db sqlite:copy/descent.db verify");
    assert_eq!(
        sandbox.numbers("sqlite:copy/descent.db"),
        sandbox.numbers("sqlite:calm.db")
    );
}
