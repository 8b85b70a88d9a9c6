//! Random streams: their values are for ever.

use descent_training::stream::Stream;

#[test]
fn values_are_for_ever() {
    let mut stream = Stream::new("init/0", 7, 3);
    let drawn: Vec<u32> = (0..4).map(|_| stream.u32()).collect();
    let mut items: Vec<u32> = (0..8).collect();
    let values = (
        drawn.as_slice(),
        stream.u64(),
        stream.below(10),
        stream.uniform(),
        stream.normal(),
    );
    stream.shuffle(&mut items);
    assert_eq!(
        format!("{values:?} {items:?}"),
        "([685923659, 4191930663, 1025990823, 2116875718], 7637949903823752496, 4, 0.7527256339190593, -0.007028999778874876) [7, 1, 4, 6, 3, 0, 5, 2]"
    );
}

#[test]
fn name_seed_and_index_each_make_another_stream() {
    let first = |name, seed, index| Stream::new(name, seed, index).u64();
    let all = [
        first("a", 0, 0),
        first("b", 0, 0),
        first("a", 1, 0),
        first("a", 0, 1),
    ];
    for i in 0..all.len() {
        for j in 0..i {
            assert_ne!(all[i], all[j], "streams {i} and {j}");
        }
    }
}

#[test]
fn a_position_brings_back_the_same_numbers_across_buffer_edges() {
    let mut stream = Stream::new("order", 1, 2);
    for _ in 0..1021 {
        stream.u32();
        let position = stream.position();
        let ahead = (stream.u64(), stream.normal());
        stream.seek(position);
        assert_eq!((stream.u64(), stream.normal()), ahead);
        stream.seek(position);
    }
    assert_eq!(stream.position(), 4 * 1021);
}

#[test]
fn draws_have_the_moments_of_their_distributions() {
    let mut stream = Stream::new("moments", 0, 0);
    let n = 100_000;
    let (mut sum, mut squares, mut below) = (0.0, 0.0, [0_u32; 7]);
    for _ in 0..n {
        let x = stream.normal();
        sum += x;
        squares += x * x;
        below[stream.below(7) as usize] += 1;
        assert!((0.0..1.0).contains(&stream.uniform()));
    }
    assert!((sum / f64::from(n)).abs() < 0.015);
    assert!((squares / f64::from(n) - 1.0).abs() < 0.02);
    for count in below {
        assert!((f64::from(count) * 7.0 / f64::from(n) - 1.0).abs() < 0.05);
    }
}
