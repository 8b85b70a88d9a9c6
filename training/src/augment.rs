//! Augmentation: training images moved by a few pixels and mirrored, each anew in every step.
//!
//! Drawn from the order's seed and the step, so that networks of one pack see the same images, whoever else is in it.

use descent_spec::data::Image;
use descent_spec::trial::AugmentSpec;

use crate::data::Prepared;
use crate::stream::Stream;

/// What is done to images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Augment {
    spec: AugmentSpec,
    image: Image,
    seed: u64,
}

impl Augment {
    /// What a description asks for; `None` where it asks for nothing, or samples are no images.
    pub(crate) fn new(spec: AugmentSpec, image: Option<Image>, seed: u64) -> Option<Self> {
        let image = image.filter(|_| spec != AugmentSpec::default())?;
        Some(Self { spec, image, seed })
    }

    /// Writes the images of a batch, row-major, for the step that follows `step` steps.
    pub(crate) fn write(&self, data: &Prepared, step: u64, batch: &[u32], images: &mut Vec<f32>) {
        let mut stream = Stream::new("augment", self.seed, step);
        images.clear();
        images.resize(batch.len() * data.inputs, 0.0);
        for (&sample, to) in batch.iter().zip(images.chunks_exact_mut(data.inputs)) {
            let from = &data.train_x[sample as usize * data.inputs..][..data.inputs];
            let (down, right, mirrored) = self.draw(&mut stream);
            self.place(from, &data.mean, (down, right, mirrored), to);
        }
    }

    /// How far down and right an image goes, and whether it is mirrored.
    fn draw(&self, stream: &mut Stream) -> (i64, i64, bool) {
        let reach = self.spec.shift;
        let mut shift = || match reach {
            0 => 0,
            _ => i64::from(stream.below(2 * reach + 1)) - i64::from(reach),
        };
        let (down, right) = (shift(), shift());
        let mirrored = self.spec.flip && stream.below(2) == 1;
        (down, right, mirrored)
    }

    /// Moves one image, into whose place black comes. Images have their mean subtracted: what moves is what they were before.
    fn place(&self, from: &[f32], mean: &[f32], how: (i64, i64, bool), to: &mut [f32]) {
        let (down, right, mirrored) = how;
        let (height, width) = (i64::from(self.image.height), i64::from(self.image.width));
        let mut at = 0;
        for channel in 0..i64::from(self.image.channels) {
            for row in 0..height {
                for column in 0..width {
                    let (y, x) = (row - down, column - right);
                    let inside = (0..height).contains(&y) && (0..width).contains(&x);
                    let x = if mirrored { width - 1 - x } else { x };
                    let black = -mean[at];
                    to[at] = if inside {
                        let source = ((channel * height + y) * width + x) as usize;
                        if source == at {
                            from[at]
                        } else {
                            (from[source] + mean[source]) - mean[at]
                        }
                    } else {
                        black
                    };
                    at += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(shift: u32, how: (i64, i64, bool)) -> Vec<f32> {
        let image = Image::new(1, 2, 3, 6).unwrap();
        let spec = AugmentSpec { shift, flip: true };
        let augment = Augment::new(spec, Some(image), 0).unwrap();
        // Pixels 1 to 6, with 0.5 subtracted at the first place and 0 elsewhere.
        let from = [0.5, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mean = [0.5, 0.0, 0.0, 0.0, 0.0, 0.0];
        let mut to = vec![9.0; 6];
        augment.place(&from, &mean, how, &mut to);
        to
    }

    #[test]
    fn images_move_whole_and_black_comes_in() {
        assert_eq!(
            moved(1, (0, 0, false)),
            [0.5, 2.0, 3.0, 4.0, 5.0, 6.0],
            "where it was"
        );
        assert_eq!(moved(1, (1, 1, false)), [-0.5, 0.0, 0.0, 0.0, 1.0, 2.0]);
        assert_eq!(moved(1, (-1, 0, false)), [3.5, 5.0, 6.0, 0.0, 0.0, 0.0]);
        assert_eq!(moved(0, (0, 0, true)), [2.5, 2.0, 1.0, 6.0, 5.0, 4.0]);
    }

    #[test]
    fn every_shift_comes_up_and_nothing_further() {
        let image = Image::new(1, 28, 28, 784);
        let spec = AugmentSpec {
            shift: 2,
            flip: true,
        };
        let augment = Augment::new(spec, image, 1).unwrap();
        let mut stream = Stream::new("augment", 1, 0);
        let draws: std::collections::BTreeSet<_> =
            (0..1_000).map(|_| augment.draw(&mut stream)).collect();
        assert_eq!(draws.len(), 5 * 5 * 2);
        assert!(
            draws
                .iter()
                .all(|(down, right, _)| down.abs() <= 2 && right.abs() <= 2)
        );
        assert_eq!(Augment::new(AugmentSpec::default(), image, 1), None);
        assert_eq!(Augment::new(spec, None, 1), None);
    }
}
