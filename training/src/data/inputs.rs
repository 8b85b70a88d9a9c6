//! What takes the images' place: their pixels in another order, or numbers that have nothing to do with them.
//!
//! All of it is drawn from the data's seed by the sample's place in the data set: every worker, every attempt and every share of
//! the samples sees the same.

use descent_spec::data::Image;
use descent_spec::trial::Inputs;

use super::dataset::Dataset;
use crate::stream::Stream;

/// Samples of a data set: those to train on, or those to test on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Train,
    Test,
}

impl Part {
    const fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// Makes the samples of one trial, as numbers of which 255 stands for 1.
pub(super) struct Source<'a> {
    dataset: &'a Dataset,
    seed: u64,
    kind: Kind,
}

enum Kind {
    True,
    /// Where each place takes its pixel from.
    Shuffled(Vec<usize>),
    RandomPixels,
    /// Mean and deviation of each channel.
    Gaussian(Vec<(f64, f64)>),
}

impl<'a> Source<'a> {
    /// `chosen`: the training samples, which Gaussian inputs take their mean and variance from.
    pub(super) fn new(dataset: &'a Dataset, inputs: Inputs, seed: u64, chosen: &[usize]) -> Self {
        let kind = match inputs {
            Inputs::True => Kind::True,
            Inputs::Shuffled => Kind::Shuffled(order(dataset, &mut Stream::new("pixels", seed, 0))),
            Inputs::RandomPixels => Kind::RandomPixels,
            Inputs::Gaussian => Kind::Gaussian(moments(dataset, chosen)),
        };
        Self {
            dataset,
            seed,
            kind,
        }
    }

    /// Writes one sample.
    pub(super) fn write(&self, part: Part, index: usize, row: &mut [f64]) {
        let samples = match part {
            Part::Train => &self.dataset.train,
            Part::Test => &self.dataset.test,
        };
        let pixels = &samples.pixels[index * self.dataset.inputs..][..self.dataset.inputs];
        let stream = |what: &str| {
            let name = format!("{what}/{}", part.word());
            Stream::new(&name, self.seed, index as u64)
        };
        match &self.kind {
            Kind::True => {
                for (to, &pixel) in row.iter_mut().zip(pixels) {
                    *to = f64::from(pixel);
                }
            }
            Kind::Shuffled(order) => reorder(pixels, order, row),
            Kind::RandomPixels => {
                reorder(pixels, &order(self.dataset, &mut stream("pixels")), row);
            }
            Kind::Gaussian(moments) => {
                let mut stream = stream("gaussian");
                let plane = row.len() / moments.len();
                for (channel, &(mean, sd)) in row.chunks_mut(plane).zip(moments) {
                    channel.fill_with(|| mean + sd * stream.normal());
                }
            }
        }
    }
}

/// Channels, and places in each of them. Samples that are no images have one channel.
fn extent(dataset: &Dataset) -> (usize, usize) {
    let channels = |image: Image| image.channels as usize;
    let channels = dataset.image.map_or(1, channels);
    (channels, dataset.inputs / channels)
}

/// A random order of the places of an image.
fn order(dataset: &Dataset, stream: &mut Stream) -> Vec<usize> {
    let mut order: Vec<usize> = (0..extent(dataset).1).collect();
    stream.shuffle(&mut order);
    order
}

/// Moves pixels, in every channel alike.
fn reorder(pixels: &[u8], order: &[usize], row: &mut [f64]) {
    let channels = pixels.chunks_exact(order.len());
    for (from, to) in channels.zip(row.chunks_exact_mut(order.len())) {
        for (to, &place) in to.iter_mut().zip(order) {
            *to = f64::from(from[place]);
        }
    }
}

/// Mean and standard deviation of every channel over the chosen training samples. Summed in integers: the same in any order.
fn moments(dataset: &Dataset, chosen: &[usize]) -> Vec<(f64, f64)> {
    let (channels, plane) = extent(dataset);
    let mut sums = vec![(0_u64, 0_u64); channels];
    for &index in chosen {
        let row = &dataset.train.pixels[index * dataset.inputs..][..dataset.inputs];
        for (sum, pixels) in sums.iter_mut().zip(row.chunks_exact(plane)) {
            for pixel in pixels.iter().map(|&pixel| u64::from(pixel)) {
                sum.0 += pixel;
                sum.1 += pixel * pixel;
            }
        }
    }
    let count = (chosen.len() * plane) as f64;
    let moments = sums.iter().map(|&(sum, squares)| {
        let mean = sum as f64 / count;
        let variance = squares as f64 / count - mean * mean;
        (mean, libm::sqrt(variance.max(0.0)))
    });
    moments.collect()
}
