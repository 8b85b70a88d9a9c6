//! The kernels on every instruction set of this processor: the right numbers, and the same bits where sums are fused.

use super::{Descend, Forward, Isa, Kept, Panels, Rule, TILE, tile_block, tile_index};
use crate::stream::Stream;

/// All that this processor has; the portable one always.
fn available() -> Vec<Isa> {
    let mut all = vec![Isa::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        all.extend(pulp::x86::V3::try_new().map(Isa::Avx2));
        all.extend(pulp::x86::V4::try_new().map(Isa::Avx512));
    }
    #[cfg(target_arch = "aarch64")]
    all.extend(pulp::aarch64::Neon::try_new().map(Isa::Neon));
    all
}

/// Products, and weights after a step, in plain order: `[rows, columns]` and `[depth, columns]`.
fn products(isa: Isa, rows: usize, depth: usize, columns: usize) -> (Vec<f32>, Vec<f32>) {
    let stride = rows.next_multiple_of(TILE);
    let panels = Panels::new(columns, isa);
    let mut draws = Stream::new("kernel", 0, 0);
    let mut number = || draws.normal() as f32;
    let mut tiles = vec![f32::NAN; stride / TILE * tile_block(depth)];
    let mut weights = vec![0.0; depth * panels.columns()];
    let mut deltas = vec![0.0; stride * panels.columns()];
    for row in 0..rows {
        for k in 0..depth {
            tiles[tile_index(k, row, depth)] = number();
        }
        for column in 0..columns {
            deltas[panels.index(row, column, stride)] = number();
        }
    }
    for k in 0..depth {
        for column in 0..columns {
            weights[panels.index(k, column, depth)] = number();
        }
    }
    let mut out = vec![0.0; stride * panels.columns()];
    isa.run(Forward {
        tiles: &tiles,
        stride,
        rows,
        depth,
        weights: &weights,
        panels,
        rectify: false,
        out: &mut out,
    });
    let constant = |value: f32| vec![value; panels.columns()];
    let mut velocity = vec![0.0; weights.len()];
    isa.run(Descend {
        tiles: &tiles,
        stride,
        rows,
        depth,
        deltas: &deltas,
        panels,
        weights: &mut weights,
        kept: Kept {
            mask: &[],
            panels: &[],
        },
        rule: Rule::Sgd {
            velocity: &mut velocity,
            rate: &constant(0.5),
            momentum: &constant(0.9),
            decay: &constant(0.25),
        },
    });
    let plain = |numbers: &[f32], count: usize, height: usize| {
        let places = (0..count).flat_map(|row| (0..columns).map(move |column| (row, column)));
        places
            .map(|(row, column)| numbers[panels.index(row, column, height)])
            .collect()
    };
    (plain(&out, rows, stride), plain(&weights, depth, depth))
}

/// The same in double precision, straight from the definitions.
fn expected(rows: usize, depth: usize, columns: usize) -> (Vec<f64>, Vec<f64>) {
    let mut draws = Stream::new("kernel", 0, 0);
    let mut number = || f64::from(draws.normal() as f32);
    let (mut x, mut d) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        x.extend((0..depth).map(|_| number()));
        d.extend((0..columns).map(|_| number()));
    }
    let w: Vec<f64> = (0..depth * columns).map(|_| number()).collect();
    let (mut out, mut moved) = (Vec::new(), Vec::new());
    for row in 0..rows {
        for column in 0..columns {
            out.push(
                (0..depth)
                    .map(|k| x[row * depth + k] * w[k * columns + column])
                    .sum(),
            );
        }
    }
    for k in 0..depth {
        for column in 0..columns {
            let sum: f64 = (0..rows)
                .map(|row| x[row * depth + k] * d[row * columns + column])
                .sum();
            let old = w[k * columns + column];
            // The last row is the bias: no decay.
            let decay = if k + 1 < depth { 0.25 * old } else { 0.0 };
            moved.push(old - 0.5 * (sum + decay));
        }
    }
    (out, moved)
}

#[test]
fn every_instruction_set_computes_the_products() {
    for (rows, depth, columns) in [
        (1, 1, 1),
        (7, 9, 10),
        (13, 17, 49),
        (100, 33, 100),
        (8, 16, 48),
        (3, 8, 31),
    ] {
        let wanted = expected(rows, depth, columns);
        let mut fused: Option<(Vec<f32>, Vec<f32>)> = None;
        for isa in available() {
            let found = products(isa, rows, depth, columns);
            for (found, wanted) in [(&found.0, &wanted.0), (&found.1, &wanted.1)] {
                assert_eq!(found.len(), wanted.len());
                for (&found, &wanted) in found.iter().zip(wanted) {
                    let error = (f64::from(found) - wanted).abs();
                    assert!(error < 1e-4, "{}: {found} and {wanted}", isa.name());
                }
            }
            if !matches!(isa, Isa::Portable) {
                let first = fused.get_or_insert_with(|| found.clone());
                assert_eq!(*first, found, "{}", isa.name());
            }
        }
    }
}
