//! Weights as safetensors, with PyTorch's names and layouts: `layers.0.weight` `[units, inputs]`, `layers.0.bias` `[units]`, …

use std::collections::{BTreeMap, HashMap};

use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::mlp::{Dense, Plan};
use crate::notes::Notes;
use crate::pack::TrainError;
use crate::search::{Bracket, BracketBits};

/// The one metadata key. One alone, because a second one would make the order of the header, and so the bytes, arbitrary.
const METADATA_KEY: &str = "descent";

/// What a file of weights says of itself. Fields are in alphabetical order: this is its canonical form.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    kind: String,
    /// What a search left, where the weights are those of a step of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<BracketBits>,
    version: u32,
}

/// What the file of a member's final weights says of itself.
pub(crate) fn header(notes: &Notes) -> String {
    let header = Header {
        kind: "weights".to_owned(),
        search: notes.search.as_ref().map(Bracket::bits),
        version: 1,
    };
    serde_json::to_string(&header).expect("strings and numbers can be written")
}

/// What the step of a search left whose final weights these are.
///
/// # Errors
/// When they are other weights.
pub(crate) fn bracket(file: &Unpacked) -> Result<BracketBits, TrainError> {
    let header: Result<Header, _> = serde_json::from_str(&file.metadata);
    let search = header.ok().and_then(|header| header.search);
    search.ok_or_else(|| {
        TrainError::Artifact("these weights are not those of a search's step".to_owned())
    })
}

/// Layers as tensors, under a name prefix each.
pub(crate) fn tensors(parts: &[(String, &[Dense])]) -> Vec<Named> {
    let mut tensors: Vec<Named> = Vec::new();
    for (prefix, layers) in parts {
        for (index, layer) in layers.iter().enumerate() {
            tensors.push(named(
                format!("{prefix}layers.{index}.weight"),
                &[layer.columns, layer.rows - 1],
                &layer.torch_weight(),
            ));
            tensors.push(named(
                format!("{prefix}layers.{index}.bias"),
                &[layer.columns],
                layer.bias(),
            ));
        }
    }
    tensors
}

/// A tensor's name, shape and bytes.
pub(crate) type Named = (String, Vec<usize>, Vec<u8>);

/// Numbers in row-major order as a named tensor.
pub(crate) fn named(name: String, shape: &[usize], values: &[f32]) -> Named {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    (name, shape.to_vec(), bytes.collect())
}

/// Tensors and a line of metadata as one file.
pub(crate) fn write(tensors: &[Named], metadata: &str) -> Vec<u8> {
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("4 bytes per number");
        (name, view)
    });
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata.to_owned())]);
    safetensors::serialize(views, Some(metadata)).expect("a file in memory can be written")
}

/// A file of layers, checked and open.
pub(crate) struct Unpacked {
    pub(crate) metadata: String,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

fn broken(error: &SafeTensorError) -> TrainError {
    TrainError::Artifact(format!("not a safetensors file: {error}"))
}

/// A file's line of metadata, empty where it has none. No tensor is looked at.
///
/// # Errors
/// When the bytes do not begin like such a file.
pub(crate) fn metadata(bytes: &[u8]) -> Result<String, TrainError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| broken(&error))?;
    let pairs = header.metadata().as_ref();
    let line = pairs.and_then(|pairs| pairs.get(METADATA_KEY)).cloned();
    Ok(line.unwrap_or_default())
}

