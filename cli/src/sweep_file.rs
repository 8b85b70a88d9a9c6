//! A sweep file as a command takes it: read, checked, and its data sets looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use descent_spec::data::{Image, KnownData};
use descent_spec::grid::Grid;
use descent_spec::sweep::Sweep;

use crate::exit::Failed;
use crate::mistakes;

/// Where data sets are.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DataArgs {
    /// Folder of data sets, besides the built-in ones; several may be given.
    #[arg(
        long = "data-dir",
        env = "DESCENT_DATA_DIR",
        value_name = "DIR",
        value_delimiter = ':'
    )]
    pub(crate) folders: Vec<PathBuf>,
    /// What a data set is that is not on this machine, as `descent data list` prints it where it is: NAME=HASH:INPUTS:OUTPUTS:TRAIN:TEST, with CHANNELSxROWSxCOLUMNS for the inputs of images.
    #[arg(long = "known-data", value_name = "NAME=…", value_parser = known)]
    known: Vec<(String, KnownData)>,
}

/// A checked sweep file.
#[derive(Debug)]
pub(crate) struct SweepFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) source: String,
    /// What it means.
    pub(crate) sweep: Sweep,
    /// What was found under the names of its data sets.
    pub(crate) data: BTreeMap<String, KnownData>,
    /// Its points.
    pub(crate) grid: Grid,
}

impl SweepFile {
    /// Reads and checks a sweep file, and looks at its data sets.
    ///
    /// # Errors
    /// Every mistake at once, with file, line and column; or what is missing of the data.
    pub(crate) fn read(path: &Path, data: &DataArgs) -> anyhow::Result<Self> {
        let source = std::fs::read_to_string(path).map_err(|error| {
            Failed::usage(format!("read the sweep file {}: {error}", path.display()))
        })?;
        Self::parse(path, source, data)
    }

    /// Checks the text of a sweep file, and looks at its data sets. `path` is what mistakes are told of.
    ///
    /// # Errors
    /// As [`SweepFile::read`].
    pub(crate) fn parse(path: &Path, source: String, data: &DataArgs) -> anyhow::Result<Self> {
        let sweep =
            Sweep::parse(&source).map_err(|found| mistakes::failed(path, &source, &found))?;
        let data = sweep
            .data_sets()
            .into_iter()
            .map(|name| Ok((name.to_owned(), data.describe(name)?)))
            .collect::<anyhow::Result<BTreeMap<_, _>>>()?;
        let grid = sweep
            .grid(&data)
            .map_err(|found| mistakes::failed(path, &source, &found))?;
        Ok(Self {
            path: path.to_owned(),
            source,
            sweep,
            data,
            grid,
        })
    }
}

impl DataArgs {
    /// What is under a name: as told by `--known-data`, or as found.
    fn describe(&self, name: &str) -> anyhow::Result<KnownData> {
        if let Some((_, known)) = self.known.iter().find(|(told, _)| told == name) {
            return Ok(*known);
        }
        self.look(name)
    }

    /// Looks at a data set.
    #[cfg(feature = "worker")]
    fn look(&self, name: &str) -> anyhow::Result<KnownData> {
        self.store()
            .describe(name)
            .map_err(|error| Failed::usage(error.to_string()))
    }

    /// A build without training has no readers of data.
    #[cfg(not(feature = "worker"))]
    fn look(&self, name: &str) -> anyhow::Result<KnownData> {
        Err(Failed::usage(format!(
            "this build of descent cannot look at data set `{name}`: say what it is with --known-data (as `descent data list` prints it), or submit from a full build"
        )))
    }

    /// The data sets on this machine: built-in, in the given folders, in the default folder.
    #[cfg(feature = "worker")]
    pub(crate) fn store(&self) -> descent_training::data::DataStore {
        let default = descent_training::data::default_folder();
        let folders = self.folders.iter().cloned().chain(default).collect();
        descent_training::data::DataStore::new(folders)
    }
}

/// Reads NAME=HASH:INPUTS:OUTPUTS:TRAIN:TEST, INPUTS a number or, for images, CHANNELSxROWSxCOLUMNS.
fn known(text: &str) -> Result<(String, KnownData), String> {
    let wrong = || format!("`{text}` is not NAME=HASH:INPUTS:OUTPUTS:TRAIN:TEST");
    let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
    let parts: Vec<&str> = rest.split(':').collect();
    let [hash, inputs, outputs, train, test] = parts[..] else {
        return Err(wrong());
    };
    let number = |part: &str| part.parse::<u32>().map_err(|_| wrong());
    let sides: Vec<u32> = inputs.split('x').map(number).collect::<Result<_, _>>()?;
    let (inputs, image) = match sides[..] {
        [inputs] => (inputs, None),
        [channels, height, width] => {
            let inputs = channels
                .checked_mul(height)
                .and_then(|numbers| numbers.checked_mul(width))
                .ok_or_else(wrong)?;
            let image = Image::new(channels, height, width, inputs).ok_or_else(wrong)?;
            (inputs, Some(image))
        }
        _ => return Err(wrong()),
    };
    let known = KnownData {
        hash: hash.parse().map_err(|_| wrong())?,
        inputs,
        outputs: number(outputs)?,
        train_samples: number(train)?,
        test_samples: number(test)?,
        image,
    };
    Ok((name.to_owned(), known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_is_elsewhere_can_be_told() {
        let text = format!("mnist={}:784:10:60000:10000", "ab".repeat(32));
        let (name, data) = known(&text).unwrap();
        assert_eq!(
            (name.as_str(), data.inputs, data.test_samples),
            ("mnist", 784, 10_000)
        );
        assert_eq!(data.image, None);
        let (_, data) = known(&text.replace(":784:", ":1x28x28:")).unwrap();
        assert_eq!((data.inputs, data.image), (784, Image::new(1, 28, 28, 784)));
        assert!(known(&text.replace(":784:", ":0x28x28:")).is_err());
        assert!(known("mnist=12:784").is_err());
        assert!(known("mnist").is_err());
    }
}
