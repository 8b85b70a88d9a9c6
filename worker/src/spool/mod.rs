//! What cannot be delivered goes to disk, so that hours without a coordinator don't fill the memory that training needs.
//!
//! Files live as long as the process: a session ends with it, and what a dead session wanted to say nobody may say any more. So
//! nothing here is synced, and what an earlier process left behind is swept away. The folder for temporary files belongs to
//! everybody, what was trained does not: nobody else may look into ours.

mod backlog;
mod content;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use backlog::Backlog;
pub(crate) use content::Content;

/// How folders of processes begin.
const PREFIX: &str = "descent-spool-";
/// Held by a living process, inside of its folder.
const LOCK: &str = "lock";
/// Processes of one number whose folders may lie side by side, as those of several containers do.
const NAMESAKES: u32 = 1000;

/// A place for files on disk; without one, everything stays in memory.
pub(crate) struct Spool {
    parent: Option<PathBuf>,
    /// Made when the first file is.
    folder: Mutex<Option<Arc<Folder>>>,
    files: AtomicU64,
    complained: AtomicBool,
}

/// This process's folder, removed with it.
struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whoever comes next removes what could not be removed here.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A file of ours, removed when nobody needs it any more.
pub(crate) struct Spooled {
    path: PathBuf,
    _folder: Arc<Folder>,
}

impl Drop for Spooled {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Spool {
    pub(crate) fn new(parent: Option<PathBuf>) -> Self {
        Self {
            parent,
            folder: Mutex::new(None),
            files: AtomicU64::new(0),
            complained: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.parent.is_some()
    }

    /// A new file, written by `write`. `None`: there is no place for it, which is said once; training goes on.
    fn file(&self, write: impl FnOnce(&Path) -> io::Result<()>) -> Option<Spooled> {
        let parent = self.parent.as_deref()?;
        let made = self.folder(parent).and_then(|folder| {
            let number = self.files.fetch_add(1, Ordering::Relaxed);
            let file = Spooled {
                path: folder.path.join(number.to_string()),
                _folder: folder,
            };
            // What was written of a file that fails goes with it.
            write(&file.path).map(|()| file)
        });
        made.map_err(|error| self.complain(parent, &error)).ok()
    }

    fn complain(&self, parent: &Path, error: &io::Error) {
        if !self.complained.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                folder = %parent.display(),
                %error,
                "cannot keep what waits for the coordinator on disk, it stays in memory: training goes on; free some space or \
                 give another --spool"
            );
        }
    }

    fn folder(&self, parent: &Path) -> io::Result<Arc<Folder>> {
        let mut made = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = &*made {
            return Ok(Arc::clone(folder));
        }
        fs::create_dir_all(parent)?;
        sweep(parent);
        let folder = Arc::new(make(parent)?);
        *made = Some(Arc::clone(&folder));
        Ok(folder)
    }
}

/// Makes a folder that no other process has.
fn make(parent: &Path) -> io::Result<Folder> {
    let mut last = io::Error::other("no name is free");
    for namesake in 0..NAMESAKES {
        let path = parent.join(format!("{PREFIX}{}-{namesake}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => match lock(&path)? {
                Some(lock) => return Ok(Folder { path, _lock: lock }),
                None => last = io::Error::other("another process swept each folder away"),
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Locks a folder that was made just now. `None`: another process takes it for one that a dead process left, and removes it.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let path = folder.join(LOCK);
    let lock = match open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        lock => lock?,
    };
    match lock.try_lock() {
        Ok(()) => Ok(is_at(&lock, &path).then_some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether an open file is the one that has this name now.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Removes what processes that are dead left behind. One that was made just now and is not locked yet goes too: its owner notices
/// ([`lock`]) and makes another.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str());
        if !name.is_some_and(|name| name.starts_with(PREFIX)) {
            continue;
        }
        // Held until the folder is gone: else its owner could lock it in between.
        let Ok(lock) = File::open(path.join(LOCK)) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn what_a_dead_process_left_is_swept_and_what_a_living_one_has_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let dead = parent.path().join(format!("{PREFIX}1-0"));
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        fs::write(dead.join("7"), "a checkpoint").unwrap();
        let stranger = parent.path().join("somebody's");
        fs::create_dir(&stranger).unwrap();
        let first = Spool::new(Some(parent.path().to_owned()));
        let file = first.file(|path| fs::write(path, "kept")).unwrap();
        assert!(!dead.exists() && stranger.exists());
        // Another one of the same process number, as in another container.
        let second = Spool::new(Some(parent.path().to_owned()));
        let other = second.file(|path| fs::write(path, "kept too")).unwrap();
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "kept");
        assert_eq!(names(parent.path()).len(), 3);
        drop((file, first, other, second));
        assert_eq!(names(parent.path()), ["somebody's"]);
    }

    #[test]
    fn nobody_else_may_look_into_it() {
        let parent = tempfile::tempdir().unwrap();
        let spool = Spool::new(Some(parent.path().to_owned()));
        let file = spool.file(|path| fs::write(path, "weights")).unwrap();
        let folder = file.path.parent().unwrap();
        assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_was_swept_away_while_it_was_made_is_not_kept() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join(format!("{PREFIX}1-0"));
        // Before its lock was made, and while the sweeper has the lock.
        assert!(lock(&folder).unwrap().is_none());
        fs::create_dir(&folder).unwrap();
        let sweeper = open(&folder.join(LOCK)).unwrap();
        sweeper.lock().unwrap();
        assert!(lock(&folder).unwrap().is_none());
        // After it was opened: what was opened is no longer what has the name.
        drop(sweeper);
        let opened = open(&folder.join(LOCK)).unwrap();
        sweep(parent.path());
        assert!(!folder.exists() && !is_at(&opened, &folder.join(LOCK)));
        fs::create_dir(&folder).unwrap();
        let kept = lock(&folder).unwrap();
        assert!(kept.is_some() && !is_at(&opened, &folder.join(LOCK)));
        sweep(parent.path());
        assert!(folder.exists());
    }

    #[test]
    fn a_place_that_cannot_be_used_is_said_once_and_costs_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("a-file");
        fs::write(&file, "").unwrap();
        let spool = Spool::new(Some(file.join("below")));
        for _ in 0..2 {
            assert!(spool.file(|path| fs::write(path, "x")).is_none());
        }
        assert!(spool.complained.load(Ordering::Relaxed));
        let full = Spool::new(Some(parent.path().to_owned()));
        let refused = |_: &Path| Err(io::Error::from(io::ErrorKind::StorageFull));
        assert!(full.file(refused).is_none());
    }
}
