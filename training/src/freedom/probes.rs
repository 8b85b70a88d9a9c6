//! Disturbances of targets.

use descent_spec::asked::{FreedomSpec, Probes};

use crate::stream::Stream;

/// B of one draw, row-major `[samples, outputs]`: zero mean, unit variance, and no entry goes with another.
///
/// Hadamard probes count columns of a Sylvester-Hadamard matrix of 2^k ≥ samples rows, one for each output and draw, cut to the
/// samples, with a sign of each row and one of each column: after every 2^k columns Σ b·bᵀ is 2^k times the identity, so that
/// the average of bᵀ·H·b over them is the trace of H exactly.
pub(super) fn probe(
    freedom: &FreedomSpec,
    seed: u64,
    draw: u32,
    samples: usize,
    outputs: usize,
) -> Vec<f64> {
    let mut stream = Stream::new("freedom", seed, draw.into());
    match freedom.probes {
        Probes::Normal => (0..samples * outputs).map(|_| stream.normal()).collect(),
        Probes::Hadamard => {
            let size = samples.next_power_of_two();
            let mut rows = Stream::new("freedom rows", seed, 0);
            let rows: Vec<f64> = (0..samples).map(|_| sign(&mut rows)).collect();
            let columns: Vec<(usize, f64)> = (0..outputs)
                .map(|output| {
                    let column = (draw as usize * outputs + output) % size;
                    (column, sign(&mut stream))
                })
                .collect();
            let entry = |row: usize, (column, sign): (usize, f64)| {
                let odd = (row & column).count_ones() % 2 == 1;
                rows[row] * if odd { -sign } else { sign }
            };
            let all = (0..samples).flat_map(|row| columns.iter().map(move |&column| (row, column)));
            all.map(|(row, column)| entry(row, column)).collect()
        }
    }
}

fn sign(stream: &mut Stream) -> f64 {
    if stream.u32().is_multiple_of(2) {
        1.0
    } else {
        -1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freedom(probes: Probes) -> FreedomSpec {
        FreedomSpec {
            epsilon: 0.01,
            draws: 8,
            probes,
        }
    }

    #[test]
    fn probes_have_zero_mean_and_unit_variance() {
        for probes in [Probes::Normal, Probes::Hadamard] {
            let b = probe(&freedom(probes), 3, 1, 300, 10);
            let n = b.len() as f64;
            let mean = b.iter().sum::<f64>() / n;
            let square = b.iter().map(|b| b * b).sum::<f64>() / n;
            assert!(
                mean.abs() < 0.08 && (square - 1.0).abs() < 0.1,
                "{mean} {square}"
            );
            assert_ne!(b, probe(&freedom(probes), 3, 2, 300, 10));
            assert_ne!(b, probe(&freedom(probes), 4, 1, 300, 10));
        }
    }

    #[test]
    fn hadamard_probes_of_a_whole_round_are_orthogonal() {
        // 13 samples are cut from 16 rows; 8 draws of 2 outputs are 16 columns.
        let (samples, outputs) = (13, 2);
        let draws: Vec<Vec<f64>> = (0..8)
            .map(|draw| probe(&freedom(Probes::Hadamard), 0, draw, samples, outputs))
            .collect();
        for a in 0..samples {
            for b in 0..samples {
                let mut sum = 0.0;
                for draw in &draws {
                    for output in 0..outputs {
                        sum += draw[a * outputs + output] * draw[b * outputs + output];
                    }
                }
                assert_eq!(sum, if a == b { 16.0 } else { 0.0 }, "{a} {b}");
            }
        }
    }
}
