//! A member's bits are those of the same trial alone: in any pack, in any company, interrupted anywhere.

use descent_spec::robustness::{NormPart, Redraw, RobustnessSpec};
use descent_spec::trial::{
    EarlyStop, Init, Loss, MaskSpec, ModelSpec, Optimizer, ProjectionKind, Schedule, Scope,
    SubspaceSpec, TrialSpec,
};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest};

use descent_training::data::DataStore;
use descent_training::device::Device;
use descent_training::open_with;

use crate::trial::{ADAM, SGD, Story, alone, finish, key, listen, member, spec, start};

/// What members of one pack share.
#[derive(Clone, Debug)]
struct Shared {
    batch: u32,
    samples: u32,
    order_seed: u64,
}

fn shared() -> impl Strategy<Value = Shared> {
    let batch = prop_oneof![1_u32..=65, 66_u32..=130];
    let samples = prop_oneof![Just(60), Just(65), 1_u32..150];
    (batch, samples, 0_u64..3).prop_map(|(batch, samples, order_seed)| Shared {
        batch,
        samples,
        order_seed,
    })
}

fn trial(shared: &Shared) -> impl Strategy<Value = TrialSpec> + use<> {
    let shared = shared.clone();
    let width = prop_oneof![Just(1_u32), 2_u32..20, 20_u32..70, 90_u32..130];
    let optimizer = prop_oneof![
        Just(SGD),
        Just(ADAM),
        Just(Optimizer::Sgd {
            lr: 1e6,
            momentum: 0.5
        })
    ];
    let schedule = prop_oneof![
        Just(Schedule::Constant),
        Just(Schedule::Cosine),
        Just(Schedule::Step {
            factor: 0.5,
            every: 1
        })
    ];
    let loss = prop_oneof![Just(Loss::Squared), Just(Loss::CrossEntropy)];
    let noise = prop_oneof![Just(0.0), Just(0.3)];
    let mask = prop_oneof![
        Just(MaskSpec::None),
        (0.01_f64..=1.0).prop_map(|density| MaskSpec::Random { density })
    ];
    // Alike in all layers, or each of its own width.
    let hidden = prop_oneof![
        (width.clone(), 1_usize..=3).prop_map(|(width, depth)| vec![width; depth]),
        prop::collection::vec(width, 1..=3)
    ];
    let subspace = prop_oneof![
        Just(None),
        (1_u32..40, prop::sample::select(ProjectionKind::ALL)).prop_map(|(dim, projection)| Some(
            SubspaceSpec {
                dim,
                projection,
                search: None
            }
        ))
    ];
    let mask = (mask, subspace);
    let robustness = prop_oneof![
        3 => Just(None),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(dropout, article)| {
            Some(RobustnessSpec {
                checkpoints: vec![0, 1, 2],
                tested: vec![1],
                redraw: if article { Redraw::UnitUniform } else { Redraw::Initial },
                norm: NormPart::All,
                dropout,
            })
        })
    ];
    let dropout = prop_oneof![2 => Just(0.0), 1 => 0.1_f64..0.7];
    let early = prop_oneof![
        2 => Just(EarlyStop::Never),
        1 => Just(EarlyStop::ValidationLoss),
        1 => Just(EarlyStop::ValidationError)
    ];
    let noise = (noise, robustness, dropout, early, 1_u32..3);
    let rest = (0_u64..4, 1_u32..4, any::<bool>(), noise, any::<bool>());
    (hidden, mask, optimizer, schedule, loss, rest).prop_map(
        move |(
            hidden,
            (mask, subspace),
            optimizer,
            schedule,
            loss,
            (seed, epochs, stops, (noise, robustness, dropout, early, patience), decays),
        )| {
            let mut spec = spec(1);
            let init = Init::HeNormal;
            spec.model = ModelSpec::Mlp { hidden, init };
            spec.mask = mask;
            spec.subspace = subspace;
            spec.seed = seed;
            spec.data.samples = Some(shared.samples);
            spec.data.label_noise = noise;
            spec.train.batch = shared.batch;
            spec.train.order_seed = shared.order_seed;
            spec.train.optimizer = optimizer;
            spec.train.schedule = schedule;
            spec.train.loss = loss;
            spec.train.epochs = epochs;
            spec.robustness = robustness;
            spec.train.dropout = dropout;
            spec.train.early_stop = early;
            spec.train.patience = patience;
            spec.train.weight_decay = if decays { 1e-3 } else { 0.0 };
            if stops {
                spec.train.stop_at_zero_error = Scope::Always;
            }
            spec
        },
    )
}

fn pack() -> impl Strategy<Value = Vec<TrialSpec>> {
    shared().prop_flat_map(|shared| prop::collection::vec(trial(&shared), 1..7))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn company_changes_nothing(specs in pack(), steps in 1_u32..20) {
        let members = specs.iter().zip(0..).map(|(spec, key)| member(key, spec)).collect();
        for (spec, together) in specs.iter().zip(finish(members, steps)) {
            assert_eq!(together, alone(spec));
        }
    }

    #[test]
    fn instruction_sets_with_fused_sums_agree(specs in pack()) {
        let tell = |set: &str| {
            let members = specs.iter().zip(0..).map(|(spec, key)| member(key, spec)).collect();
            let opened = open_with(members, &DataStore::new(Vec::new()), set)?;
            Some(listen(specs.len(), opened, 5))
        };
        let of_the_widest = |mut story: Story| {
            let set = Device::Cpu.instruction_set();
            if let Some(result) = &mut story.result {
                result.instruction_set = set;
            }
            story
        };
        for set in ["avx512", "avx2", "neon"] {
            for (spec, story) in specs.iter().zip(tell(set).unwrap_or_default()) {
                assert_eq!(of_the_widest(story), alone(spec), "{set}");
            }
        }
        // The portable kernels round twice, but they keep members apart as well.
        let together = tell("portable").expect("every processor has it");
        for (spec, story) in specs.iter().zip(together) {
            let opened = open_with(vec![member(0, spec)], &DataStore::new(Vec::new()), "portable");
            assert_eq!(story, listen(1, opened.expect("every processor has it"), 3).remove(0));
        }
    }

    #[test]
    fn interruption_changes_nothing(specs in pack(), steps in 0_u32..12, removed in 0_u64..7) {
        let members = specs.iter().zip(0..).map(|(spec, key)| member(key, spec)).collect();
        let mut stories = vec![Story::default(); specs.len()];
        let (mut pack, _) = start(members);
        pack.remove(removed);
        for event in pack.advance(steps) {
            stories[usize::try_from(key(&event)).unwrap()].hear(event);
        }
        // Each goes on in a pack of other members: those left, then all from the start again.
        let mut again: Vec<_> = pack
            .progress()
            .iter()
            .map(|progress| {
                let mut resumed = member(progress.key, &specs[usize::try_from(progress.key).unwrap()]);
                resumed.checkpoint = pack.checkpoint(progress.key);
                assert!(resumed.checkpoint.is_some());
                resumed
            })
            .collect();
        again.extend(specs.iter().zip(100..).map(|(spec, key)| member(key, spec)));
        let (mut pack, failed) = start(again);
        assert!(failed.is_empty(), "{failed:?}");
        while !pack.progress().is_empty() {
            for event in pack.advance(7) {
                if key(&event) < 100 {
                    stories[usize::try_from(key(&event)).unwrap()].hear(event);
                }
            }
        }
        for (index, (spec, story)) in specs.iter().zip(stories).enumerate() {
            if index as u64 != removed {
                assert_eq!(story, alone(spec));
            }
        }
    }
}
