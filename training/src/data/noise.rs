//! Training labels: true or random ones, and noise on them.

use descent_spec::trial::{DataSpec, Labels, NoiseKind};

use super::prepare::Prepared;
use crate::stream::Stream;

/// What a trial asks of its training labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// What they are at first.
    pub labels: Labels,
    /// What noise does to them.
    pub kind: NoiseKind,
    /// The share that is noisy, in `[0, 1]`.
    pub share: f64,
}

impl Noise {
    /// What a description asks for.
    #[must_use]
    pub const fn of(spec: &DataSpec) -> Self {
        Self {
            labels: spec.labels,
            kind: spec.noise_kind,
            share: spec.label_noise,
        }
    }
}

impl Prepared {
    /// Other training labels for the same samples. Every sample's noise is drawn once, whatever the share is and in the samples'
    /// order, so that the noisy labels at 10 % are among those at 20 %.
    #[must_use]
    pub fn labels(&self, noise: &Noise) -> Vec<u8> {
        // The share is checked to lie in [0, 1] when the spec is made, and clamped here all the same.
        let share = noise.share.clamp(0.0, 1.0);
        match (noise.labels, noise.kind) {
            (Labels::Random, _) => self.random(),
            (Labels::True, NoiseKind::Other) => self.with_others(share),
            (Labels::True, NoiseKind::Uniform) => self.with_any(share),
        }
    }

    /// Each label drawn uniformly from all classes.
    fn random(&self) -> Vec<u8> {
        let mut stream = Stream::new("labels", self.seed, 0);
        let class = |_| self.class(&mut stream);
        (0..self.true_y.len()).map(class).collect()
    }

    /// Exactly `round(share · n)` labels replaced by another class, each other class being equally likely.
    fn with_others(&self, share: f64) -> Vec<u8> {
        let samples = self.true_y.len();
        let others = u32::try_from(self.outputs - 1).expect("classes are counted in bytes");
        let mut stream = Stream::new("noise", self.seed, 0);
        let mut drawn: Vec<(u64, usize, u32)> = (0..samples)
            .map(|index| {
                let rank = u64::from(stream.u32()) << 32 | u64::from(stream.u32());
                (rank, index, stream.below(others))
            })
            .collect();
        drawn.sort_unstable();
        let noisy = (share * samples as f64).round() as usize;
        let mut labels = self.true_y.clone();
        for &(_, index, step) in &drawn[..noisy] {
            let class = (usize::from(labels[index]) + 1 + step as usize) % self.outputs;
            labels[index] = u8::try_from(class).expect("classes are counted in bytes");
        }
        labels
    }

    /// Each label, with the share as its probability, drawn anew from all classes.
    fn with_any(&self, share: f64) -> Vec<u8> {
        let mut stream = Stream::new("corruption", self.seed, 0);
        let label = |&label: &u8| {
            let (when, class) = (stream.uniform(), self.class(&mut stream));
            if when < share { class } else { label }
        };
        self.true_y.iter().map(label).collect()
    }

    fn class(&self, stream: &mut Stream) -> u8 {
        let classes = u32::try_from(self.outputs).expect("classes are counted in bytes");
        u8::try_from(stream.below(classes)).expect("classes are counted in bytes")
    }
}
