//! A folder, the real binary in it, and what its results are.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Numbers that must not depend on interruptions, companions or processes; everything of a result but times and attempts.
const RESULTS: &str = "SELECT identity, width, seed, label_noise, parameters, epochs, stop, train_loss, train_error, test_loss, test_error, dead_units, diverged, weights FROM results ORDER BY identity";
const METRICS: &str = "SELECT t.identity, m.epoch, m.split, m.name, m.value FROM metrics m JOIN trials t ON t.trial = m.trial ORDER BY t.identity, m.epoch, m.split, m.name";

/// A small sweep of a second or two, with checkpoints often enough that interruptions find something to go on from.
pub(crate) const SMALL: &str = r#"
name = "small"
experiment = "risk-curve"
[data]
dataset = "mnist-4k"
samples = 200
test_samples = 100
[train]
optimizer = { kind = "adam", lr = 0.002 }
batch = 23
epochs = 600
[evaluate]
points = 5
[axes]
width = [1, 3, 8, 40]
"data.label_noise" = [0.0, 0.2]
seed = { count = 2 }
[run]
checkpoint_epochs = 30
"#;

/// A chain: each width below the threshold starts from the trained weights of the one before.
pub(crate) const CHAIN: &str = r#"
name = "chain"
experiment = "risk-curve"
[data]
dataset = "mnist-4k"
samples = 150
test_samples = 100
[train]
optimizer = { kind = "sgd", lr = 0.01, momentum = 0.95 }
weight_reuse = "below-threshold"
batch = 32
epochs = 1200
[axes]
width = [1, 2, 4, 9]
seed = { count = 2 }
[run]
checkpoint_epochs = 30
"#;

/// A folder of its own.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into it.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("write into the sandbox");
        path
    }

    /// The binary, with nothing of the tester's environment that it would listen to.
    pub(crate) fn descent<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_descent"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("DESCENT_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.descent(line.split_whitespace())
            .output()
            .expect("start descent")
    }

    /// Runs the binary to its end, which must be a success, and gives its stdout.
    pub(crate) fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(
            output.status.success(),
            "descent {line}: {}\n{}",
            output.status,
            stderr(&output)
        );
        String::from_utf8(output.stdout).expect("stdout is text")
    }

    /// All results and measurements in a database, as text: equal text is equal numbers, to the last bit that is printed
    /// (shortest form that reads back the same), and equal hashes of the final weights.
    pub(crate) fn numbers(&self, db: &str) -> String {
        let query = |sql: &str| {
            let output = self
                .descent(["--db", db, "--format", "csv", "sql", "--limit", "0", sql])
                .output()
                .expect("start descent");
            assert!(output.status.success(), "{}", stderr(&output));
            String::from_utf8(output.stdout).expect("stdout is text")
        };
        format!("{}\n{}", query(RESULTS), query(METRICS))
    }
}

/// What a finished process wrote to stderr.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A silence after which nothing more is expected of a process for the moment.
const SILENCE: Duration = Duration::from_millis(400);

/// A process that is killed when the test ends, however it ends.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts it. Its log is read all the time, so that it never waits for us.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .env(
                "RUST_LOG",
                "descent=debug,descent_coordinator=debug,descent_worker=debug,sqlx=debug",
            )
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start descent");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for a log line that holds `wanted`, and gives it.
    pub(crate) fn until(&mut self, wanted: &str) -> String {
        self.until_any(&[wanted])
    }

    /// Waits for a log line that holds one of these, and gives it.
    pub(crate) fn until_any(&mut self, wanted: &[&str]) -> String {
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(60)) {
            if wanted.iter().any(|wanted| line.contains(wanted)) {
                return line;
            }
            seen.push(line);
        }
        panic!("no line holds one of {wanted:?}: {}", seen.join("\n"));
    }

    /// Waits for `count` log lines, or for a silence. Answers whether the process still runs: the clock of the fault tests,
    /// which strikes at statements and messages rather than after some time.
    pub(crate) fn lines(&mut self, count: usize) -> bool {
        for _ in 0..count {
            if self.lines.recv_timeout(SILENCE).is_err() {
                break;
            }
        }
        self.child
            .try_wait()
            .expect("the child can be asked")
            .is_none()
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself just now: then there is nobody left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by its number.
    pub(crate) fn signal(&self, signal: i32) {
        let status = Command::new("kill")
            .args([format!("-{signal}"), self.child.id().to_string()])
            .status();
        assert!(status.expect("start kill").success());
    }

    /// Waits for its end; gives the exit code and the last lines of its log.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("the child can be waited for");
        let lines: Vec<String> = self.lines.iter().collect();
        let last = lines[lines.len().saturating_sub(30)..].join("\n");
        (status.code(), last)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A small generator of the points at which faults strike (SplitMix64), so that a failure names its seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}
