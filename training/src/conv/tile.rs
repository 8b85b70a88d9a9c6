//! How batches lie in memory: 16 samples side by side, every number of an image a group of 16.
//!
//! A batch is cut into tiles of 16 samples, a tile is `[channels][rows][columns][16]`. So every operation of a network runs
//! along whole registers whatever the image's extent, nothing is ever copied into columns for a product, and a convolution's
//! last activations are a dense layer's inputs as they lie. Lanes of samples that are not there hold zeros or leftovers, and
//! their gradients are zero.

/// Samples of a group.
pub(crate) const GROUP: usize = 16;

/// A neighbour, relative to a place: where its numbers and its weight are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    /// In groups.
    pub(crate) x: u32,
    /// In numbers.
    pub(crate) w: u32,
}

/// Steps through memory, in groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    pub(crate) first: usize,
    pub(crate) tile: usize,
    pub(crate) row: usize,
    pub(crate) place: usize,
}

impl Steps {
    #[inline(always)]
    pub(crate) const fn at(&self, tile: usize, row: usize, place: usize) -> usize {
        self.first + tile * self.tile + row * self.row + place * self.place
    }
}

/// Places of a product in its inputs and in its outputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    pub(crate) tiles: usize,
    pub(crate) rows: usize,
    /// Places of a row.
    pub(crate) run: usize,
    pub(crate) x: Steps,
    pub(crate) out: Steps,
}

/// An image of groups inside a border: `channels × height × width`, of which the image takes a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) channels: usize,
    /// Rows and columns with the border.
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Rows above the image, and columns before it.
    pub(crate) border: usize,
    /// From one row or column of the image to the next: more than 1 where zeros lie in between.
    pub(crate) stride: usize,
}

impl Frame {
    /// Without a border.
    pub(crate) const fn plain(channels: usize, height: usize, width: usize) -> Self {
        Self {
            channels,
            height,
            width,
            border: 0,
            stride: 1,
        }
    }

    /// This frame of a layer's inputs, as one of images of this extent: the same but for a dense layer's, whose inputs are
    /// those images end to end.
    pub(crate) fn around(self, channels: usize, height: usize, width: usize) -> Self {
        if self.channels == channels {
            self
        } else {
            Self::plain(channels, height, width)
        }
    }

    /// Groups of one channel.
    pub(crate) const fn plane(&self) -> usize {
        self.height * self.width
    }

    /// Groups of one tile.
    pub(crate) const fn tile(&self) -> usize {
        self.channels * self.plane()
    }

    /// Groups before the image's first number.
    pub(crate) const fn inset(&self) -> usize {
        self.border * (self.width + 1)
    }

    /// Where a row of the image begins, in groups.
    pub(crate) const fn row(&self, tile: usize, channel: usize, row: usize) -> usize {
        tile * self.tile() + channel * self.plane() + self.inset() + row * self.stride * self.width
    }

    /// Steps through the image.
    pub(crate) const fn steps(&self) -> Steps {
        Steps {
            first: self.inset(),
            tile: self.tile(),
            row: self.stride * self.width,
            place: self.stride,
        }
    }
}
