//! A folder of data: which files make it up, and reading them into a data set.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::dataset::{Dataset, Samples};
use super::error::DataError;
use super::{cifar, idx};

/// The four parts of an IDX data set, each with the names under which it is known.
const IDX: [[&str; 2]; 4] = [
    ["train-images-idx3-ubyte", "train-images.idx3-ubyte"],
    ["train-labels-idx1-ubyte", "train-labels.idx1-ubyte"],
    ["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"],
    ["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"],
];
const REMEDY: &str = "a data folder holds either the four IDX files of MNIST's form (train-images-idx3-ubyte, \
    train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, plain or .gz) or CIFAR-10's binary files \
    (data_batch_1.bin … data_batch_5.bin, test_batch.bin)";

/// The files of a data folder, by format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// Training images, training labels, test images, test labels.
    Idx([PathBuf; 4]),
    /// Training files in order, then the test file.
    Cifar(Vec<PathBuf>),
}

/// Changes when a file of a folder was replaced: length and time of change of each.
pub(super) type Stamp = Vec<(u64, Option<SystemTime>)>;

impl Files {
    /// Looks for a data set in `folder`; `None` when there is no sign of one.
    ///
    /// # Errors
    /// When some of its files are there, and others are not.
    pub(super) fn find(folder: &Path) -> Result<Option<Self>, DataError> {
        let parts = IDX.map(|names| {
            let candidates = names
                .into_iter()
                .flat_map(|name| [folder.join(name), folder.join(format!("{name}.gz"))]);
            candidates
                .into_iter()
                .find(|path| path.is_file())
                .ok_or(names[0])
        });
        if parts.iter().any(Result::is_ok) {
            let mut found = Vec::new();
            for part in parts {
                found.push(part.map_err(|name| incomplete(folder, name))?);
            }
            return Ok(Some(Self::Idx(
                found.try_into().expect("four parts in, four parts out"),
            )));
        }
        let names: Vec<&str> = cifar::TRAIN.into_iter().chain([cifar::TEST]).collect();
        if !names.iter().any(|name| folder.join(name).is_file()) {
            return Ok(None);
        }
        match names.iter().find(|name| !folder.join(name).is_file()) {
            Some(name) => Err(incomplete(folder, name)),
            None => Ok(Some(Self::Cifar(
                names.iter().map(|name| folder.join(name)).collect(),
            ))),
        }
    }

    /// All paths, in the order in which they are read.
    pub(super) fn paths(&self) -> &[PathBuf] {
        match self {
            Self::Idx(paths) => paths,
            Self::Cifar(paths) => paths,
        }
    }

    /// Length and time of change of every file.
    pub(super) fn stamp(&self) -> Result<Stamp, DataError> {
        let look = |path: &PathBuf| match fs::metadata(path) {
            Ok(metadata) => Ok((metadata.len(), metadata.modified().ok())),
            Err(source) => Err(DataError::Unreadable {
                path: path.clone(),
                source,
            }),
        };
        self.paths().iter().map(look).collect()
    }

    /// Reads and checks everything.
    pub(super) fn read(&self) -> Result<Dataset, DataError> {
        match self {
            Self::Idx([train_images, train_labels, test_images, test_labels]) => {
                let train = (images(train_images)?, labels(train_labels)?);
                let test = (images(test_images)?, labels(test_labels)?);
                assemble(
                    train,
                    test,
                    [train_images, train_labels, test_images, test_labels].map(PathBuf::as_path),
                )
            }
            Self::Cifar(paths) => {
                let empty = || Samples {
                    pixels: Vec::new(),
                    labels: Vec::new(),
                };
                let (mut train, mut test) = (empty(), empty());
                let (last, first) = paths.split_last().expect("six names were looked for");
                for path in first {
                    cifar::append(path, &mut train)?;
                }
                cifar::append(last, &mut test)?;
                Ok(Dataset {
                    inputs: cifar::INPUTS,
                    outputs: cifar::OUTPUTS,
                    image: Some(cifar::IMAGE),
                    train,
                    test,
                })
            }
        }
    }
}

/// The files that make up the data set in a folder.
///
/// # Errors
/// When there is none, or some of its files are missing.
pub fn files_of(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    match Files::find(folder)? {
        Some(files) => Ok(files.paths().to_vec()),
        None => Err(without_data(folder)),
    }
}

/// Reads the data set in a folder.
///
/// # Errors
/// When there is none, or a file of it is not what it should be.
pub fn read_folder(folder: &Path) -> Result<Dataset, DataError> {
    match Files::find(folder)? {
        Some(files) => files.read(),
        None => Err(without_data(folder)),
    }
}

/// Puts four IDX parts together; the number of classes is one more than the largest training label.
pub(super) fn assemble(
    train: (idx::Images, Vec<u8>),
    test: (idx::Images, Vec<u8>),
    [train_images, train_labels, test_images, test_labels]: [&Path; 4],
) -> Result<Dataset, DataError> {
    let malformed = |path: &Path, problem| DataError::Malformed {
        path: path.to_owned(),
        problem,
        remedy: REMEDY,
    };
    for ((images, labels), path, other) in [
        (&train, train_labels, train_images),
        (&test, test_labels, test_images),
    ] {
        if images.len() != labels.len() {
            let problem = format!(
                "has {} labels, but {} has {} images",
                labels.len(),
                other.display(),
                images.len()
            );
            return Err(malformed(path, problem));
        }
    }
    if (test.0.rows, test.0.columns) != (train.0.rows, train.0.columns) {
        let problem = format!(
            "has images of {} × {} pixels, but the training images have {} × {}",
            test.0.rows, test.0.columns, train.0.rows, train.0.columns
        );
        return Err(malformed(test_images, problem));
    }
    let outputs = 1 + usize::from(
        *train
            .1
            .iter()
            .max()
            .expect("an image file holds at least one image"),
    );
    if outputs < 2 {
        return Err(malformed(
            train_labels,
            "has only the label 0: there is nothing to tell apart".to_owned(),
        ));
    }
    if let Some((index, label)) = test
        .1
        .iter()
        .enumerate()
        .find(|&(_, &label)| usize::from(label) >= outputs)
    {
        let problem = format!(
            "label {index} is {label}, but the training labels have only {outputs} classes"
        );
        return Err(malformed(test_labels, problem));
    }
    let samples = |(images, labels): (idx::Images, Vec<u8>)| Samples {
        pixels: images.pixels,
        labels,
    };
    Ok(Dataset {
        inputs: train.0.inputs,
        outputs,
        image: train.0.extent(),
        train: samples(train),
        test: samples(test),
    })
}

fn open(path: &Path) -> Result<File, DataError> {
    File::open(path).map_err(|source| DataError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn images(path: &Path) -> Result<idx::Images, DataError> {
    idx::images(open(path)?, path)
}

fn labels(path: &Path) -> Result<Vec<u8>, DataError> {
    idx::labels(open(path)?, path)
}

fn incomplete(folder: &Path, name: &str) -> DataError {
    DataError::Malformed {
        path: folder.to_owned(),
        problem: format!("lacks {name}"),
        remedy: REMEDY,
    }
}

fn without_data(folder: &Path) -> DataError {
    DataError::Malformed {
        path: folder.to_owned(),
        problem: "holds no data set".to_owned(),
        remedy: REMEDY,
    }
}
