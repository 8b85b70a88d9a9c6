//! Subspaces: steps along P·Pᵀ·g, as good as direct training where nothing is left out, and refusals.

use descent_spec::outcome::FailureKind;
use descent_spec::trial::{MaskSpec, Optimizer, ProjectionKind, SubspaceSpec, TrialSpec};
use descent_training::data::DataStore;
#[cfg(not(feature = "cuda"))]
use descent_training::device::Device;
#[cfg(not(feature = "cuda"))]
use descent_training::open;
use descent_training::open_reference;
use descent_training::pack::Event;

use crate::trial::{ADAM, alone, listen, member, spec, start, tensors};

fn within(dim: u32, projection: ProjectionKind) -> TrialSpec {
    let mut spec = spec(9);
    spec.subspace = Some(SubspaceSpec {
        dim,
        projection,
        search: None,
    });
    spec
}

/// All weights and biases of a file, by name.
fn numbers(bytes: &[u8]) -> Vec<f32> {
    tensors(bytes)
        .into_values()
        .flat_map(|(_, numbers)| numbers)
        .collect()
}

/// Initial weights, and those after one step of plain gradient descent on all samples.
fn one_step(mut spec: TrialSpec) -> (Vec<f32>, Vec<f32>) {
    spec.train.optimizer = Optimizer::Sgd {
        lr: 0.5,
        momentum: 0.0,
    };
    spec.train.batch = 60;
    spec.train.epochs = 1;
    let mut outside = spec.clone();
    outside.subspace = None;
    let (pack, _) = start(vec![member(0, &outside)]);
    let mut before = tensors(&pack.checkpoint(0).unwrap());
    before.retain(|name, _| name.starts_with("layers."));
    let before = before
        .into_values()
        .flat_map(|(_, numbers)| numbers)
        .collect();
    (before, numbers(&alone(&spec).weights.unwrap()))
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}

#[test]
fn a_step_goes_down_the_projected_gradient() {
    for decay in [0.0, 0.1] {
        let mut outside = spec(9);
        outside.train.weight_decay = decay;
        let (origin, direct) = one_step(outside);
        let moved =
            |to: &[f32]| -> Vec<f32> { to.iter().zip(&origin).map(|(a, b)| a - b).collect() };
        let gradient = moved(&direct);
        for &projection in ProjectionKind::ALL {
            let dim = 64;
            let mut spec = within(dim, projection);
            spec.train.weight_decay = decay;
            let (start, end) = one_step(spec);
            assert_eq!(start, origin);
            let step = moved(&end);
            // The step is P·Pᵀ·g: its product with g is |Pᵀ·g|², about d / D of |g|².
            let share = dot(&step, &gradient) / dot(&gradient, &gradient);
            let expected = f64::from(dim) / origin.len() as f64;
            assert!(
                (0.4..2.5).contains(&(share / expected)),
                "{projection}: {share} instead of {expected}"
            );
        }
    }
}

#[test]
fn as_many_dimensions_as_parameters_learn_what_direct_training_learns() {
    let mut direct = spec(4);
    direct.train.optimizer = ADAM;
    direct.train.epochs = 60;
    let parameters = u32::try_from(alone(&direct).result.unwrap().parameters).unwrap();
    for &projection in ProjectionKind::ALL {
        let mut inside = direct.clone();
        inside.subspace = Some(SubspaceSpec {
            dim: parameters,
            projection,
            search: None,
        });
        let (direct, inside) = (alone(&direct), alone(&inside));
        let first = direct.measured[0].train_loss.unwrap();
        let last =
            |story: &crate::trial::Story| story.result.as_ref().unwrap().last.train_loss.unwrap();
        assert!(last(&direct) < 0.5 * first);
        assert!(
            last(&inside) < 1.5 * last(&direct) + 0.05 * first,
            "{projection}: {} and {}",
            last(&inside),
            last(&direct)
        );
    }
}

