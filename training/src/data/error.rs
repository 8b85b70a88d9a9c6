//! What can be wrong with data: which file, what about it, and the way out.

use std::io;
use std::path::PathBuf;

use descent_spec::id::ContentHash;

/// Why a data set cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No data set has this name, and no folder is at this path.
    #[error(
        "no data set `{name}`: looked for {looked}. `descent data list` shows what there is; `descent data fetch` gets mnist, \
         fashion-mnist and cifar10; a path needs a separator, as in `./{name}`"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        looked: String,
    },
    /// No data set here has this content.
    #[error(
        "no data set here has the content {hash}. `descent data fetch` gets the public ones; `--data-dir` points at a folder \
         that has it"
    )]
    Missing {
        /// The content asked for.
        hash: ContentHash,
    },
    /// A file is not what it should be.
    #[error("{path}: {problem}; {remedy}", path = .path.display())]
    Malformed {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// The way out.
        remedy: &'static str,
    },
    /// A file cannot be read.
    #[error("{path}: cannot be read: {source}", path = .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The data set is sound, but too small for what is asked of it.
    #[error("{0}")]
    TooFew(String),
}
