//! What a trial trains and tests on: samples drawn, labels made noisy, inputs scaled and centred.

use descent_spec::data::Image;
use descent_spec::trial::{DataSpec, Labels};

use super::dataset::{Dataset, Samples};
use super::error::DataError;
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
    /// Training inputs, row-major `[samples, inputs]`, in `[0, 1]` before centring.
    pub train_x: Vec<f32>,
    /// Training labels, as noisy as the spec asked for.
    pub train_y: Vec<u8>,
    /// Where each training sample stands among the data set's training samples, from 0.
    pub train_index: Vec<usize>,
    /// Held-out inputs, like `train_x`.
    pub validation_x: Vec<f32>,
    /// Held-out labels, true.
    pub validation_y: Vec<u8>,
    /// Test inputs, like `train_x`.
    pub test_x: Vec<f32>,
    /// Test labels, true.
    pub test_y: Vec<u8>,
    true_y: Vec<u8>,
    seed: u64,
}

/// Draws and scales what `spec` asks for.
///
/// The order of all training samples is drawn once from the seed: training takes it from the front, validation from the back.
/// So smaller training sets are parts of larger ones, and neither share moves the other. Every sample's noise is drawn once
/// too (how soon it becomes noisy, and its wrong class), so that the noisy labels at 10 % are among those at 20 %.
///
/// # Errors
/// When the data set has fewer samples than `spec` asks for.
pub fn prepare(dataset: &Dataset, spec: &DataSpec) -> Result<Prepared, DataError> {
    let (train, validation) = draw(dataset.train.len(), spec)?;
    let test_samples = count(spec.test_samples, dataset.test.len(), "test")?;
    let test: Vec<usize> = (0..test_samples).collect();

    let mean = if spec.centre {
        mean_image(dataset, &train)
    } else {
        vec![0.0; dataset.inputs]
    };
    let scale = |samples: &Samples, chosen: &[usize]| {
        let rows = chosen
            .iter()
            .map(|&index| &samples.pixels[index * dataset.inputs..][..dataset.inputs]);
        let scaled = rows.flat_map(|row| {
            row.iter()
                .zip(&mean)
                .map(|(&pixel, mean)| (f64::from(pixel) / 255.0 - mean) as f32)
        });
        scaled.collect::<Vec<f32>>()
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
        train_x: scale(&dataset.train, &train),
        train_y: Vec::new(),
        train_index: train.clone(),
        validation_x: scale(&dataset.train, &validation),
        validation_y: labels(&dataset.train, &validation),
        test_x: scale(&dataset.test, &test),
        test_y: labels(&dataset.test, &test),
        true_y: labels(&dataset.train, &train),
        seed: spec.seed,
    };
    prepared.train_y = prepared.labels(spec.labels, spec.label_noise);
    Ok(prepared)
}

impl Prepared {
    /// Other training labels: random ones, each drawn uniformly from all classes, or true ones with another share of noise, exactly `round(noise · n)` of them replaced by another class, each
    /// other class being equally likely.
    #[must_use]
    pub fn labels(&self, kind: Labels, noise: f64) -> Vec<u8> {
        let samples = self.true_y.len();
        if kind == Labels::Random {
            let classes = u32::try_from(self.outputs).expect("classes are counted in bytes");
            let mut stream = Stream::new("labels", self.seed, 0);
            let class =
                |_| u8::try_from(stream.below(classes)).expect("classes are counted in bytes");
            return (0..samples).map(class).collect();
        }
        let others = u32::try_from(self.outputs - 1).expect("classes are counted in bytes");
        let mut stream = Stream::new("noise", self.seed, 0);
        // Drawn for every sample whatever the share is, and in the samples' order, so that shares are nested.
        let mut drawn: Vec<(u64, usize, u32)> = (0..samples)
            .map(|index| {
                let rank = u64::from(stream.u32()) << 32 | u64::from(stream.u32());
                (rank, index, stream.below(others))
            })
            .collect();
        drawn.sort_unstable();
        // In 0..=samples: the share is checked to lie in [0, 1] when the spec is made, and clamped here all the same.
        let noisy = (noise.clamp(0.0, 1.0) * samples as f64).round() as usize;
        let mut labels = self.true_y.clone();
        for &(_, index, step) in &drawn[..noisy] {
            let class = (usize::from(labels[index]) + 1 + step as usize) % self.outputs;
            labels[index] = u8::try_from(class).expect("classes are counted in bytes");
        }
        labels
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

/// The mean image of the chosen training samples, in `[0, 1]`. Summed in integers: the same in any order.
fn mean_image(dataset: &Dataset, chosen: &[usize]) -> Vec<f64> {
    let mut sums = vec![0_u64; dataset.inputs];
    for &index in chosen {
        let row = &dataset.train.pixels[index * dataset.inputs..][..dataset.inputs];
        for (sum, &pixel) in sums.iter_mut().zip(row) {
            *sum += u64::from(pixel);
        }
    }
    sums.iter()
        .map(|&sum| sum as f64 / (255.0 * chosen.len() as f64))
        .collect()
}
