//! Finds data sets: those in the binary, those in data folders, and folders named by their path.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use descent_spec::data::KnownData;
use descent_spec::id::ContentHash;

use super::dataset::Dataset;
use super::error::DataError;
use super::source::{Files, Stamp, read_folder};
use super::{embedded, known, synthetic};

/// The data sets within reach of one process. Shared by its threads; remembers what it has read.
#[derive(Debug)]
pub struct DataStore {
    folders: Vec<PathBuf>,
    seen: Mutex<Seen>,
}

/// What was read so far, so that asking twice costs nothing.
#[derive(Debug, Default)]
struct Seen {
    /// Folders whose content is known, and the state of their files when it was found out.
    folders: BTreeMap<PathBuf, (Stamp, KnownData)>,
    /// The data set read last: packs that follow each other mostly want the same one.
    last: Option<(ContentHash, Arc<Dataset>)>,
}

/// A data set as `descent data list` shows it.
#[derive(Debug)]
pub struct Listed {
    /// The name by which sweeps refer to it.
    pub name: String,
    /// What it is, in a few words; empty for folders that nobody described.
    pub about: &'static str,
    /// Its terms; empty where they are not known.
    pub licence: &'static str,
    /// Its folder; `None` for those in the binary and those that are not here.
    pub folder: Option<PathBuf>,
    /// What is known of its content; `None` when it is not here but can be fetched.
    pub data: Option<Result<KnownData, DataError>>,
    /// Whether the content is that of the public data set of this name; `None` where there is no such one.
    pub genuine: Option<bool>,
}