#[test]
fn projections_and_dimensions_make_different_networks() {
    let weights = |dim, projection| numbers(&alone(&within(dim, projection)).weights.unwrap());
    let dense = weights(10, ProjectionKind::Dense);
    for other in [
        weights(11, ProjectionKind::Dense),
        weights(10, ProjectionKind::Sparse),
        weights(10, ProjectionKind::Fastfood),
    ] {
        assert_ne!(dense, other);
    }
}

#[test]
fn a_mask_holds_in_a_subspace() {
    for &projection in ProjectionKind::ALL {
        let mut inside = within(20, projection);
        inside.train.weight_decay = 0.01;
        let mut outside = inside.clone();
        outside.subspace = None;
        let zeros = |spec: &TrialSpec| -> Vec<bool> {
            let mut spec = spec.clone();
            spec.mask = MaskSpec::Random { density: 0.3 };
            let weights = tensors(&alone(&spec).weights.unwrap());
            let weights = weights
                .into_iter()
                .filter(|(name, _)| name.ends_with("weight"));
            weights
                .flat_map(|(_, (_, numbers))| numbers)
                .map(|weight| weight.to_bits() == 0)
                .collect()
        };
        let dropped = zeros(&outside);
        assert!(dropped.iter().filter(|&&zero| zero).count() > dropped.len() / 2);
        let inside = zeros(&inside);
        assert!(
            dropped
                .iter()
                .zip(&inside)
                .all(|(&dropped, &zero)| zero || !dropped)
        );
    }
}

#[test]
fn what_is_no_subspace_is_refused() {
    let failure = |event: &Event| match event {
        Event::Failed { error, .. } => error.kind(),
        other => panic!("{other:?}"),
    };
    for dim in [0, 1_000_000] {
        let (pack, failed) = start(vec![member(0, &within(dim, ProjectionKind::Fastfood))]);
        assert!(pack.progress().is_empty());
        assert_eq!(failure(&failed[0]), FailureKind::BadSpec);
    }
    // Another path says so rather than train without the subspace.
    let members = vec![
        member(0, &within(5, ProjectionKind::Dense)),
        member(1, &spec(3)),
    ];
    let opened = open_reference(members, &DataStore::new(Vec::new()));
    let stories = listen(2, opened, 100);
    assert!(stories[0].failure.as_ref().unwrap().contains("subspaces"));
    assert!(stories[1].result.is_some());
}

#[test]
fn a_checkpoint_of_another_subspace_is_refused() {
    let (mut pack, _) = start(vec![member(0, &within(5, ProjectionKind::Sparse))]);
    pack.advance(2);
    let checkpoint = pack.checkpoint(0).unwrap();
    let names: Vec<String> = tensors(&checkpoint).into_keys().collect();
    assert_eq!(names, ["velocity.z", "z"]);
    for other in [within(6, ProjectionKind::Sparse), spec(9)] {
        let mut resumed = member(0, &other);
        resumed.checkpoint = Some(checkpoint.clone());
        let (_, failed) = start(vec![resumed]);
        assert!(matches!(
            &failed[0],
            Event::Failed { error, .. } if error.kind() == FailureKind::Artifact
        ));
    }
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_worker_on_a_gpu_trains_subspaces_on_the_processor() {
    let inside = within(5, ProjectionKind::Fastfood);
    let members = vec![member(0, &inside), member(1, &spec(3))];
    let opened = open(members, &DataStore::new(Vec::new()), &Device::Cuda(0));
    let stories = listen(2, opened, 100);
    assert_eq!(stories[0], alone(&inside));
    // Without the device, the other one shows that it was meant for it.
    let failure = stories[1].failure.as_ref();
    assert!(failure.is_some_and(|failure| failure.contains("--features cuda")));
    let device = Device::Cuda(0);
    assert_eq!(device.computing(&inside), Device::Cpu);
    assert_eq!(device.computing(&spec(3)), device);
}
