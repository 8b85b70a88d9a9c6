//! Samples' inputs, and parts of them: windows on numbers that several trials share.

use std::ops::{Deref, Range};
use std::sync::Arc;

/// Some of many numbers; copies and parts share their memory.
#[derive(Clone, Debug)]
pub struct Window {
    all: Arc<Vec<f32>>,
    range: Range<usize>,
}

impl Window {
    /// A part of these numbers.
    ///
    /// # Panics
    /// When it reaches beyond them.
    #[must_use]
    pub fn part(&self, part: Range<usize>) -> Self {
        assert!(part.end <= self.range.len(), "a part of what is there");
        Self {
            all: Arc::clone(&self.all),
            range: self.range.start + part.start..self.range.start + part.end,
        }
    }
}

impl From<Vec<f32>> for Window {
    fn from(numbers: Vec<f32>) -> Self {
        Self {
            range: 0..numbers.len(),
            all: Arc::new(numbers),
        }
    }
}

impl Deref for Window {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.all[self.range.clone()]
    }
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl PartialEq<[f32]> for Window {
    fn eq(&self, other: &[f32]) -> bool {
        **self == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_parts_look_at_the_same_numbers() {
        let all = Window::from(vec![0.0, 1.0, 2.0, 3.0, 4.0]);
        let part = all.part(1..5).part(1..3);
        assert_eq!(*part, [2.0, 3.0]);
        assert!(Arc::ptr_eq(&all.all, &part.all));
        assert!(part.part(2..2).is_empty());
    }
}
