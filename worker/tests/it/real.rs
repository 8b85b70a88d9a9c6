//! The real trainer in the worker's hands: interrupted anywhere and resumed, it ends with the same bits.

use std::sync::Arc;

use descent_spec::id::{ContentHash, PackKey};
use descent_spec::lease::{Claimed, Directive};
use descent_spec::outcome::{Measurement, TrialResult};
use descent_spec::state::TrialState;
use descent_spec::trial::TrialSpec;
use descent_training::data::DataStore;
use descent_training::device::Device;
use descent_training::pack::{Event, Member, Pack, Progress, TrainError};
use descent_worker::trainer::{LocalTrainer, Trainer};

use crate::coordinator::State;
use crate::lab::{Lab, until};
use crate::script::Script;

const EPOCHS: u32 = 60;
/// Width by trial.
const WIDTHS: [u32; 5] = [1, 5, 8, 13, 21];

fn trial(id: i64, data: &DataStore) -> Claimed {
    let width = WIDTHS[usize::try_from(id).unwrap() - 1];
    let mut claimed = Lab::trial(id, 1);
    claimed.data = data.describe("mnist-4k").unwrap().hash;
    claimed.params = format!(
        r#"{{"data.dataset":"mnist-4k","data.samples":50,"data.test_samples":50,"evaluate.every":10,"evaluate.spread":"every","model.width":{width},"seed":{id},"train.batch":20,"train.epochs":{EPOCHS},"train.optimizer.lr":0.01,"train.optimizer.momentum":0.9}}"#
    );
    claimed
}

/// The real trainer, one step at a time, and only when the script allows one: interruptions come where the test wants them.
struct Gated {
    trainer: LocalTrainer,
    script: Arc<Script>,
}

struct GatedPack {
    pack: Box<dyn Pack>,
    script: Arc<Script>,
}

impl Gated {
    fn new(data: &Arc<DataStore>, lab: &Lab) -> Arc<Self> {
        Arc::new(Self {
            trainer: LocalTrainer::new(Arc::clone(data), Device::Cpu),
            script: Arc::clone(&lab.script),
        })
    }
}

impl Trainer for Gated {
    fn open(&self, members: Vec<Member>) -> (Box<dyn Pack>, Vec<Event>) {
        let (pack, events) = self.trainer.open(members);
        let script = Arc::clone(&self.script);
        (Box::new(GatedPack { pack, script }), events)
    }

    fn data_hashes(&self) -> Vec<ContentHash> {
        self.trainer.data_hashes()
    }

    fn device(&self) -> String {
        self.trainer.device()
    }

    fn instruction_set(&self) -> String {
        self.trainer.instruction_set()
    }

    fn instruction_set_for(&self, spec: &TrialSpec) -> String {
        self.trainer.instruction_set_for(spec)
    }

    fn leaves_device(&self, spec: &TrialSpec) -> bool {
        self.trainer.leaves_device(spec)
    }

    fn memory_bytes(&self, spec: &TrialSpec, data: ContentHash) -> u64 {
        self.trainer.memory_bytes(spec, data)
    }

    fn data_bytes(&self, spec: &TrialSpec, data: ContentHash) -> u64 {
        self.trainer.data_bytes(spec, data)
    }

    fn checkpoint_instruction_set(&self, checkpoint: &[u8]) -> Result<String, TrainError> {
        self.trainer.checkpoint_instruction_set(checkpoint)
    }
}

impl Pack for GatedPack {
    fn advance(&mut self, _: u32) -> Vec<Event> {
        self.script.step();
        self.pack.advance(1)
    }

    fn progress(&self) -> Vec<Progress> {
        self.pack.progress()
    }

    fn checkpoint(&self, key: u64) -> Option<Vec<u8>> {
        self.pack.checkpoint(key)
    }

    fn remove(&mut self, key: u64) {
        self.pack.remove(key);
    }
}

/// Of each trial: its final weights and all that was measured, over all attempts.
fn outcomes(lab: &Lab) -> Vec<(Vec<u8>, Vec<Measurement>)> {
    let state = lab.coordinator.look();
    let outcome = |trial: &crate::coordinator::Trial| {
        let weights = trial.result.as_ref().unwrap().weights.unwrap();
        let chunks = trial.chunks.values().flatten().flatten();
        (state.artifacts[&weights].clone(), chunks.cloned().collect())
    };
    state.trials.values().map(outcome).collect()
}

