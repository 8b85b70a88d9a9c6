//! Databases for tests: one temporary PostgreSQL server for all tests of this machine's user, one database for each test.
//!
//! `TEST_POSTGRES_URL` names a server to use instead (its user may create databases). Otherwise the programs are looked for
//! in `PG_BIN`, where `pg_config --bindir` points, and in `/usr/lib/postgresql/*/bin`. Without any, tests that need a server
//! are skipped with a line on stderr, or fail when `CI=true`. The server ends by itself some minutes after its last use.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A fresh database, dropped with this value.
pub(crate) struct Database {
    /// Its address.
    pub(crate) url: String,
    name: String,
    server: Server,
}

impl Drop for Database {
    fn drop(&mut self) {
        // A leftover does no harm: the server is temporary.
        let _ = self.server.run(&format!(
            "DROP DATABASE IF EXISTS {} WITH (FORCE)",
            self.name
        ));
    }
}

/// A database of its own for a test; `None`: there is no PostgreSQL here, and that is allowed.
pub(crate) fn database() -> Option<Database> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let server = server()?;
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_micros();
    let name = format!("test_{}_{time}_{made}", std::process::id());
    server.run(&format!("CREATE DATABASE {name}")).unwrap();
    let url = server.url(&name);
    Some(Database { url, name, server })
}

/// Where a server is, and which program talks to it.
struct Server {
    psql: PathBuf,
    /// Address up to and including the `/` before the database's name, and what follows the name.
    address: (String, String),
}

impl Server {
    fn url(&self, database: &str) -> String {
        format!("{}{database}{}", self.address.0, self.address.1)
    }

    fn run(&self, sql: &str) -> Result<(), String> {
        let psql = || {
            Command::new(&self.psql)
                .args([
                    "--no-psqlrc",
                    "--quiet",
                    "--set=ON_ERROR_STOP=1",
                    "--command",
                    sql,
                ])
                .arg(self.url("postgres"))
                .stdin(Stdio::null())
                .output()
                .map_err(|error| format!("psql: {error}"))
        };
        let done = psql()?;
        if done.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&done.stderr).into_owned())
    }
}

#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn server() -> Option<Server> {
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        let psql = binaries().map_or_else(|| "psql".into(), |bin| bin.join("psql"));
        return Some(Server {
            psql,
            address: split(&url),
        });
    }
    let Some(bin) = binaries() else {
        let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(
            !ci,
            "no PostgreSQL found: install it, or set TEST_POSTGRES_URL or PG_BIN"
        );
        eprintln!("SKIPPED: no PostgreSQL found (set TEST_POSTGRES_URL or PG_BIN)");
        return None;
    };
    let folder = start(&bin);
    let address = (
        "postgres://postgres@localhost/".to_owned(),
        format!("?host={}", folder.display()),
    );
    Some(Server {
        psql: bin.join("psql"),
        address,
    })
}

/// An address, cut where the database's name stands.
fn split(url: &str) -> (String, String) {
    let (base, query) = url
        .split_once('?')
        .map_or((url, String::new()), |(base, query)| {
            (base, format!("?{query}"))
        });
    let after_scheme = base.find("://").map_or(0, |at| at + 3);
    let end = base[after_scheme..]
        .find('/')
        .map_or(base.len(), |at| after_scheme + at);
    (format!("{}/", &base[..end]), query)
}

pub(crate) fn binaries() -> Option<PathBuf> {
    let has_server =
        |folder: &PathBuf| folder.join("initdb").exists() && folder.join("pg_ctl").exists();
    if let Some(folder) = std::env::var_os("PG_BIN") {
        return Some(PathBuf::from(folder)).filter(has_server);
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if has_server(&folder) {
            return Some(folder);
        }
    }
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(has_server)
        .collect();
    found.sort();
    found.pop()
}

/// Whose processes the server's are: PostgreSQL refuses to run as root.
pub(crate) fn account() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let ids = |name: &str| {
        let line = accounts
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody"))
}

/// Starts the server unless it runs; answers the folder of its socket.
#[allow(
    clippy::zombie_processes,
    reason = "the watcher outlives the test on purpose"
)]
fn start(bin: &Path) -> PathBuf {
    let account = account();
    let user = fs::metadata("/proc/self").map_or(0, |me| me.uid());
    let folder = std::env::temp_dir().join(format!("descent-test-postgres-{user}"));
    fs::create_dir_all(&folder).unwrap();
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))
        .unwrap();
    // Given up when `lock` goes: tests of other processes wait here while the first one starts the server.
    lock.lock().unwrap();
    File::create(folder.join("used")).unwrap();
    let data = folder.join("data");
    let command = |program: &str| {
        let mut command = Command::new(bin.join(program));
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some((user, group)) = account {
            command.uid(user).gid(group);
        }
        command
    };
    let running = command("pg_ctl")
        .args(["status", "-D"])
        .arg(&data)
        .status()
        .unwrap()
        .success();
    if running {
        return folder;
    }
    let _ = fs::remove_dir_all(&data);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    if let Some((user, group)) = account {
        chown(&folder, Some(user), Some(group)).unwrap();
    }
    let made = command("initdb")
        .args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
            "-D",
        ])
        .arg(&data)
        .status()
        .unwrap();
    assert!(made.success(), "initdb failed");
    let options = format!(
        "-c fsync=off -c full_page_writes=off -c max_connections=300 -c listen_addresses='' \
         -c unix_socket_directories='{}'",
        folder.display()
    );
    let started = command("pg_ctl")
        .args(["start", "--wait", "--options", &options, "--log"])
        .arg(folder.join("log"))
        .arg("-D")
        .arg(&data)
        .status()
        .unwrap();
    assert!(
        started.success(),
        "the test server did not start: see {}/log",
        folder.display()
    );
    // Stops it when nobody has asked for a database for a while.
    let watch = "while [ -n \"$(find \"$1/used\" -mmin -10)\" ]; do sleep 30; done; \
                 \"$0\" stop -m immediate -D \"$1/data\"";
    let mut watcher = Command::new("sh");
    watcher
        .arg("-c")
        .arg(watch)
        .arg(bin.join("pg_ctl"))
        .arg(&folder);
    watcher.current_dir("/").process_group(0);
    watcher
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some((user, group)) = account {
        watcher.uid(user).gid(group);
    }
    watcher.spawn().unwrap();
    folder
}
