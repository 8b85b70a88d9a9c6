//! One coordinator per file: a lock beside the database, with the holder's process and address in it.
//!
//! Taking over puts a new lock file in the place of the old one, whose lock stays with the process that hangs. What keeps that
//! one from writing is the epoch; the lock only tells others who is in charge now.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::super::StoreError;

/// Who holds a database, as far as it said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process.
    pub process: String,
    /// Where it listens.
    pub address: Option<String>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {}", self.process)?;
        match &self.address {
            Some(address) => write!(f, " at {address}"),
            None => Ok(()),
        }
    }
}

/// The lock. The operating system gives it up when the process ends, however it ends.
pub(super) struct Lock {
    file: Mutex<File>,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of a database.
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = lock_path(database);
        let failed = |error: std::io::Error| failed(&path, &error);
        let file = open(&path).map_err(failed)?;
        let taken = match file.try_lock() {
            // Unless somebody put another file into its place meanwhile.
            Ok(()) => is_at(&file, &path),
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        };
        if !taken {
            let holder = read(&file)
                .map_or_else(|| "it did not say who it is".to_owned(), |h| h.to_string());
            return Err(StoreError::InUse {
                path: database.display().to_string(),
                holder,
            });
        }
        let lock = Self {
            file: Mutex::new(file),
            path: path.clone(),
        };
        lock.say(None)?;
        Ok(lock)
    }

    /// Puts a lock of our own in the place of one that a process holds which hangs.
    pub(super) fn take_over(database: &Path) -> Result<Self, StoreError> {
        let path = lock_path(database);
        let mut new = path.clone().into_os_string();
        new.push(format!(".{}", std::process::id()));
        let new = PathBuf::from(new);
        let failed = |error: std::io::Error| failed(&path, &error);
        let file = open(&new).map_err(failed)?;
        file.try_lock().map_err(|error| failed(error.into()))?;
        let lock = Self {
            file: Mutex::new(file),
            path: path.clone(),
        };
        lock.say(None)?;
        std::fs::rename(&new, &path).map_err(failed)?;
        Ok(lock)
    }

    /// Leaves the address for others to find.
    pub(super) fn announce(&self, address: &str) -> Result<(), StoreError> {
        self.say(Some(address))
    }

    fn say(&self, address: Option<&str>) -> Result<(), StoreError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let text = format!("{}\n{}\n", std::process::id(), address.unwrap_or_default());
        let mut write = || {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())
        };
        write().map_err(|error| failed(&self.path, &error))
    }
}

/// Who has a database open now; `None`: nobody.
#[must_use]
pub fn holder(database: &Path) -> Option<Holder> {
    let file = File::open(lock_path(database)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => read(&file),
        // Nobody has it; our own lock goes with the file.
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
}

/// Whether an open file is the one that has this name now.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

fn read(mut file: &File) -> Option<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let process = lines.next()?.to_owned();
    let address = lines
        .next()
        .filter(|line| !line.is_empty())
        .map(ToOwned::to_owned);
    Some(Holder { process, address })
}

fn failed(path: &Path, error: &std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull => StoreError::DiskFull,
        _ => StoreError::ReadOnly(format!("{}: {error}", path.display())),
    }
}