#[tokio::test]
async fn an_interrupted_trial_ends_with_the_bits_of_an_undisturbed_one() {
    let data = Arc::new(DataStore::new(Vec::new()));
    let undisturbed = Lab::new();
    for id in 1..=4 {
        undisturbed.coordinator.add(trial(id, &data));
    }
    let worker = undisturbed.start_with(1, Gated::new(&data, &undisturbed));
    undisturbed.coordinator.until_done().await;
    worker.drain().await;

    let interrupted = Lab::new();
    interrupted
        .coordinator
        .change(|state| state.measured_every = 10);
    for id in 1..=4 {
        interrupted.coordinator.add(trial(id, &data));
    }
    // In the middle of an epoch, at its end, right after the start: an epoch has 3 steps.
    for (life, steps) in (1..).zip([1, 31, 29, 90]) {
        interrupted.script.allow(steps);
        let worker = interrupted.start_with(life, Gated::new(&data, &interrupted));
        until("all steps were taken", || interrupted.script.is_waiting()).await;
        worker.shutdown.drain();
        // The slice that waits for a step ends with it.
        interrupted.script.free();
        let report = worker.end().await.unwrap();
        assert!(1 <= report.released, "{report:?}");
        // Other company from one life to the next.
        interrupted.coordinator.change(|state| {
            for (i, trial) in (0_u8..).zip(state.trials.values_mut()) {
                trial.claimed.pack_key = PackKey([i % u8::try_from(life).unwrap(); 16]);
            }
        });
    }
    let worker = interrupted.start_with(9, Gated::new(&data, &interrupted));
    interrupted.coordinator.until_done().await;
    worker.drain().await;
    assert_eq!(outcomes(&undisturbed), outcomes(&interrupted));
    let (_, measured) = &outcomes(&undisturbed)[0];
    assert_eq!(measured.len(), EPOCHS as usize / 10);
}

/// What of a trial must not depend on its company: its result but for the time, its weights, all that was measured.
fn numbers(lab: &Lab, id: i64) -> (TrialResult, Option<Vec<u8>>, Vec<Measurement>) {
    let state = lab.coordinator.look();
    let trial = state.trial(id);
    let mut result = trial.result.clone().unwrap();
    result.train_ms = 0;
    let weights = result.weights.map(|hash| state.artifacts[&hash].clone());
    let measured = trial.chunks.values().flatten().flatten().cloned().collect();
    (result, weights, measured)
}

/// The five: the second one's steps are so long that it diverges.
fn five(data: &DataStore) -> Vec<Claimed> {
    let mut trials: Vec<Claimed> = (1..=5).map(|id| trial(id, data)).collect();
    trials[1].params = trials[1].params.replace(
        r#""train.optimizer.lr":0.01"#,
        r#""train.optimizer.lr":1000"#,
    );
    trials
}

#[tokio::test]
async fn whoever_leaves_a_pack_leaves_the_others_bits_alone() {
    let data = Arc::new(DataStore::new(Vec::new()));
    let mut alone = Lab::new();
    alone.config.pack_trials = 1;
    for trial in five(&data) {
        alone.coordinator.add(trial);
    }
    let worker = alone.start_with(1, Gated::new(&data, &alone));
    alone.coordinator.until_done().await;
    worker.drain().await;

    let lab = Lab::new();
    lab.coordinator.change(|state| state.measured_every = 10);
    for trial in five(&data) {
        lab.coordinator.add(trial);
    }
    lab.script.allow(40);
    let first = lab.start_with(1, Gated::new(&data, &lab));
    until("forty steps", || lab.script.is_waiting()).await;
    lab.coordinator.change(|state| {
        state.trial_mut(5).directive = Some(Directive::CheckpointNow);
        let cancelled = state.trial_mut(4);
        cancelled.directive = Some(Directive::Cancel);
        cancelled.state = TrialState::Cancelled;
    });
    let beats = lab.coordinator.look().beats;
    lab.coordinator
        .until("it was told", |state| beats + 2 < state.beats)
        .await;
    lab.script.allow(7);
    lab.coordinator
        .until("the fifth is saved", |state| {
            !state.trial(5).checkpoints.is_empty()
        })
        .await;
    // The fifth is taken away and goes on alone, on another worker, while the first one trains the others.
    lab.coordinator.change(State::hand_out_the_fifth);
    let second = lab.start_with(2, Gated::new(&data, &lab));
    lab.coordinator
        .until("another worker has it", |state| {
            state.trial(5).claimed.attempt.0 == 2
        })
        .await;
    lab.script.free();
    lab.coordinator.until_done().await;
    let report = first.drain().await;
    assert_eq!((report.completed, report.dropped), (3, 2), "{report:?}");
    assert_eq!(second.drain().await.completed, 1);
    for id in [1, 2, 3, 5] {
        assert_eq!(numbers(&lab, id), numbers(&alone, id), "trial {id}");
    }
    assert!(numbers(&lab, 2).0.diverged);
    assert!(!numbers(&lab, 3).0.diverged);
    assert!(lab.coordinator.look().trial(4).result.is_none());
}
