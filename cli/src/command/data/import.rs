//! `descent data import`: files that somebody has already, checked and copied under a name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::Context;
use descent_training::data::{Dataset, files_of, known, read_folder};

use crate::exit::{Exit, Failed};
use crate::output::note;

/// Copies the data set in `paths` to `root/name`.
pub(super) fn run(root: &Path, name: &str, paths: &[PathBuf]) -> anyhow::Result<Exit> {
    check_name(name)?;
    fs::create_dir_all(root).with_context(|| format!("create {}", root.display()))?;
    // Copied beside the target and renamed when all is well: a folder of this name is always whole.
    let staging = Staging {
        path: root.join(format!(".{name}.{}.part", process::id())),
    };
    fs::create_dir(&staging.path).with_context(|| format!("create {}", staging.path.display()))?;
    for file in gather(paths)? {
        let file_name = file
            .file_name()
            .ok_or_else(|| Failed::usage(format!("{}: is no file", file.display())))?;
        fs::copy(&file, staging.path.join(file_name))
            .with_context(|| format!("copy {}", file.display()))?;
    }
    let data = read_folder(&staging.path)?;
    check_public(name, &data)?;
    let target = root.join(name);
    if target.exists() {
        if read_folder(&target).is_ok_and(|here| here.hash() == data.hash()) {
            note(&format!("{name}: already in {}", target.display()));
            return Ok(Exit::Success);
        }
        return Err(Failed::usage(format!(
            "{} holds something else: choose another name, or remove that folder first",
            target.display()
        )));
    }
    fs::rename(&staging.path, &target).with_context(|| format!("create {}", target.display()))?;
    note(&format!(
        "{name}: {} training and {} test samples of {} inputs in {} classes, content {}, in {}",
        data.train.len(),
        data.test.len(),
        data.inputs,
        data.outputs,
        data.hash(),
        target.display()
    ));
    Ok(Exit::Success)
}

/// The files to copy: of a folder those of its data set, and files as they are.
fn gather(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(files_of(path)?);
        } else if path.is_file() {
            files.push(path.clone());
        } else {
            return Err(Failed::usage(format!(
                "{}: there is no such file or folder",
                path.display()
            )));
        }
    }
    Ok(files)
}

/// A name is one plain part of a path that no built-in data set has.
fn check_name(name: &str) -> anyhow::Result<()> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Failed::usage(format!(
            "`{name}` is no name for a data set: use letters, digits, `-`, `_` and `.`"
        )));
    }
    if matches!(name, "mnist-4k" | "gaussians") {
        return Err(Failed::usage(format!(
            "`{name}` is a data set in the binary: choose another name"
        )));
    }
    Ok(())
}

/// Under a public name only the public data: a sweep that says `mnist` must mean MNIST everywhere.
fn check_public(name: &str, data: &Dataset) -> anyhow::Result<()> {
    let Some(public) = known::find(name) else {
        return Ok(());
    };
    let hash = data.hash();
    let other = known::KNOWN
        .iter()
        .find(|known| known.name != name && known.content == Some(hash));
    if let Some(other) = other {
        return Err(Failed::usage(format!(
            "these files are not the public data set `{name}`, but `{}`",
            other.name
        )));
    }
    if public.content.is_some_and(|content| content != hash) {
        return Err(Failed::usage(format!(
            "these files are not the public data set `{name}`, but {} training samples with the content {hash}: \
             choose another name",
            data.train.len()
        )));
    }
    Ok(())
}

/// A folder being filled; gone when it goes out of scope without having been renamed.
struct Staging {
    path: PathBuf,
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Renamed away when all went well: then there is nothing to remove.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use descent_training::data::DataStore;

    fn idx(header: &[u32], body: &[u8]) -> Vec<u8> {
        header
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .chain(body.iter().copied())
            .collect()
    }

    fn source() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            (
                "train-images-idx3-ubyte",
                idx(&[2051, 2, 1, 3], &[1, 2, 3, 4, 5, 6]),
            ),
            ("train-labels-idx1-ubyte", idx(&[2049, 2], &[0, 1])),
            ("t10k-images-idx3-ubyte", idx(&[2051, 1, 1, 3], &[7, 8, 9])),
            ("t10k-labels-idx1-ubyte", idx(&[2049, 1], &[1])),
            ("notes.txt", b"not data".to_vec()),
        ] {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    /// What lies in a folder, hidden files included.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_folder_and_its_files_give_the_same_data() {
        let (root, source) = (tempfile::tempdir().unwrap(), source());
        run(root.path(), "whole", &[source.path().to_owned()]).unwrap();
        run(root.path(), "pieces", &files_of(source.path()).unwrap()).unwrap();
        let store = DataStore::new(vec![root.path().to_owned()]);
        let whole = store.describe("whole").unwrap();
        assert_eq!(whole, store.describe("pieces").unwrap());
        assert_eq!(whole, read_folder(source.path()).unwrap().describe());
        assert_eq!(
            names(&root.path().join("whole")).len(),
            4,
            "only data is copied"
        );
        run(root.path(), "whole", &[source.path().to_owned()]).unwrap();
        assert_eq!(names(root.path()).len(), 2);
    }

    #[test]
    fn what_is_refused_leaves_nothing_behind() {
        let (root, source) = (tempfile::tempdir().unwrap(), source());
        let refused = |name: &str, path: &Path, words: &str| {
            let before = names(root.path());
            let message = format!(
                "{:#}",
                run(root.path(), name, &[path.to_owned()]).unwrap_err()
            );
            assert!(message.contains(words), "{message}");
            assert_eq!(names(root.path()), before);
        };
        refused("../up", source.path(), "no name for a data set");
        refused(".hidden", source.path(), "no name for a data set");
        refused("mnist-4k", source.path(), "in the binary");
        refused("mnist", source.path(), "not the public data set `mnist`");
        refused(
            "one",
            &source.path().join("train-labels-idx1-ubyte"),
            "lacks train-images",
        );
        refused(
            "text",
            &source.path().join("notes.txt"),
            "holds no data set",
        );
        refused(
            "none",
            &source.path().join("nowhere"),
            "no such file or folder",
        );
        fs::create_dir(root.path().join("taken")).unwrap();
        refused("taken", source.path(), "holds something else");
        fs::write(source.path().join("t10k-labels-idx1-ubyte"), b"damaged").unwrap();
        refused("damaged", source.path(), "is not a label file");
    }
}
