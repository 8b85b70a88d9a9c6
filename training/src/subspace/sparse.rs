//! Very sparse random projections: one number in √D of a column is not 0, and all of those are as large.
//!
//! Li, Hastie & Church 2006, as Li et al. 2018 use them, with one density for the whole vector. Where a number stands is
//! independent from entry to entry; a column of k numbers holds ±1/√k.

use crate::stream::Stream;

/// P by rows: walking through it, θ and g are read once and in order, and only z is reached into.
#[derive(Debug)]
pub(crate) struct Sparse {
    /// Where each row's entries begin, and where the last one's end: d·√D of them, which may be more than 32 bits count.
    rows: Vec<usize>,
    /// Twice the column, and 1 more where the number is negative; columns ascend within a row.
    entries: Vec<u32>,
    /// 1/√k of each column.
    scale: Vec<f32>,
}

impl Sparse {
    pub(crate) fn draw(dim: usize, parameters: usize, seed: u64) -> Self {
        let density = 1.0 / libm::sqrt(parameters as f64);
        let gap = libm::log(1.0 - density);
        // By columns first: twice the row, and 1 more where the number is negative.
        let mut drawn: Vec<u32> = Vec::new();
        let mut starts = Vec::with_capacity(dim);
        let mut scale = Vec::with_capacity(dim);
        let mut rows = vec![0_usize; parameters + 1];
        for column in 0..dim {
            let mut stream = Stream::new(&format!("projection/{column}"), seed, 0);
            let start = drawn.len();
            let mut row = skip(&mut stream, gap);
            while row < parameters {
                drawn.push(entry(row, &mut stream));
                row = row.saturating_add(1).saturating_add(skip(&mut stream, gap));
            }
            if drawn.len() == start {
                // Only in tiny networks: a column without a number has no direction.
                let row = stream.below(u32::try_from(parameters).unwrap_or(u32::MAX));
                drawn.push(entry(row as usize, &mut stream));
            }
            for entry in &drawn[start..] {
                rows[(entry >> 1) as usize] += 1;
            }
            scale.push((1.0 / libm::sqrt((drawn.len() - start) as f64)) as f32);
            starts.push(start);
        }
        accumulate(&mut rows);
        let mut entries = vec![0; drawn.len()];
        // From the last column to the first, and each row from its end to its beginning: so columns ascend.
        let columns = (0..u32::try_from(dim).unwrap_or(u32::MAX)).rev();
        for (column, start) in columns.zip(starts.into_iter().rev()) {
            for entry in drawn.drain(start..) {
                let place = &mut rows[(entry >> 1) as usize];
                *place -= 1;
                entries[*place] = column << 1 | entry & 1;
            }
        }
        Self {
            rows,
            entries,
            scale,
        }
    }

    pub(crate) fn scratch(&self) -> usize {
        2 * self.scale.len()
    }

    pub(crate) fn add(&self, z: &[f32], theta: &mut [f32], scratch: &mut [f32]) {
        let signed = &mut scratch[..self.scratch()];
        let pairs = signed.as_chunks_mut::<2>().0;
        for ((pair, z), scale) in pairs.iter_mut().zip(z).zip(&self.scale) {
            *pair = [z * scale, -(z * scale)];
        }
        for (theta, row) in theta.iter_mut().zip(self.rows.array_windows::<2>()) {
            let mut sum = 0.0;
            for &entry in &self.entries[row[0]..row[1]] {
                sum += signed[entry as usize];
            }
            *theta += sum;
        }
    }

    pub(crate) fn pull(&self, gradient: &[f32], pulled: &mut [f32], scratch: &mut [f32]) {
        let signed = &mut scratch[..self.scratch()];
        signed.fill(0.0);
        for (g, row) in gradient.iter().zip(self.rows.array_windows::<2>()) {
            for &entry in &self.entries[row[0]..row[1]] {
                signed[entry as usize] += g;
            }
        }
        let pairs = signed.as_chunks::<2>().0;
        for ((pulled, [plus, minus]), scale) in pulled.iter_mut().zip(pairs).zip(&self.scale) {
            *pulled = (plus - minus) * scale;
        }
    }
}

/// From how many entries each row has to where each ends; the last row of all is empty.
fn accumulate(rows: &mut [usize]) {
    let mut end = 0_usize;
    for row in rows {
        end += *row;
        *row = end;
    }
}

/// Rows without a number before the next one: geometric. `gap` is the logarithm of one row's chance to have none.
fn skip(stream: &mut Stream, gap: f64) -> usize {
    // 1 − u lies in (0, 1]. What is out of range saturates, which is past the last row.
    (libm::log(1.0 - stream.uniform()) / gap) as usize
}

fn entry(row: usize, stream: &mut Stream) -> u32 {
    let row = u32::try_from(row).expect("parameters are counted in 31 bits");
    row << 1 | stream.u32() & 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_entries_than_32_bits_count_are_told_apart() {
        let many = u32::MAX as usize;
        let mut rows = [many, many, 3, 0];
        accumulate(&mut rows);
        assert_eq!(rows, [many, 2 * many, 2 * many + 3, 2 * many + 3]);
    }
}
