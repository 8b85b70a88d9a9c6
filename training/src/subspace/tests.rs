//! Projections against plain algebra.

use descent_spec::trial::{Optimizer, ProjectionKind, SubspaceSpec};

use super::{Coordinates, Projection, Subspace};
use crate::kernel::{Hadamard, Isa};
use crate::optimizer::Coefficients;
use crate::stream::Stream;

fn isas() -> Vec<Isa> {
    #[allow(unused_mut, reason = "some processors have one")]
    let mut all = vec![Isa::detect()];
    #[cfg(target_arch = "x86_64")]
    if let (Isa::Avx512(_), Some(simd)) = (Isa::detect(), pulp::x86::V3::try_new()) {
        all.push(Isa::Avx2(simd));
    }
    all
}

fn draw(projection: ProjectionKind, dim: u32, parameters: usize, seed: u64) -> Projection {
    Projection::draw(
        SubspaceSpec {
            dim,
            projection,
            search: None,
        },
        parameters,
        seed,
    )
}

fn numbers(name: &str, count: usize) -> Vec<f32> {
    let mut stream = Stream::new(name, 3, 0);
    (0..count).map(|_| stream.normal() as f32).collect()
}

fn add(p: &Projection, isa: Isa, z: &[f32], parameters: usize) -> Vec<f32> {
    let mut theta = vec![0.0; parameters];
    // Whatever the scratch holds does not matter.
    p.add(isa, z, &mut theta, &mut vec![f32::NAN; p.scratch()]);
    theta
}

fn pull(p: &Projection, isa: Isa, g: &[f32], dim: usize) -> Vec<f32> {
    let mut pulled = vec![f32::NAN; dim];
    p.pull(isa, g, &mut pulled, &mut vec![f32::NAN; p.scratch()]);
    pulled
}

