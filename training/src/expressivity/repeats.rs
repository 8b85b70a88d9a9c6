//! Samples that are equal: with one label they are one sample, with two no function fits them.

use std::collections::HashMap;

/// Two equal samples with different labels, by their position in the rows given, and how many more there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contradiction {
    pub(super) first: usize,
    pub(super) second: usize,
    pub(super) more: usize,
}

/// The first of every set of equal rows, in order.
///
/// # Errors
/// When equal rows have different labels.
pub(super) fn distinct(
    rows: &[f32],
    inputs: usize,
    labels: &[u8],
) -> Result<Vec<usize>, Contradiction> {
    let mut seen: HashMap<blake3::Hash, usize> = HashMap::with_capacity(labels.len());
    let mut firsts = Vec::with_capacity(labels.len());
    let mut found: Option<Contradiction> = None;
    let mut bytes = Vec::with_capacity(inputs * 4);
    for (at, row) in rows.chunks_exact(inputs).enumerate() {
        bytes.clear();
        // −0 is 0.
        bytes.extend(row.iter().flat_map(|x| (x + 0.0).to_le_bytes()));
        let first = *seen.entry(blake3::hash(&bytes)).or_insert(at);
        if first == at {
            firsts.push(at);
        } else if labels[first] != labels[at] {
            match &mut found {
                Some(found) => found.more += 1,
                None => {
                    found = Some(Contradiction {
                        first,
                        second: at,
                        more: 0,
                    });
                }
            }
        }
    }
    found.map_or(Ok(firsts), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_samples_are_one_and_contradictions_are_named() {
        let rows = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 0.0, 4.0, -0.0, 4.0];
        assert_eq!(distinct(&rows, 2, &[5, 6, 5, 7, 7]), Ok(vec![0, 1, 3]));
        let contradiction = Contradiction {
            first: 0,
            second: 2,
            more: 1,
        };
        assert_eq!(distinct(&rows, 2, &[5, 6, 4, 7, 8]), Err(contradiction));
    }
}
