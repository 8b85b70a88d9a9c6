//! Files that are there whole or not at all: written beside their place, then renamed into it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A file in the making. Dropped before [`NewFile::keep`], it leaves nothing behind.
pub(crate) struct NewFile {
    file: Option<File>,
    partial: PathBuf,
    place: PathBuf,
}

impl NewFile {
    /// Begins a file that will stand at `place`.
    ///
    /// # Errors
    /// When the folder is missing or cannot be written.
    pub(crate) fn create(place: &Path) -> anyhow::Result<Self> {
        let name = place
            .file_name()
            .with_context(|| format!("{} is no file name", place.display()))?;
        let name = format!(".{}.{}.partial", name.to_string_lossy(), std::process::id());
        let partial = place.with_file_name(name);
        let file = File::create(&partial).with_context(|| format!("write {}", place.display()))?;
        Ok(Self {
            file: Some(file),
            partial,
            place: place.to_path_buf(),
        })
    }

    /// Makes it durable and puts it in its place, over what stood there.
    ///
    /// # Errors
    /// When the disk is full or the place cannot be written; then what stood there is untouched.
    pub(crate) fn keep(mut self) -> anyhow::Result<()> {
        let place = self.place.display().to_string();
        let file = self.file.take().expect("a file is kept once");
        file.sync_all().with_context(|| format!("write {place}"))?;
        drop(file);
        std::fs::rename(&self.partial, &self.place).with_context(|| format!("write {place}"))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After keep() nothing is there any more, which is as good.
        let _ = std::fs::remove_file(&self.partial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a readable folder");
        entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().join("rows.csv");
        let mut given_up = NewFile::create(&place).expect("a writable folder");
        given_up.write_all(b"half").expect("room");
        drop(given_up);
        assert!(names(folder.path()).is_empty());

        let mut kept = NewFile::create(&place).expect("a writable folder");
        kept.write_all(b"whole").expect("room");
        assert!(!place.exists());
        kept.keep().expect("room");
        assert_eq!(names(folder.path()), ["rows.csv"]);
        assert_eq!(std::fs::read(&place).expect("the file"), b"whole");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = NewFile::create(Path::new("no/such/folder/x.csv"))
            .err()
            .expect("no folder");
        assert!(
            error.to_string().contains("no/such/folder/x.csv"),
            "{error}"
        );
    }
}
