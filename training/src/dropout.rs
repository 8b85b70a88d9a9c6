//! Dropout (Srivastava et al. 2014): units that are left out of a step, the others made larger by as much.
//!
//! Which ones is drawn from the trial's seed, the step, the layer and the unit's place in the batch: neither a pack nor an
//! interruption moves it.

use crate::stream::Stream;

/// A share of units to leave out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dropout {
    seed: u64,
    /// Draws of 32 bits below it leave their unit out.
    threshold: u32,
    /// What the units that stay are multiplied by.
    pub(crate) scale: f32,
}

/// Dropout of one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropping {
    dropout: Dropout,
    /// Name of the streams, and their index.
    place: (&'static str, u64),
}

/// Bytes drawn at a time.
const CHUNK: usize = 4096;

impl Dropout {
    /// Leaves out this share of units, in `[0, 1)`; `None` for 0.
    pub(crate) fn new(share: f64, seed: u64) -> Option<Self> {
        let most = f64::from(u32::MAX);
        (share > 0.0).then(|| Self {
            seed,
            threshold: (share * (most + 1.0)).round().clamp(0.0, most) as u32,
            scale: (1.0 / (1.0 - share)) as f32,
        })
    }

    /// That of the step which follows `step` steps.
    pub(crate) const fn of_step(self, step: u64) -> Dropping {
        Dropping {
            dropout: self,
            place: ("dropout", step),
        }
    }

    /// That of tested samples, the first of which is this one.
    pub(crate) const fn of_tested(self, sample: usize) -> Dropping {
        Dropping {
            dropout: self,
            place: ("dropout/test", sample as u64),
        }
    }
}

impl Dropping {
    /// What each unit of a layer is multiplied by, sample by sample: 0 for those left out.
    pub(crate) fn factors(&self, layer: usize, count: usize, factors: &mut Vec<f32>) {
        let Dropout {
            seed,
            threshold,
            scale,
        } = self.dropout;
        let (name, index) = self.place;
        let mut stream = Stream::new(&format!("{name}/{layer}"), seed, index);
        factors.clear();
        let mut bytes = [0; CHUNK];
        while factors.len() < count {
            let numbers = (count - factors.len()).min(CHUNK / 4);
            stream.fill(&mut bytes[..4 * numbers]);
            let draws = bytes[..4 * numbers].as_chunks::<4>().0;
            factors.extend(draws.iter().map(|&draw| {
                if u32::from_le_bytes(draw) < threshold {
                    0.0
                } else {
                    scale
                }
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_left_out_and_the_rest_makes_up_for_it() {
        let dropout = Dropout::new(0.25, 3).unwrap();
        let mut factors = Vec::new();
        dropout.of_step(7).factors(1, 40_000, &mut factors);
        let left_out = factors.iter().filter(|&&factor| factor == 0.0).count();
        // 10,000 ± 87.
        assert!((9_600..10_400).contains(&left_out), "{left_out}");
        assert!(
            factors
                .iter()
                .all(|&factor| factor == 0.0 || factor == 4.0 / 3.0)
        );
        let mut others = Vec::new();
        for other in [
            dropout.of_step(8),
            dropout.of_tested(7),
            Dropout::new(0.25, 4).unwrap().of_step(7),
        ] {
            other.factors(1, 40_000, &mut others);
            assert_ne!(others, factors);
        }
        dropout.of_step(7).factors(1, 100, &mut others);
        assert_eq!(others, factors[..100]);
        assert_eq!(Dropout::new(0.0, 3), None);
    }
}
