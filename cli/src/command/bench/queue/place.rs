//! Where the queue is kept while it is measured: a new SQLite file, or an empty PostgreSQL database.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use descent_coordinator::reader::{Cell, Reader};

use super::figure::median;
use crate::embedded;
use crate::exit::Failed;
use crate::global;

/// Where, and how durable.
pub(super) struct Place {
    /// Whose coordinator is measured.
    pub(super) program: PathBuf,
    /// Of the database.
    pub(super) url: String,
    /// Folder for everything else; removed at the end.
    pub(super) folder: PathBuf,
    /// What the database promises of a commit, and how.
    pub(super) durability: String,
    /// How long the disk takes to make a page durable, in milliseconds.
    pub(super) sync_ms: f64,
}

impl Place {
    /// Makes the folder, and finds out what the database promises.
    ///
    /// # Errors
    /// When the folder cannot be made, or the database cannot be used or has sweeps.
    pub(super) async fn find(
        program: PathBuf,
        postgres: Option<&str>,
        parent: &Path,
    ) -> anyhow::Result<Self> {
        let folder = parent.join(format!("descent-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)
            .map_err(|error| Failed::usage(format!("make {}: {error}", folder.display())))?;
        let mut place = Self {
            program,
            url: format!("sqlite:{}", folder.join("queue.db").display()),
            sync_ms: sync_ms(&folder.join("sync")).context("time the disk")?,
            durability: "SQLite, WAL, synchronous=FULL".to_owned(),
            folder,
        };
        if let Some(url) = postgres {
            url.clone_into(&mut place.url);
            place.durability = durability(url).await?;
        }
        Ok(place)
    }

    /// Removes what an earlier case left: SQLite begins with a new file. Cases on a server remove their sweeps themselves.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub(super) fn forget(&self) -> anyhow::Result<()> {
        for ending in ["", "-wal", "-shm", ".lock"] {
            match fs::remove_file(self.folder.join(format!("queue.db{ending}"))) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Size of the database's files in MiB; `None` where they are a server's.
    pub(super) fn mib(&self) -> Option<f64> {
        let size = |ending: &str| {
            let file = self.folder.join(format!("queue.db{ending}"));
            fs::metadata(file).map(|meta| meta.len()).ok()
        };
        let bytes = size("")? + size("-wal").unwrap_or(0);
        Some(bytes as f64 / f64::from(1 << 20))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left lies where the user said, under a name that says what it is.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The median of some syncs of a page each.
fn sync_ms(path: &Path) -> std::io::Result<f64> {
    let mut file = File::create(path)?;
    let mut times = Vec::new();
    for _ in 0..50 {
        file.write_all(&[0; 4096])?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&mut times))
}

/// What a PostgreSQL server promises of a commit.
async fn durability(url: &str) -> anyhow::Result<String> {
    // Brings the schema up to date, without which nobody reads.
    let store = embedded::open(url).await?;
    store.close().await;
    let reader = Reader::open(url)
        .await
        .map_err(|error| Failed::unreachable(format!("{}: {error}", global::shown(url))))?;
    let used = !reader.sweeps().await?.is_empty();
    let told = reader
        .query(
            "SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
                current_setting('synchronous_commit') AS synchronous_commit,
                current_setting('full_page_writes') AS full_page_writes,
                current_setting('shared_buffers') AS shared_buffers,
                current_setting('wal_sync_method') AS wal_sync_method",
            1,
        )
        .await?;
    reader.close().await;
    if used {
        return Err(Failed::usage(format!(
            "{} has sweeps already: give a database that is for the benchmark alone",
            global::shown(url)
        )));
    }
    let mut words = Vec::new();
    for (column, cell) in told.columns.iter().zip(told.rows.iter().flatten()) {
        if let Cell::Text(value) = cell {
            words.push(format!("{}={value}", column.name));
        }
    }
    Ok(format!("PostgreSQL, {}", words.join(", ")))
}