/// P column by column, from unit vectors.
fn columns(p: &Projection, dim: usize, parameters: usize) -> Vec<Vec<f32>> {
    let unit = |j| {
        let mut z = vec![0.0; dim];
        z[j] = 1.0;
        add(p, Isa::detect(), &z, parameters)
    };
    (0..dim).map(unit).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

const KINDS: &[ProjectionKind] = ProjectionKind::ALL;
/// (d, D): remainders of every block, d = D, one dimension, one parameter.
const SHAPES: [(u32, usize); 8] = [
    (1, 1),
    (1, 70),
    (5, 5),
    (16, 64),
    (17, 100),
    (33, 777),
    (64, 64),
    (100, 1050),
];

#[test]
fn a_transform_is_the_product_with_the_matrix_of_signs() {
    for isa in isas() {
        for length in [16, 32, 64, 512, 8192, 16384] {
            let before = numbers("x", length);
            let mut after = before.clone();
            isa.run(Hadamard { values: &mut after });
            for row in (0..length).step_by(length / 16).chain([1, 7, length - 1]) {
                let sign = |column: usize| 1.0 - 2.0 * f64::from((row & column).count_ones() % 2);
                let sum: f64 = (0..)
                    .zip(&before)
                    .map(|(c, &x)| sign(c) * f64::from(x))
                    .sum();
                let error = (f64::from(after[row]) - sum).abs();
                assert!(
                    error < 1e-4 * (length as f64).sqrt(),
                    "{length} {row}: {error}"
                );
            }
            // Twice is m times: exactly so in whole numbers.
            let mut whole: Vec<f32> = (0..length).map(|i| (i % 5) as f32).collect();
            for _ in 0..2 {
                isa.run(Hadamard { values: &mut whole });
            }
            let m = length as f32;
            assert!(
                whole
                    .iter()
                    .enumerate()
                    .all(|(i, &x)| x == (i % 5) as f32 * m)
            );
        }
    }
}

#[test]
fn both_products_are_those_of_the_matrix() {
    for &kind in KINDS {
        for (dim, parameters) in SHAPES {
            let p = draw(kind, dim, parameters, 1);
            let dim = dim as usize;
            let columns = columns(&p, dim, parameters);
            let (z, g) = (numbers("z", dim), numbers("g", parameters));
            for isa in isas() {
                let theta = add(&p, isa, &z, parameters);
                for (row, &found) in theta.iter().enumerate() {
                    let expected: f64 = (0..dim)
                        .map(|j| f64::from(z[j]) * f64::from(columns[j][row]))
                        .sum();
                    let error = (f64::from(found) - expected).abs();
                    assert!(
                        error < 1e-4,
                        "{kind} {dim} {parameters}: {found} {expected}"
                    );
                }
                let pulled = pull(&p, isa, &g, dim);
                for (column, &found) in columns.iter().zip(&pulled) {
                    let error = (f64::from(found) - dot(column, &g)).abs();
                    assert!(error < 1e-4, "{kind} {dim} {parameters}: {error}");
                }
            }
        }
    }
}

#[test]
fn columns_have_unit_length_and_differ() {
    for &kind in KINDS {
        for (dim, parameters) in [(3, 512), (16, 4096), (100, 2048), (60, 5000)] {
            let columns = columns(&draw(kind, dim, parameters, 2), dim as usize, parameters);
            let whole = parameters.is_multiple_of((dim as usize).next_power_of_two().max(16));
            let tolerance = if kind == ProjectionKind::Fastfood && !whole {
                0.05
            } else {
                1e-6
            };
            for (j, column) in columns.iter().enumerate() {
                let length = dot(column, column).sqrt();
                assert!((length - 1.0).abs() < tolerance, "{kind} {dim}: {length}");
                for other in &columns[..j] {
                    // Random directions: 6 deviations of 1/√D.
                    let cosine = dot(column, other).abs();
                    assert!(
                        cosine < 6.0 / (parameters as f64).sqrt(),
                        "{kind}: {cosine}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_sparse_column_has_one_number_in_the_root_of_the_parameters() {
    let (dim, parameters) = (400, 10_000);
    let columns = columns(
        &draw(ProjectionKind::Sparse, dim, parameters, 5),
        dim as usize,
        parameters,
    );
    let mut negative = 0;
    let mut all = 0;
    for column in &columns {
        let there: Vec<f32> = column.iter().copied().filter(|x| *x != 0.0).collect();
        assert!(there.iter().all(|x| x.abs() == there[0].abs()));
        negative += there.iter().filter(|x| **x < 0.0).count();
        all += there.len();
    }
    // 100 a column on average, with a standard deviation of 10; half of them negative.
    assert!((39_000..41_000).contains(&all), "{all}");
    assert!(
        (negative as f64 / all as f64 - 0.5).abs() < 0.015,
        "{negative}"
    );
}

#[test]
fn normal_numbers_are_normal() {
    let mut x = vec![0.0; 1 << 20];
    super::gauss::fill(&mut Stream::new("normal", 0, 0), &mut x);
    let moment =
        |power: i32| x.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / x.len() as f64;
    for (power, expected, tolerance) in [
        (1, 0.0, 0.005),
        (2, 1.0, 0.007),
        (3, 0.0, 0.02),
        (4, 3.0, 0.05),
        (6, 15.0, 0.6),
    ] {
        let found = moment(power);
        assert!((found - expected).abs() < tolerance, "{power}: {found}");
    }
    // Shares below 0, ±1, ±2 and ±3.
    for (limit, share) in [
        (0.0, 0.5),
        (1.0, 0.841_345),
        (-1.0, 0.158_655),
        (2.0, 0.977_25),
        (-3.0, 0.001_35),
    ] {
        let below = x.iter().filter(|x| f64::from(**x) < limit).count() as f64 / x.len() as f64;
        assert!((below - share).abs() < 0.002, "{limit}: {below}");
    }
    assert!(x.iter().all(|x| x.is_finite() && x.abs() < 7.0));
}

#[test]
fn bits_do_not_depend_on_the_instruction_set() {
    let all = isas();
    for &kind in KINDS {
        for (dim, parameters) in SHAPES {
            let p = draw(kind, dim, parameters, 4);
            let (z, g) = (numbers("z", dim as usize), numbers("g", parameters));
            for &isa in &all[1..] {
                let (a, b) = (
                    add(&p, all[0], &z, parameters),
                    add(&p, isa, &z, parameters),
                );
                assert_eq!(bits(&a), bits(&b), "{kind} {dim} {parameters}");
                let (a, b) = (pull(&p, all[0], &g, z.len()), pull(&p, isa, &g, z.len()));
                assert_eq!(bits(&a), bits(&b), "{kind} {dim} {parameters}");
            }
        }
    }
}

#[test]
fn seeds_and_kinds_draw_differently_and_the_same_seed_alike() {
    let z = numbers("z", 20);
    let theta = |kind, seed| bits(&add(&draw(kind, 20, 300, seed), Isa::detect(), &z, 300));
    for &kind in KINDS {
        assert_eq!(theta(kind, 1), theta(kind, 1));
        assert_ne!(theta(kind, 1), theta(kind, 2));
    }
}

#[test]
fn a_step_moves_theta_along_the_columns() {
    for &kind in KINDS {
        let p = std::sync::Arc::new(draw(kind, 10, 400, 1));
        let origin = numbers("origin", 400);
        let isa = Isa::detect();
        let optimizer = Optimizer::Sgd {
            lr: 0.5,
            momentum: 0.5,
        };
        let start = Coordinates::origin(10, 1);
        let mut subspace = Subspace::new(p.clone(), origin.clone(), None, start, isa);
        assert_eq!(bits(subspace.theta()), bits(&origin));
        let g = numbers("g", 400);
        for step in 0..2 {
            subspace.sides().1.copy_from_slice(&g);
            subspace.step(isa, &Coefficients::new(optimizer, 1.0, 0.0, step));
        }
        // v = g, then 1.5 g: z = −0.5·2.5·Pᵀg.
        let pulled = pull(&p, isa, &g, 10);
        let z: Vec<f32> = pulled.iter().map(|g| -1.25 * g).collect();
        let mut theta = origin.clone();
        p.add(isa, &z, &mut theta, &mut vec![0.0; p.scratch()]);
        for (found, expected) in subspace.theta().iter().zip(&theta) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{kind}: {found} {expected}"
            );
        }
        // Going on from a copy gives the same bits.
        let copy = subspace.coordinates().clone();
        let resumed = Subspace::new(p, origin, None, copy, isa);
        assert_eq!(bits(resumed.theta()), bits(subspace.theta()));
    }
}
