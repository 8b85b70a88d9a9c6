//! What a trial trains and tests on: samples drawn, labels made noisy, inputs scaled and centred.

use descent_spec::data::Image;
use descent_spec::trial::DataSpec;

use super::dataset::{Dataset, Samples};
use super::error::DataError;
use super::inputs::{Part, Source};
use super::noise::Noise;
use super::window::Window;
use crate::stream::Stream;

/// Inputs and labels of one trial. Trials of a pack share all of it but the noise: see [`labels`](Self::labels).
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Inputs per sample.
    pub inputs: usize,
    /// Number of classes.
    pub outputs: usize,
    /// What a sample looks like; `None` where samples are not images.
    pub image: Option<Image>,
    /// Training inputs, row-major `[samples, inputs]`, in `[0, 1]` before centring (but for Gaussian ones).
    pub train_x: Window,
    /// Training labels, as noisy as the spec asked for.
    pub train_y: Vec<u8>,
    /// Where each training sample stands among the data set's training samples, from 0.
    pub train_index: Vec<usize>,
    /// Held-out inputs, like `train_x`.
    pub validation_x: Window,
    /// Held-out labels, true.
    pub validation_y: Vec<u8>,
    /// Test inputs, like `train_x`.
    pub test_x: Window,
    /// Test labels, true.
    pub test_y: Vec<u8>,
    /// What was subtracted from every input.
    pub(crate) mean: Vec<f32>,
    pub(super) true_y: Vec<u8>,
    pub(super) seed: u64,
}

/// Draws and scales what `spec` asks for.
///
/// The order of all training samples is drawn once from the seed: training takes it from the front, validation from the back.
/// So smaller training sets are parts of larger ones, and neither share moves the other.
///
/// # Errors
/// When the data set has fewer samples than `spec` asks for.
pub fn prepare(dataset: &Dataset, spec: &DataSpec) -> Result<Prepared, DataError> {
    let (train, validation) = draw(dataset.train.len(), spec)?;
    let test_samples = count(spec.test_samples, dataset.test.len(), "test")?;
    let test: Vec<usize> = (0..test_samples).collect();

    let source = Source::new(dataset, spec.inputs, spec.seed, &train);
    let mean = if spec.centre {
        mean_image(&source, dataset.inputs, &train)
    } else {
        vec![0.0; dataset.inputs]
    };
    let scale = |part: Part, chosen: &[usize]| {
        let mut row = vec![0.0; dataset.inputs];
        let mut scaled: Vec<f32> = Vec::with_capacity(chosen.len() * dataset.inputs);
        for &index in chosen {
            source.write(part, index, &mut row);
            let numbers = row.iter().zip(&mean);
            scaled.extend(numbers.map(|(pixel, mean)| (pixel / 255.0 - mean) as f32));
        }
        Window::from(scaled)
    };
    let labels = |samples: &Samples, chosen: &[usize]| {
        chosen
            .iter()
            .map(|&index| samples.labels[index])
            .collect::<Vec<u8>>()
    };

    let mut prepared = Prepared {
        inputs: dataset.inputs,
        outputs: dataset.outputs,
        image: dataset.image,
        train_x: scale(Part::Train, &train),
        train_y: Vec::new(),
        train_index: train.clone(),
        validation_x: scale(Part::Train, &validation),
        validation_y: labels(&dataset.train, &validation),
        test_x: scale(Part::Test, &test),
        test_y: labels(&dataset.test, &test),
        mean: mean.iter().map(|&mean| mean as f32).collect(),
        true_y: labels(&dataset.train, &train),
        seed: spec.seed,
    };
    prepared.train_y = prepared.labels(&Noise::of(spec));
    Ok(prepared)
}

impl Prepared {
    /// Some of the training samples with these labels, one for each: the first `trained` to train on, the next ones up to `known` to hold
    /// out, and those after them up to `end` as test samples. Inputs are shared, not copied.
    ///
    /// # Panics
    /// When there are fewer samples.
    #[must_use]
    pub fn block(&self, labels: &[u8], trained: usize, known: usize, end: usize) -> Self {
        let inputs = |from: usize, to: usize| {
            let numbers = from * self.inputs..to * self.inputs;
            self.train_x.part(numbers)
        };
        Self {
            inputs: self.inputs,
            outputs: self.outputs,
            image: self.image,
            train_x: inputs(0, trained),
            train_y: labels[..trained].to_vec(),
            train_index: self.train_index[..trained].to_vec(),
            validation_x: inputs(trained, known),
            validation_y: labels[trained..known].to_vec(),
            test_x: inputs(known, end),
            test_y: labels[known..end].to_vec(),
            mean: self.mean.clone(),
            true_y: labels[..trained].to_vec(),
            seed: self.seed,
        }
    }
}

/// Which samples train, and which are held out.
fn draw(available: usize, spec: &DataSpec) -> Result<(Vec<usize>, Vec<usize>), DataError> {
    let validation = count(Some(spec.validation), available, "validation")?;
    let samples = count(spec.samples, available - validation, "training")?;
    if samples == 0 {
        return Err(DataError::TooFew(
            "no training samples are left: ask for fewer `data.validation` samples".to_owned(),
        ));
    }
    let mut order: Vec<usize> = (0..available).collect();
    Stream::new("samples", spec.seed, 0).shuffle(&mut order);
    let held_out = order.split_off(available - validation);
    order.truncate(samples);
    Ok((order, held_out))
}

/// How many to take of what is there; `None` takes all.
fn count(wanted: Option<u32>, available: usize, what: &str) -> Result<usize, DataError> {
    match wanted.map(|wanted| usize::try_from(wanted).expect("usize has at least 32 bits")) {
        None => Ok(available),
        Some(wanted) if wanted <= available => Ok(wanted),
        Some(wanted) => Err(DataError::TooFew(format!(
            "{wanted} {what} samples are asked for, but there are {available}"
        ))),
    }
}

/// The mean image of the chosen training samples. Of whole pixels it is the same in any order: their sums are exact.
fn mean_image(source: &Source<'_>, inputs: usize, chosen: &[usize]) -> Vec<f64> {
    let mut sums = vec![0.0; inputs];
    let mut row = vec![0.0; inputs];
    for &index in chosen {
        source.write(Part::Train, index, &mut row);
        for (sum, pixel) in sums.iter_mut().zip(&row) {
            *sum += pixel;
        }
    }
    sums.iter()
        .map(|sum| sum / (255.0 * chosen.len() as f64))
        .collect()
}
