//! `descent db`: backs the database up, collects unused files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use descent_coordinator::artifacts::{ArtifactError, Artifacts};
use descent_coordinator::backup::backup;
use descent_coordinator::clock::{Clock as _, SystemClock};
use descent_coordinator::store::StoreError;

use crate::exit::{Exit, Failed};
use crate::global::Global;
use crate::{embedded, output};

/// Backs the database up, collects unused files.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  descent db backup /backup/2026-11-23      the queue and the files it refers to, while a coordinator is at work\n  descent db gc                            removes files that nothing refers to any more"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

/// What to do with the database.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// Copies a SQLite queue and the files it refers to into a new folder. (PostgreSQL: pg_dump, and a copy of the files.)
    Backup {
        /// The folder; made if need be.
        folder: PathBuf,
    },
    /// Removes checkpoints and weights that no trial refers to. A serving coordinator does so by itself every ten minutes.
    Gc,
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let files = embedded::artifacts_beside(&global.db)?;
    match args.what {
        What::Backup { folder } => copy(&folder, &files, global).await,
        What::Gc => collect(files, global).await,
    }
}

/// Copies the queue first: a file that it refers to was written before the row that says so.
async fn copy(folder: &Path, files: &Path, global: &Global) -> anyhow::Result<Exit> {
    let Some(database) = global.db.strip_prefix("sqlite:") else {
        return Err(Failed::usage(
            "PostgreSQL has its own tool: pg_dump, and a copy of the folder of artifacts",
        ));
    };
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let to = folder.join("descent.db");
    let hashes = backup(Path::new(database.trim_start_matches("//")), &to)
        .await
        .map_err(|error| match error {
            StoreError::Conflict(message) => Failed::usage(message),
            other => Failed::unreachable(format!("back {database} up: {other}")),
        })?;
    for hash in &hashes {
        let name = hash.to_string();
        let beside = folder.join("descent.db.artifacts").join(&name[..2]);
        std::fs::create_dir_all(&beside)?;
        let from = files.join(&name[..2]).join(&name[2..]);
        std::fs::copy(&from, beside.join(&name[2..]))
            .with_context(|| format!("copy {}", from.display()))?;
    }
    output::note(&format!(
        "{} and {} files; check it with: descent --db sqlite:{0} verify",
        to.display(),
        hashes.len()
    ));
    Ok(Exit::Success)
}

/// Removes files that nothing refers to. Needs the database for itself, so that no upload is under way.
async fn collect(files: PathBuf, global: &Global) -> anyhow::Result<Exit> {
    let store = embedded::open(&global.db).await?;
    let artifacts = Artifacts::open(files, u64::MAX)?;
    let removed: Result<u64, Collect> = artifacts
        .collect(SystemClock.now(), async {
            store.artifacts_in_use().await.map_err(Collect::Store)
        })
        .await;
    store.close().await;
    output::note(&format!("{} files removed", removed?));
    Ok(Exit::Success)
}

/// Why a collection stopped.
#[derive(Debug, thiserror::Error)]
enum Collect {
    /// The database.
    #[error(transparent)]
    Store(StoreError),
    /// The files.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
}
