//! `descent data`: lists, fetches and imports data sets.

mod archive;
mod fetch;
mod import;
mod list;

use std::path::PathBuf;

use anyhow::Context;
use descent_training::data::default_folder;

use crate::exit::{Exit, Failed};
use crate::global::Global;

/// Options of `descent data`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of data sets, each a folder of its name [default: ~/.cache/descent/datasets].
    #[arg(long, global = true, env = "DESCENT_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

/// What to do with data.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Shows the data sets that are here, and those that can be fetched.
    #[command(after_help = "Example:\n  descent data list --format json")]
    List,
    /// Downloads public data sets, checks their SHA-256 sums, and keeps them.
    #[command(
        after_help = "Examples:\n  descent data fetch mnist fashion-mnist\n  descent data fetch cifar10 --mirror https://example.org/cifar/"
    )]
    Fetch {
        /// Which: mnist, fashion-mnist, cifar10.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Take the files from this address instead of the built-in mirrors; several are tried in turn.
        #[arg(long, env = "DESCENT_DATA_MIRROR", value_name = "URL")]
        mirror: Vec<String>,
    },
    /// Checks IDX or CIFAR-10 files that are here already, and copies them under a name.
    #[command(
        after_help = "Examples:\n  descent data import mnist ~/old/mnist\n  descent data import letters emnist/*.gz"
    )]
    Import {
        /// The name by which sweeps will refer to it.
        name: String,
        /// A folder, or the files themselves.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
}

/// Runs the command.
pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let Some(folder) = args.data_dir.or_else(default_folder) else {
        return Err(Failed::usage(
            "there is no home folder to keep data in: name one with --data-dir",
        ));
    };
    let format = global.format;
    // Reading, hashing and downloading block; the runtime's threads must not.
    let work = move || match args.action {
        Action::List => list::run(&folder, format),
        Action::Fetch { names, mirror } => fetch::run(&folder, &names, &mirror),
        Action::Import { name, paths } => import::run(&folder, &name, &paths),
    };
    tokio::task::spawn_blocking(work)
        .await
        .context("work on data")?
}
