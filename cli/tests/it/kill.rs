//! kill -9 at random points of a sweep in one process, resumed by the same line: the same bits as undisturbed.

use crate::harness::{CHAIN, Dice, Process, SMALL, Sandbox};

/// Runs a sweep undisturbed, then again with kills, and compares every number.
fn check(spec: &str, seed: u64, least_kills: u32) {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", spec);
    sandbox.ok("--db sqlite:calm.db run sweep.toml --workers 2 --progress none --no-figure");
    let calm = sandbox.numbers("sqlite:calm.db");

    let mut dice = Dice(seed);
    let mut kills = 0;
    // Each start gets further before it is killed, so that the sweep ends however fast the machine is.
    for start in 0..200_u64 {
        let line = "--db sqlite:wild.db run sweep.toml --workers 2 --progress none --no-figure";
        let mut process = Process::start(sandbox.descent(line.split_whitespace()));
        let point = 5 + dice.below(25 + 3 * start);
        if !process.lines(usize::try_from(point).expect("small")) {
            let (code, log) = process.wait();
            assert_eq!(code, Some(0), "seed {seed}: {log}");
            break;
        }
        process.kill();
        kills += 1;
    }
    assert!(
        kills >= least_kills,
        "only {kills} kills: the points are too far apart to mean something"
    );
    sandbox.ok("--db sqlite:wild.db verify");
    assert_eq!(
        sandbox.numbers("sqlite:wild.db"),
        calm,
        "seed {seed} after {kills} kills"
    );
}

#[test]
fn a_killed_sweep_resumes_with_the_same_bits() {
    check(SMALL, 1, 3);
}

#[test]
fn a_killed_chain_of_widths_resumes_with_the_same_bits() {
    check(CHAIN, 2, 3);
}

#[test]
fn an_interrupted_sweep_hands_back_and_resumes_with_the_same_bits() {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", SMALL);
    sandbox.ok("--db sqlite:calm.db run sweep.toml --workers 1 --progress none --no-figure");
    for (signal, code) in [(2, 130), (15, 143)] {
        let line = "--db sqlite:wild.db run sweep.toml --workers 1 --progress none --no-figure";
        let mut process = Process::start(sandbox.descent(line.split_whitespace()));
        process.until("checkpoint");
        process.signal(signal);
        let (ended, log) = process.wait();
        assert_eq!(ended, Some(code), "{log}");
    }
    sandbox.ok("--db sqlite:wild.db run sweep.toml --workers 2 --progress none --no-figure");
    assert_eq!(
        sandbox.numbers("sqlite:wild.db"),
        sandbox.numbers("sqlite:calm.db")
    );
}

#[test]
fn a_finished_sweep_has_nothing_to_do() {
    let sandbox = Sandbox::new();
    sandbox.file("sweep.toml", SMALL);
    sandbox.ok("run sweep.toml --workers 2 --progress none --no-figure");
    let before = sandbox.numbers("sqlite:descent.db");
    let again = sandbox.run("run sweep.toml --workers 2");
    assert!(again.status.success());
    assert!(
        crate::harness::stderr(&again).contains("nothing to do"),
        "{}",
        crate::harness::stderr(&again)
    );
    assert_eq!(sandbox.numbers("sqlite:descent.db"), before);
}
