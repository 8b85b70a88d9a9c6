//! What disks do: they fill up, and they lose the end of what was written last.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::arena::Arena;
use crate::harness::{Dice, Sandbox, stderr};
use crate::{SWEEP, Tally, calm};

/// A small disk of its own, unmounted with this value.
struct Disk(PathBuf);

impl Disk {
    /// `None`: this user may not mount one.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder to mount on");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", size, "tmpfs"])
            .arg(at)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| Self(at.to_owned()))
    }

    /// Fills it to the last byte; removing the file heals it.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = fs::File::create(&path).expect("a file on the small disk");
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn the_disk_fills_up_and_is_freed() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let Some(disk) = Disk::mount(&place.path().join("disk"), "size=8m") else {
        eprintln!("SKIPPED: a small disk cannot be mounted here");
        return;
    };
    calm();
    let db = format!("sqlite:{}", disk.0.join("queue.db").display());
    let mut tally = Tally::default();
    let mut arena = Arena::start(SWEEP, "chaos", (db.clone(), db), 1, 2);
    arena.recover();
    for _ in 0..3 {
        if arena.is_over() {
            break;
        }
        let ballast = disk.fill();
        std::thread::sleep(Duration::from_secs(3));
        fs::remove_file(ballast).expect("the ballast goes");
        tally.times += 1;
        tally.recoveries.extend(arena.recover());
    }
    tally.end(&mut arena, true);
    tally.print("disk of the database: full for two leases", "SQLite");
}

/// The database as a power failure leaves it: its files, copied while the coordinator stands still.
fn copy(arena: &mut Arena, to: &Sandbox) {
    arena.coordinator(0).signal(19);
    // Stopped only when the system says so.
    std::thread::sleep(Duration::from_millis(50));
    for name in ["queue.db", "queue.db-wal"] {
        let from = arena.sandbox.path(name);
        if from.exists() {
            fs::copy(from, to.path(name)).expect("copy the database");
        }
    }
}

/// Reads a copy: sound, and its own counters true. Answers which attempts succeeded in it.
fn sound(copy: &Sandbox) -> Vec<String> {
    let backup = copy.run("--db sqlite:queue.db db backup whole");
    let text = stderr(&backup);
    // Files of weights were not copied; the database itself has to be sound.
    assert!(
        !text.contains("not sound") && !text.contains("malformed"),
        "{text}"
    );
    let query = |sql: &str| {
        let output = copy
            .descent([
                "--db",
                "sqlite:queue.db",
                "--format",
                "csv",
                "sql",
                "--limit",
                "0",
                sql,
            ])
            .output()
            .expect("start descent");
        assert!(output.status.success(), "{}", stderr(&output));
        let text = String::from_utf8(output.stdout).expect("stdout is text");
        text.lines()
            .skip(1)
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
    };
    let unequal = query(
        "SELECT y.state FROM sweep_tally y WHERE y.trials <>
            (SELECT count(*) FROM sweep_trial s JOIN trial t ON t.id = s.trial_id
             WHERE s.sweep_id = y.sweep_id AND t.state = y.state)",
    );
    assert_eq!(unequal, Vec::<String>::new(), "counters");
    let without = query(
        "SELECT t.id FROM trial t LEFT JOIN result r ON r.trial_id = t.id
         WHERE (t.state = 'succeeded') <> (r.trial_id IS NOT NULL)",
    );
    assert_eq!(without, Vec::<String>::new(), "results");
    query(
        "SELECT trial_id || ' ' || attempt AS a FROM attempt WHERE outcome = 'succeeded' ORDER BY trial_id",
    )
}

/// Damages the end of the log, as a disk may that lied about a sync: cut off, or bits flipped.
fn damage(copy: &Sandbox, dice: &mut Dice) {
    let path = copy.path("queue.db-wal");
    let Ok(mut bytes) = fs::read(&path) else {
        return;
    };
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len() as u64;
    let at = usize::try_from(length - 1 - dice.below(length.min(40_000))).expect("in memory");
    if dice.below(2) == 0 {
        bytes.truncate(at);
    } else {
        bytes[at] ^= 0x55;
    }
    fs::write(&path, bytes).expect("damage the copy");
}

#[test]
fn a_torn_log_is_a_prefix_of_what_was_acknowledged() {
    calm();
    let mut dice = Dice(crate::from_environment("CHAOS_SEED", 1));
    let mut times = 0;
    let budget = Duration::from_secs(crate::from_environment("CHAOS_SECONDS", 6));
    let since = std::time::Instant::now();
    while times == 0 || since.elapsed() < budget {
        let mut arena = crate::sqlite();
        arena.recover();
        let mut earlier: Vec<String> = Vec::new();
        while !arena.is_over() && (times == 0 || since.elapsed() < budget) {
            std::thread::sleep(Duration::from_millis(dice.below(1500)));
            let acknowledged = arena.ledger().acks;
            let whole = Sandbox::new();
            copy(&mut arena, &whole);
            let torn = Sandbox::new();
            for name in ["queue.db", "queue.db-wal"] {
                let _ = fs::copy(whole.path(name), torn.path(name));
            }
            arena.coordinator(0).signal(18);
            // As the power failed: all that anybody was told is there.
            let there = sound(&whole);
            for ack in acknowledged.iter().filter(|ack| ack.what == "complete") {
                let name = format!("{} {}", ack.attempt.0, ack.attempt.1);
                assert!(there.contains(&name), "lost: {ack:?}");
            }
            // With the end damaged: whatever there is, was.
            damage(&torn, &mut dice);
            for name in sound(&torn) {
                assert!(there.contains(&name), "never happened: {name}");
            }
            for name in earlier {
                assert!(there.contains(&name), "gone again: {name}");
            }
            earlier = there;
            times += 1;
        }
        let mut tally = Tally::default();
        tally.end(&mut arena, true);
    }
    let mut tally = Tally {
        times,
        ..Tally::default()
    };
    tally.print("power failure: the database's files as they are, and with the log's end cut off or flipped", "SQLite");
}
