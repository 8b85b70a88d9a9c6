//! Degrees of freedom: exact where they have a closed form, all of them where a network interpolates.

use descent_spec::details::{DegreesOfFreedom, Details};
use descent_spec::outcome::TrialResult;
use descent_spec::params::Params;
use descent_spec::trial::TrialSpec;

use crate::trial::{Story, finish, listen, member, start};

fn spec(settings: &str) -> TrialSpec {
    let settings = format!(r#"{{"experiment":"degrees-of-freedom",{settings}}}"#);
    Params::from_json(&settings).unwrap().resolve().unwrap()
}

fn results(specs: &[TrialSpec]) -> Vec<TrialResult> {
    let members = (0..).zip(specs).map(|(key, spec)| member(key, spec));
    let stories = finish(members.collect(), 40);
    let result = |story: Story| {
        story
            .result
            .unwrap_or_else(|| panic!("{:?}", story.failure))
    };
    stories.into_iter().map(result).collect()
}

fn freedom(result: &TrialResult) -> &DegreesOfFreedom {
    let Some(Details::DegreesOfFreedom(freedom)) = &result.details else {
        panic!("{result:?}")
    };
    freedom
}

#[test]
fn linear_and_ridge_regression_have_those_of_the_closed_form() {
    let digits = r#""data.dataset":"mnist-4k","data.samples":256,"data.test_samples":50,"data.centre":false"#;
    // 128 draws of 10 outputs are five rounds of 256 orthogonal probes: no noise is left.
    let exact = r#""freedom.probes":"hadamard","freedom.draws":128"#;
    let models = [
        r#""model.kind":"linear""#,
        r#""model.kind":"linear","model.ridge":10"#,
        r#""model.kind":"linear","model.ridge":1000"#,
        r#""model.kind":"relu-features","model.width":60"#,
        r#""model.kind":"fourier-features","model.width":300,"model.ridge":0.01"#,
    ];
    let specs: Vec<TrialSpec> = models
        .map(|model| spec(&format!("{model},{digits},{exact}")))
        .to_vec();
    let results = results(&specs);
    let closed: Vec<f64> = results
        .iter()
        .map(|result| {
            let freedom = freedom(result);
            let (found, closed) = (freedom.estimate.unwrap(), freedom.closed_form.unwrap());
            assert!((found / closed - 1.0).abs() < 1e-8, "{found} {closed}");
            closed
        })
        .collect();
    // Least squares has the rank: that of more pixels than samples, or all features.
    assert_eq!((closed[0], closed[3]), (2560.0, 600.0));
    assert!(closed[0] > closed[1] && closed[1] > closed[2] && closed[2] > 0.0);
    assert_eq!(results[0].parameters, 7840);
    assert!(results[1].last.test_error.unwrap() < 0.4);
}

#[test]
fn normal_probes_scatter_around_it_as_much_as_they_say() {
    let settings =
        r#""model.kind":"linear","model.ridge":3,"data.dataset":"gaussians","data.samples":120"#;
    let specs: Vec<TrialSpec> = (0..4)
        .map(|seed| spec(&format!(r#"{settings},"freedom.draws":30,"seed":{seed}"#)))
        .collect();
    for result in results(&specs) {
        let freedom = freedom(&result);
        let (found, closed) = (freedom.estimate.unwrap(), freedom.closed_form.unwrap());
        let error = freedom.standard_error.unwrap();
        assert!(error < 0.1 * closed, "{error} {closed}");
        assert!(
            (found - closed).abs() < 4.0 * error,
            "{found} ± {error}, {closed}"
        );
    }
}

/// A network that is trained until it gives the targets as they are, whatever they are.
const INTERPOLATES: &str = r#""model.width":200,"data.dataset":"gaussians","data.samples":16,"train.epochs":1500,"train.batch":16,
    "train.optimizer.kind":"adam","train.optimizer.lr":0.003,"evaluate.spread":"end","freedom.probes":"hadamard","freedom.draws":2"#;

#[test]
fn a_network_that_interpolates_follows_every_target() {
    let result = results(&[spec(INTERPOLATES)]).remove(0);
    let loss = result.last.train_loss.unwrap();
    assert!(loss < 1e-6, "{loss}");
    let targets = 16.0 * outputs();
    let estimate = freedom(&result).estimate.unwrap();
    assert!(
        (estimate / targets - 1.0).abs() < 0.01,
        "{estimate} of {targets}"
    );
}

fn outputs() -> f64 {
    let store = descent_training::data::DataStore::new(Vec::new());
    f64::from(store.describe("gaussians").unwrap().outputs)
}

const SHORT: &str = r#""data.dataset":"gaussians","data.samples":60,"train.epochs":6,"train.batch":16,"train.optimizer.lr":0.02,
    "train.optimizer.momentum":0.9,"freedom.draws":3"#;

#[test]
fn a_network_that_hardly_learns_hardly_follows_and_learning_longer_follows_more() {
    let of = |more: &str| spec(&format!(r#"{SHORT},"model.width":8,{more}"#));
    let specs = [
        of(r#""seed":1"#),
        of(r#""seed":1,"train.epochs":200"#),
        of(r#""seed":1,"train.weight_decay":0.3"#),
        of(r#""seed":1,"train.epochs":200,"subspace.dim":5"#),
    ];
    let results = results(&specs);
    let found: Vec<f64> = results
        .iter()
        .map(|result| freedom(result).estimate.unwrap())
        .collect();
    assert!(found[0] < found[1] && found[2] < found[0], "{found:?}");
    // Five numbers follow few targets.
    assert!(found[3] < 0.1 * found[1], "{found:?}");
    assert!(freedom(&results[0]).closed_form.is_none());
}

#[test]
fn company_and_interruptions_leave_no_trace() {
    let specs = [
        spec(&format!(r#"{SHORT},"model.width":5"#)),
        spec(&format!(r#"{SHORT},"model.shape":"9-7","seed":2"#)),
    ];
    let alone: Vec<Story> = specs
        .iter()
        .map(|spec| finish(vec![member(0, spec)], u32::MAX).remove(0))
        .collect();
    let members = || vec![member(0, &specs[0]), member(1, &specs[1])];
    assert_eq!(finish(members(), 7), alone);
    let (mut pack, _) = start(members());
    pack.advance(11);
    let mut resumed = members();
    for member in &mut resumed {
        member.checkpoint = pack.checkpoint(member.key);
        assert!(member.checkpoint.is_some());
    }
    // Handed on one at a time, each to a worker of its own.
    for (member, alone) in resumed.into_iter().zip(&alone) {
        let key = member.key;
        let mut story = Story::default();
        for event in run(vec![member]) {
            assert_eq!(crate::trial::key(&event), key);
            story.hear(event);
        }
        assert_eq!(story.result, alone.result);
        assert_eq!(story.weights, alone.weights);
    }
}

fn run(members: Vec<descent_training::pack::Member>) -> Vec<descent_training::pack::Event> {
    let (mut pack, mut events) = start(members);
    while !pack.progress().is_empty() {
        events.extend(pack.advance(5));
    }
    events
}

#[test]
fn a_fit_that_is_not_finite_has_none() {
    let mut spec = spec(&format!(r#"{SHORT},"model.width":5"#));
    spec.train.optimizer = descent_spec::trial::Optimizer::Sgd {
        lr: 1e3,
        momentum: 0.9,
    };
    let story = listen(1, start(vec![member(0, &spec)]), 9).remove(0);
    let result = story.result.unwrap();
    assert!(result.diverged && story.weights.is_none());
    assert_eq!(freedom(&result).estimate, None);
}
