//! A course's checkpoint: safetensors whose bytes are the files of its trainings and its own.

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::Saved;
use crate::pack::TrainError;

const METADATA_KEY: &str = "descent";
const KIND: &str = "course";
const VERSION: u32 = 1;

/// What such a file says of itself. Fields are in alphabetical order: this is its canonical form.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// Steps of the stages that are over.
    before: u64,
    instruction_set: String,
    kind: String,
    note: String,
    /// Trainings under way, by their place in the stage.
    runs: Vec<usize>,
    version: u32,
}

/// A course somewhere within a stage.
pub(super) struct Checkpoint {
    pub(super) before: u64,
    pub(super) saved: Saved,
    /// Trainings under way: their places, and their checkpoints.
    pub(super) runs: Vec<(usize, Vec<u8>)>,
}

impl Checkpoint {
    pub(super) fn to_bytes(&self, instruction_set: &str) -> Vec<u8> {
        let header = Header {
            before: self.before,
            instruction_set: instruction_set.to_owned(),
            kind: KIND.to_owned(),
            note: self.saved.note.clone(),
            runs: self.runs.iter().map(|(run, _)| *run).collect(),
            version: VERSION,
        };
        let header = serde_json::to_string(&header).expect("strings and numbers can be written");
        let runs = self
            .runs
            .iter()
            .map(|(run, bytes)| (format!("run.{run}"), bytes));
        let files = self.saved.files.iter().enumerate();
        let files = files.map(|(index, bytes)| (format!("file.{index}"), bytes));
        let views = runs.chain(files).map(|(name, bytes)| {
            let view = TensorView::new(Dtype::U8, vec![bytes.len()], bytes);
            (name, view.expect("one byte a byte"))
        });
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), header)]);
        safetensors::serialize(views, Some(metadata)).expect("a file in memory can be written")
    }

    /// # Errors
    /// When the bytes are not such a file.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, TrainError> {
        let broken =
            |what: &str| TrainError::Artifact(format!("not a course's checkpoint: {what}"));
        let header = header(bytes).ok_or_else(|| broken("it says so nowhere"))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| broken(&error.to_string()))?;
        let content = |name: String| match file.tensor(&name) {
            Ok(view) => Ok(view.data().to_vec()),
            Err(error) => Err(broken(&error.to_string())),
        };
        let runs = header
            .runs
            .iter()
            .map(|&run| Ok((run, content(format!("run.{run}"))?)));
        let runs: Vec<_> = runs.collect::<Result<_, TrainError>>()?;
        let files = file.len() - runs.len();
        let files = (0..files).map(|index| content(format!("file.{index}")));
        Ok(Self {
            before: header.before,
            saved: Saved {
                note: header.note,
                files: files.collect::<Result<_, TrainError>>()?,
            },
            runs,
        })
    }
}

fn header(bytes: &[u8]) -> Option<Header> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    let text = metadata.metadata().as_ref()?.get(METADATA_KEY)?;
    let header: Header = serde_json::from_str(text).ok()?;
    (header.kind == KIND && header.version == VERSION).then_some(header)
}

/// The instruction set that a course's checkpoint was computed with; `None`: the bytes are no such file.
pub(crate) fn instruction_set(bytes: &[u8]) -> Option<String> {
    header(bytes).map(|header| header.instruction_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_everything_that_was_put_in() {
        let checkpoint = Checkpoint {
            before: 7,
            saved: Saved {
                note: r#"{"a":[1]}"#.to_owned(),
                files: vec![vec![1, 2, 3], Vec::new()],
            },
            runs: vec![(0, vec![9]), (11, vec![4; 100])],
        };
        let bytes = checkpoint.to_bytes("avx2");
        assert_eq!(bytes, checkpoint.to_bytes("avx2"));
        assert_eq!(instruction_set(&bytes).as_deref(), Some("avx2"));
        let read = Checkpoint::from_bytes(&bytes).unwrap();
        assert_eq!((read.before, &read.runs), (7, &checkpoint.runs));
        assert_eq!(read.saved.note, checkpoint.saved.note);
        assert_eq!(read.saved.files, checkpoint.saved.files);
        assert!(Checkpoint::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert_eq!(instruction_set(b"other"), None);
    }
}
