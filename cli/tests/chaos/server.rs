//! A PostgreSQL server of this test's own, durable as in earnest, which may be stopped, cut off and replaced by its standby.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::postgres;

/// One server: primary, or standby of one.
pub(crate) struct Server {
    bin: PathBuf,
    data: PathBuf,
    pub(crate) address: SocketAddr,
}

/// A folder that the server's account may write, and the server in it.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    pub(crate) primary: Server,
}

impl Cluster {
    /// Starts one; `None`: there is no PostgreSQL here, and that is allowed.
    pub(crate) fn start() -> Option<Self> {
        let bin = postgres::binaries()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permit");
        if let Some((user, group)) = postgres::account() {
            chown(folder.path(), Some(user), Some(group)).expect("hand the folder over");
        }
        let primary = Server {
            data: folder.path().join("primary"),
            address: free_address(),
            bin,
        };
        let data = primary.data.display().to_string();
        primary.run(
            "initdb",
            &["--username=postgres", "--auth=trust", "-D", &data],
        );
        primary.up();
        primary.sql("CREATE DATABASE chaos");
        Some(Self { folder, primary })
    }

    /// Gives the primary a standby; what the primary acknowledges from then on is on both.
    pub(crate) fn standby(&self) -> Server {
        let standby = Server {
            data: self.folder.path().join("standby"),
            address: free_address(),
            bin: self.primary.bin.clone(),
        };
        let (data, port) = (
            standby.data.display().to_string(),
            self.primary.address.port().to_string(),
        );
        let from = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
        let how = ["-D", &data, "-R", "-c", "fast"];
        standby.run("pg_basebackup", &[from.as_slice(), &how].concat());
        standby.up();
        self.primary
            .sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.primary.sql("SELECT pg_reload_conf()");
        standby
    }
}

impl Server {
    pub(crate) fn url(&self, at: SocketAddr) -> String {
        format!("postgres://postgres@{at}/chaos?sslmode=disable")
    }

    /// Starts it.
    pub(crate) fn up(&self) {
        let port = self.address.port();
        let options = format!(
            "-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=100"
        );
        let data = self.data.display().to_string();
        let log = self.data.with_extension("log").display().to_string();
        self.run(
            "pg_ctl",
            &["start", "-w", "-D", &data, "-l", &log, "-o", &options],
        );
    }

    /// Ends it as a crash would.
    pub(crate) fn crash(&self) {
        let data = self.data.display().to_string();
        self.run("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", &data]);
    }

    /// Makes a standby a primary.
    pub(crate) fn promote(&self) {
        let data = self.data.display().to_string();
        self.run("pg_ctl", &["promote", "-w", "-D", &data]);
    }

    pub(crate) fn sql(&self, sql: &str) {
        let port = self.address.port().to_string();
        self.run(
            "psql",
            &[
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-U",
                "postgres",
                "-qtAc",
                sql,
            ],
        );
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.bin.join(program));
        command.args(arguments).current_dir("/");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some((user, group)) = postgres::account() {
            command.uid(user).gid(group);
        }
        let status = command.status();
        let status = status.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(status.success(), "{program} {arguments:?}: {status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut command = Command::new(self.bin.join("pg_ctl"));
        command
            .args(["stop", "-m", "immediate", "-D"])
            .arg(&self.data);
        command
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some((user, group)) = postgres::account() {
            command.uid(user).gid(group);
        }
        let _ = command.status();
    }
}

/// A port that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}
