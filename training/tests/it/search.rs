//! A search for the smallest subspace: every step goes on from what the one before left, in any company and however interrupted.

use descent_spec::architecture::Architecture;
use descent_spec::details::{Details, SubspaceSearch};
use descent_spec::trial::{
    Init, Labels, ModelSpec, ProjectionKind, Search, SubspaceSpec, Threshold, TrialSpec,
};
use descent_training::pack::Member;

use crate::trial::{Story, finish, member, spec, start};

fn step(of: &TrialSpec, step: u32, threshold: Threshold) -> TrialSpec {
    let mut spec = of.clone();
    spec.subspace = Some(SubspaceSpec {
        dim: 160,
        projection: ProjectionKind::Sparse,
        search: Some(Search {
            step,
            low: 10,
            goal: 0.5,
            threshold,
        }),
    });
    spec
}

fn child(key: u64, spec: &TrialSpec, parent: &Story) -> Member {
    let mut member = member(key, spec);
    member.parent_weights.clone_from(&parent.weights);
    member
}

fn details(story: &Story) -> SubspaceSearch {
    match story.result.as_ref().map(|result| &result.details) {
        Some(Some(Details::SubspaceSearch(search))) => search.clone(),
        other => panic!("{other:?} {:?}", story.failure),
    }
}

fn networks() -> [TrialSpec; 3] {
    let dense = spec(8);
    let mut random = spec(8);
    random.data.labels = Labels::Random;
    let mut convolving = spec(1);
    convolving.data.dataset = "mnist-4k".to_owned();
    convolving.model = ModelSpec::Conv {
        architecture: Architecture::LeNet5,
        width: 2,
        batch_norm: false,
        init: Init::HeNormal,
    };
    [dense, random, convolving]
}

#[test]
fn every_step_goes_on_from_the_one_before() {
    for network in networks() {
        let baseline = finish(vec![member(0, &network)], u32::MAX).remove(0);
        let last = &baseline.result.as_ref().unwrap().last;
        let error = match network.data.labels {
            Labels::Random => last.train_error,
            Labels::True => last.test_error,
        };
        let target = 0.5 * (1.0 - error.unwrap());
        let (mut low, mut high, mut parent) = (10_u32, 160_u32, baseline.clone());
        for number in 1..=3 {
            let spec = step(&network, number, Threshold::Local);
            let story = finish(vec![child(0, &spec, &parent)], 3).remove(0);
            let found = details(&story);
            assert_eq!(found.target, target);
            let middle = (f64::from(low) * f64::from(high)).sqrt().round();
            assert_eq!(f64::from(found.dim), middle);
            // The same numbers as a trial in a subspace of that dimension.
            let mut plain = network.clone();
            plain.subspace = Some(SubspaceSpec {
                dim: found.dim,
                search: None,
                ..spec.subspace.unwrap()
            });
            let plain = finish(vec![member(0, &plain)], u32::MAX).remove(0);
            assert_eq!(
                story.result.as_ref().unwrap().last,
                plain.result.unwrap().last
            );
            if found.accuracy.unwrap() >= target {
                high = found.dim;
            } else {
                low = found.dim;
            }
            assert_eq!((found.low, found.high), (low, high));
            // Interrupted: the dimension is decided once more, and the same.
            let (mut pack, _) = start(vec![child(0, &spec, &parent)]);
            pack.advance(5);
            let mut resumed = child(0, &spec, &parent);
            resumed.checkpoint = pack.checkpoint(0);
            assert_eq!(finish(vec![resumed], 2).remove(0).result, story.result);
            parent = story;
        }
    }
}

#[test]
fn steps_of_several_searches_train_side_by_side() {
    let [network, random, _] = networks();
    let spec = step(&network, 1, Threshold::Local);
    let other = step(&random, 1, Threshold::Global);
    let train = |network: &TrialSpec| finish(vec![member(0, network)], u32::MAX).remove(0);
    let (baseline, random) = (train(&network), train(&random));
    let alone = finish(vec![child(0, &spec, &baseline)], u32::MAX).remove(0);
    let members = vec![
        child(0, &spec, &baseline),
        child(1, &other, &random),
        member(2, &network),
    ];
    let together = finish(members, 4);
    assert_eq!(together[0], alone);
    assert_eq!(details(&together[1]).target, 0.5);
    assert_eq!(together[2], baseline);
}

#[test]
fn a_step_needs_the_one_before() {
    let [network, ..] = networks();
    let failure = |one: Member| finish(vec![one], 1).remove(0).failure.unwrap();
    let spec = step(&network, 2, Threshold::Local);
    assert!(failure(member(0, &spec)).starts_with("Artifact"));
    let baseline = finish(vec![member(0, &network)], u32::MAX).remove(0);
    let wrong = failure(child(0, &spec, &baseline));
    assert!(wrong.contains("not those of a search's step"), "{wrong}");
}
