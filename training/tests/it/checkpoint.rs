//! Checkpoints: what they hold, and that damaged or foreign ones are refused, never believed.

use descent_spec::outcome::FailureKind;
use descent_spec::trial::{Init, ModelSpec, Optimizer};
use descent_training::checkpoint::instruction_set;
use descent_training::device::cpu_instruction_set;
use proptest::prelude::{ProptestConfig, any, prop, proptest};

use crate::trial::{ADAM, alone, finish, member, spec, start, tensors};

fn checkpoint(optimizer: Optimizer, steps: u32) -> Vec<u8> {
    let mut spec = spec(5);
    spec.train.optimizer = optimizer;
    let (mut pack, _) = start(vec![member(0, &spec)]);
    pack.advance(steps);
    pack.checkpoint(0).unwrap()
}

#[test]
fn names_and_shapes_are_pytorchs() {
    let held = tensors(&checkpoint(ADAM, 2));
    let names: Vec<(&str, &[usize])> = held
        .iter()
        .map(|(name, (shape, _))| (name.as_str(), shape.as_slice()))
        .collect();
    assert_eq!(
        names,
        [
            ("first_moment.layers.0.bias", &[5][..]),
            ("first_moment.layers.0.weight", &[5, 20]),
            ("first_moment.layers.1.bias", &[10]),
            ("first_moment.layers.1.weight", &[10, 5]),
            ("layers.0.bias", &[5]),
            ("layers.0.weight", &[5, 20]),
            ("layers.1.bias", &[10]),
            ("layers.1.weight", &[10, 5]),
            ("second_moment.layers.0.bias", &[5]),
            ("second_moment.layers.0.weight", &[5, 20]),
            ("second_moment.layers.1.bias", &[10]),
            ("second_moment.layers.1.weight", &[10, 5]),
        ]
    );
}

#[test]
fn the_instruction_set_is_written_down() {
    let bytes = checkpoint(ADAM, 2);
    assert_eq!(instruction_set(&bytes).unwrap(), cpu_instruction_set());
    assert_eq!(
        instruction_set(b"nothing").unwrap_err().kind(),
        FailureKind::Artifact
    );
}

#[test]
fn what_another_instruction_set_began_is_begun_again() {
    let bytes = checkpoint(crate::trial::SGD, 5);
    let (from, to) = (cpu_instruction_set().as_bytes(), b"other1");
    let at = bytes
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    let mut foreign = bytes;
    // As long as the name that it replaces, so that the file stays whole.
    foreign[at..at + from.len()].copy_from_slice(&to.repeat(2)[..from.len()]);
    let mut resumed = member(0, &spec(5));
    resumed.checkpoint = Some(foreign);
    assert_eq!(finish(vec![resumed], 100)[0], alone(&spec(5)));
}

#[test]
fn checkpoints_of_other_networks_are_refused_and_the_others_train() {
    let bytes = checkpoint(ADAM, 2);
    let with = |width: u32, depth: u32, optimizer: Optimizer, epochs: u32| {
        let mut spec = spec(width);
        spec.model = ModelSpec::uniform(width, depth, Init::GlorotUniform);
        spec.train.optimizer = optimizer;
        spec.train.epochs = epochs;
        spec
    };
    let foreign = [
        with(6, 1, ADAM, 3),
        with(5, 2, ADAM, 3),
        with(5, 1, crate::trial::SGD, 3),
        with(5, 1, ADAM, 0),
    ];
    let mut members: Vec<_> = foreign
        .iter()
        .zip(0..)
        .map(|(spec, key)| member(key, spec))
        .collect();
    for member in &mut members {
        member.checkpoint = Some(bytes.clone());
    }
    members.push(member(4, &spec(3)));
    let stories = finish(members, 10);
    for story in &stories[..4] {
        assert!(
            story
                .failure
                .as_ref()
                .is_some_and(|failure| failure.starts_with("Artifact")),
            "{story:?}"
        );
    }
    assert_eq!(stories[4], alone(&spec(3)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), cuts in any::<bool>()) {
        let mut bytes = checkpoint(crate::trial::SGD, 1);
        // Headers decide everything; most of the damage goes there.
        let place = at.index(bytes.len().min(1_500));
        bytes[place] = byte;
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        let (mut resumed, mut child) = (member(0, &spec(5)), member(1, &spec(8)));
        resumed.checkpoint = Some(bytes.clone());
        child.parent_weights = Some(bytes);
        let (mut pack, _) = start(vec![resumed, child]);
        pack.advance(2);
    }
}