impl Unpacked {
    /// # Errors
    /// When the bytes are not such a file.
    pub(crate) fn open(bytes: &[u8]) -> Result<Self, TrainError> {
        let metadata = metadata(bytes)?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| broken(&error))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(TrainError::Artifact(format!(
                    "`{name}` is not in single precision"
                )));
            }
            let numbers = view
                .data()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes));
            tensors.insert(name.to_owned(), (view.shape().to_vec(), numbers.collect()));
        }
        Ok(Self { metadata, tensors })
    }

    /// Takes out consecutive layers of one prefix; `expected` says their number, and for each whether a shape (rows with the
    /// bias, columns) will do.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub(crate) fn take(
        &mut self,
        prefix: &str,
        layers: usize,
        fits: impl Fn(usize, (usize, usize)) -> bool,
    ) -> Result<Vec<Dense>, TrainError> {
        let mut taken = Vec::with_capacity(layers);
        for index in 0..layers {
            let mut tensor = |part: &str| {
                let name = format!("{prefix}layers.{index}.{part}");
                let missing = || TrainError::Artifact(format!("`{name}` is missing"));
                self.tensors.remove(&name).ok_or_else(missing)
            };
            let ((weight_shape, weight), (bias_shape, bias)) = (tensor("weight")?, tensor("bias")?);
            let fitting = match (weight_shape.as_slice(), bias_shape.as_slice()) {
                (&[units, inputs], &[biases]) => {
                    units == biases && inputs < usize::MAX && fits(index, (inputs + 1, units))
                }
                _ => false,
            };
            if !fitting {
                let message = format!(
                    "`{prefix}layers.{index}` has the shapes {weight_shape:?} and {bias_shape:?} of another network"
                );
                return Err(TrainError::Artifact(message));
            }
            taken.push(Dense::from_torch(&weight, &bias));
        }
        Ok(taken)
    }

    /// Takes out one tensor of a known shape.
    ///
    /// # Errors
    /// When it is missing or has another shape.
    pub(crate) fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, TrainError> {
        match self.tensors.remove(name) {
            Some((found, numbers)) if found == shape => Ok(numbers),
            Some((found, _)) => Err(TrainError::Artifact(format!(
                "`{name}` has the shape {found:?} of another network"
            ))),
            None => Err(TrainError::Artifact(format!("`{name}` is missing"))),
        }
    }

    /// All tensors that are left, by name.
    pub(crate) fn into_tensors(self) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
        self.tensors
    }

    /// Takes out one tensor of a known shape, if it is there.
    ///
    /// # Errors
    /// When it has another shape.
    pub(crate) fn tensor_if_any(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<Option<Vec<f32>>, TrainError> {
        if self.tensors.contains_key(name) {
            self.tensor(name, shape).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Takes out all tensors whose names begin so, as they are.
    pub(crate) fn take_all(&mut self, prefix: &str) -> Vec<Named> {
        let mut taken = Vec::new();
        self.tensors.retain(|name, (shape, numbers)| {
            let matches = name.starts_with(prefix);
            if matches {
                taken.push(named(name.clone(), shape, numbers));
            }
            !matches
        });
        taken
    }

    /// # Errors
    /// When something is left that nobody took.
    pub(crate) fn finish(self) -> Result<(), TrainError> {
        match self.tensors.keys().next() {
            None => Ok(()),
            Some(name) => Err(TrainError::Artifact(format!(
                "`{name}` belongs to another network"
            ))),
        }
    }
}

/// Final weights as a file, with what it carries on.
pub(crate) fn to_bytes(layers: &[Dense], notes: &Notes) -> Vec<u8> {
    let mut all = tensors(&[(String::new(), layers)]);
    all.extend(notes.carried.iter().cloned());
    write(&all, &header(notes))
}

/// Reads the final weights of a network that is at most as wide as the plan's, and alike in everything else.
///
/// # Errors
/// When the bytes are not such weights.
pub(crate) fn parent(bytes: &[u8], plan: &Plan) -> Result<Vec<Dense>, TrainError> {
    let mut file = Unpacked::open(bytes)?;
    let wanted = plan.shapes();
    let layers = file.take("", wanted.len(), |index, (rows, columns)| {
        let (wanted_rows, wanted_columns) = wanted[index];
        let rows_fit = if index == 0 {
            rows == wanted_rows
        } else {
            (2..=wanted_rows).contains(&rows)
        };
        let columns_fit = if index == wanted.len() - 1 {
            columns == wanted_columns
        } else {
            (1..=wanted_columns).contains(&columns)
        };
        rows_fit && columns_fit
    })?;
    file.finish()?;
    if layers
        .windows(2)
        .any(|pair| pair[1].rows != pair[0].columns + 1)
    {
        return Err(TrainError::Artifact(
            "the layers do not fit one another".to_owned(),
        ));
    }
    Ok(layers)
}