impl DataStore {
    /// A store over data folders: each holds data sets as folders of their names, or is one itself.
    #[must_use]
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            seen: Mutex::default(),
        }
    }

    /// What is known of the data set of this name: `mnist-4k`, `gaussians`, a folder's name, or a path.
    ///
    /// # Errors
    /// When there is none, or its files are not what they should be.
    pub fn describe(&self, name: &str) -> Result<KnownData, DataError> {
        match builtin(name) {
            Some(builtin) => Ok(builtin.data),
            None => self.describe_folder(&mut self.seen(), &self.folder(name)?),
        }
    }

    /// The contents that [`load`](Self::load) can serve. Folders that cannot be read are left out.
    #[must_use]
    pub fn hashes(&self) -> Vec<ContentHash> {
        let mut seen = self.seen();
        let built_in = BUILTIN.iter().map(|builtin| builtin.data.hash);
        let folders = self.candidates(&seen);
        let found = folders.iter().filter_map(|folder| {
            self.describe_folder(&mut seen, folder)
                .ok()
                .map(|data| data.hash)
        });
        let hashes: BTreeSet<ContentHash> = built_in.chain(found).collect();
        hashes.into_iter().collect()
    }

    /// The data set with this content.
    ///
    /// # Errors
    /// When no data set here has it, or it cannot be read.
    pub fn load(&self, hash: ContentHash) -> Result<Arc<Dataset>, DataError> {
        // Held while reading: of several threads that want the same data, one reads and the others wait for it.
        let mut seen = self.seen();
        if let Some((_, dataset)) = seen.last.as_ref().filter(|(last, _)| *last == hash) {
            return Ok(Arc::clone(dataset));
        }
        let dataset = Arc::new(self.read(&mut seen, hash)?);
        seen.last = Some((hash, Arc::clone(&dataset)));
        Ok(dataset)
    }

    /// Everything within reach, and what could be fetched.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let mut seen = self.seen();
        let mut listed: Vec<Listed> = BUILTIN
            .iter()
            .map(|builtin| Listed {
                name: builtin.name.to_owned(),
                about: builtin.about,
                licence: builtin.licence,
                folder: None,
                data: Some(Ok(builtin.data)),
                genuine: None,
            })
            .collect();
        for folder in self.candidates(&seen) {
            let name = match folder.parent() {
                Some(parent) if self.folders.iter().any(|root| root == parent) => {
                    folder.file_name()
                }
                _ => None,
            };
            let name = name.map_or_else(
                || folder.display().to_string(),
                |name| name.to_string_lossy().into_owned(),
            );
            let public = known::find(&name);
            let data = self.describe_folder(&mut seen, &folder);
            let content = data.as_ref().ok().map(|data| data.hash);
            listed.push(Listed {
                name,
                about: public.map_or("", |known| known.about),
                licence: public.map_or("", |known| known.licence),
                folder: Some(folder),
                genuine: public
                    .and_then(|known| known.content)
                    .zip(content)
                    .map(|(want, have)| want == have),
                data: Some(data),
            });
        }
        for known in &known::KNOWN {
            if !listed.iter().any(|listed| listed.name == known.name) {
                listed.push(Listed {
                    name: known.name.to_owned(),
                    about: known.about,
                    licence: known.licence,
                    folder: None,
                    data: None,
                    genuine: None,
                });
            }
        }
        listed
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // A panic while reading leaves at worst an entry less.
        self.seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The folder that a name stands for.
    fn folder(&self, name: &str) -> Result<PathBuf, DataError> {
        let unknown = |looked| DataError::Unknown {
            name: name.to_owned(),
            looked,
        };
        if name.contains(['/', '\\']) || name == "." || name == ".." {
            let path = PathBuf::from(name);
            return if path.is_dir() {
                Ok(path)
            } else {
                Err(unknown("a folder at this path".to_owned()))
            };
        }
        let candidates: Vec<PathBuf> = self
            .folders
            .iter()
            .map(|folder| folder.join(name))
            .collect();
        candidates
            .iter()
            .find(|path| path.is_dir())
            .cloned()
            .ok_or_else(|| {
                let places: Vec<String> = candidates
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                unknown(if places.is_empty() {
                    "it in the binary".to_owned()
                } else {
                    places.join(", ")
                })
            })
    }

    /// Folders that may hold a data set: those described before, the data folders, and what lies in them.
    fn candidates(&self, seen: &Seen) -> Vec<PathBuf> {
        let mut folders: BTreeSet<PathBuf> = seen.folders.keys().cloned().collect();
        for root in &self.folders {
            let below = fs::read_dir(root)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path());
            folders.extend(
                below
                    .chain([root.clone()])
                    .filter(|path| matches!(Files::find(path), Ok(Some(_)) | Err(_))),
            );
        }
        folders.into_iter().collect()
    }

    fn describe_folder(&self, seen: &mut Seen, folder: &Path) -> Result<KnownData, DataError> {
        let Some(files) = Files::find(folder)? else {
            return read_folder(folder).map(|dataset| dataset.describe());
        };
        let stamp = files.stamp()?;
        if let Some((_, data)) = seen.folders.get(folder).filter(|(then, _)| *then == stamp) {
            return Ok(*data);
        }
        let data = files.read()?.describe();
        seen.folders.insert(folder.to_owned(), (stamp, data));
        Ok(data)
    }

    fn read(&self, seen: &mut Seen, hash: ContentHash) -> Result<Dataset, DataError> {
        if let Some(builtin) = BUILTIN.iter().find(|builtin| builtin.data.hash == hash) {
            return Ok((builtin.make)());
        }
        for folder in self.candidates(seen) {
            if !self
                .describe_folder(seen, &folder)
                .is_ok_and(|data| data.hash == hash)
            {
                continue;
            }
            let dataset = read_folder(&folder)?;
            // The files may have been replaced in between.
            if dataset.hash() == hash {
                return Ok(dataset);
            }
        }
        Err(DataError::Missing { hash })
    }
}

/// A data set that needs no file.
struct Builtin {
    name: &'static str,
    about: &'static str,
    licence: &'static str,
    data: KnownData,
    make: fn() -> Dataset,
}

static BUILTIN: [Builtin; 2] = [
    Builtin {
        name: "mnist-4k",
        about: "4,000 training digits of MNIST, and all 10,000 test digits",
        licence: "CC BY-SA 3.0, Y. LeCun, C. Cortes, C. Burges",
        data: embedded::MNIST_4K,
        make: embedded::mnist_4k,
    },
    Builtin {
        name: "gaussians",
        about: "ten Gaussian clusters in 20 dimensions, synthetic, 2,000 + 1,000",
        licence: "MIT OR Apache-2.0",
        data: synthetic::GAUSSIANS,
        make: synthetic::gaussians,
    },
];

fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTIN.iter().find(|builtin| builtin.name == name)
}

/// Where data sets are kept unless a folder is named: `descent/datasets` in the user's cache folder; `None` without a home.
#[must_use]
pub fn default_folder() -> Option<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("descent").join("datasets"))
}
