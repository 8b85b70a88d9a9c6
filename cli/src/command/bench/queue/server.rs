//! The coordinator that is measured: a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use descent_proto::channel::{Connection, Credentials};

use super::place::Place;
use crate::exit::Failed;

/// Clock ticks a second in `/proc`, on every Linux there is.
const TICKS: f64 = 100.0;

/// A running coordinator; killed when dropped.
pub(super) struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// Starts one and waits until it serves.
    ///
    /// # Errors
    /// When it does not, with what it said.
    pub(super) fn start(place: &Place) -> anyhow::Result<Self> {
        let mut process = Command::new(&place.program)
            .args(["serve", "--listen", "127.0.0.1:0", "--db", &place.url])
            .arg("--artifacts")
            .arg(place.folder.join("artifacts"))
            // What this process was told of other coordinators is not for this one.
            .env_remove("DESCENT_TOKEN")
            .env_remove("DESCENT_LEASE_MS")
            .env_remove("DESCENT_TLS_CERT")
            .env_remove("DESCENT_TLS_KEY")
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start a coordinator")?;
        let stderr = process.stderr.take().context("its words are piped")?;
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::new();
        let address = loop {
            match lines.next() {
                Some(Ok(line)) => {
                    if let Some(address) = line
                        .strip_prefix("serving ")
                        .and_then(|rest| rest.rsplit_once(" on "))
                    {
                        break address.1.to_owned();
                    }
                    said.push_str(&line);
                    said.push('\n');
                }
                _ => {
                    let _ = process.wait();
                    return Err(Failed::unreachable(format!(
                        "the coordinator did not start: {said}"
                    )));
                }
            }
        };
        // Whatever it says later is read, so that it never waits for a reader.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                tracing::warn!(line, "the coordinator says");
            }
        });
        Ok(Self {
            process,
            url: format!("http://{address}"),
        })
    }

    /// A new connection to it.
    pub(super) fn connect(&self) -> anyhow::Result<Connection> {
        Ok(Connection::new(&[&self.url], &Credentials::default())?)
    }

    /// kill -9.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Processor time that it has taken so far, all threads together.
    pub(super) fn processor_time(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The second field is the program's name, which may have blanks and ends with the last parenthesis.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().collect())
            .unwrap_or_default();
        let (Some(user), Some(system)) = (fields.get(11), fields.get(12)) else {
            bail!("/proc tells no processor time");
        };
        let ticks = user.parse::<u64>()? + system.parse::<u64>()?;
        Ok(Duration::from_secs_f64(ticks as f64 / TICKS))
    }

    /// Its memory that is resident, in MiB, and the most that it was.
    pub(super) fn memory_mib(&self) -> anyhow::Result<(f64, f64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let field = |name: &str| -> anyhow::Result<f64> {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .context("/proc tells no memory")?;
            let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
            Ok(kib / 1024.0)
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
