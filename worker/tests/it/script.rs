//! A trainer by script: its "weights" are a hash chain over steps, so that going on from the wrong place shows.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use descent_spec::id::ContentHash;
use descent_spec::outcome::{Measurement, StopReason, TrialResult};
use descent_spec::trial::{ModelSpec, TrialSpec};
use descent_training::pack::{Event, Member, Pack, Progress, TrainError};
use descent_worker::clock::ManualClock;
use descent_worker::trainer::Trainer;

/// One step is one epoch, and takes this long on the manual clock.
pub(crate) const STEP: Duration = Duration::from_millis(10);
pub(crate) const DATA: ContentHash = ContentHash([7; 32]);

/// What shall go wrong with the trial of this seed.
#[derive(Clone)]
pub(crate) enum Mishap {
    Panic {
        step: u32,
    },
    OutOfMemory {
        step: u32,
    },
    /// The device reports errors from here on, for everybody.
    DeviceLost {
        step: u32,
    },
    /// The final weights are no longer those whose hash the result has.
    Damage {
        step: u32,
    },
}

#[derive(Default)]
struct Stage {
    /// Steps that may be trained; `None`: all.
    allowed: Option<u64>,
    removed: BTreeSet<u64>,
    opened: Vec<usize>,
    /// Members in training, of all packs.
    playing: usize,
    device_lost: bool,
}

/// The trainer, and the strings it hangs on.
pub(crate) struct Script {
    clock: Arc<ManualClock>,
    stage: Mutex<Stage>,
    moved: Condvar,
    mishaps: Mutex<Vec<(u64, Mishap)>>,
    instruction_set: &'static str,
    /// What computes trials in the device's stead.
    processor: Option<&'static str>,
    trial_bytes: u64,
    data_bytes: u64,
    /// Members that the device has memory for: more fail at their start.
    most_members: usize,
    /// A pack of more members than this fails as a whole at this step.
    crowd: Option<(u32, usize)>,
}

impl Script {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Self {
        Self {
            clock,
            stage: Mutex::default(),
            moved: Condvar::new(),
            mishaps: Mutex::default(),
            instruction_set: "script",
            processor: None,
            trial_bytes: 1 << 20,
            data_bytes: 0,
            most_members: usize::MAX,
            crowd: None,
        }
    }

    /// The same with samples of this size, which trials share.
    pub(crate) fn with_data_bytes(self, data_bytes: u64) -> Self {
        Self { data_bytes, ..self }
    }

    /// The same with memory for so many members at a time.
    pub(crate) fn with_most_members(self, most_members: usize) -> Self {
        Self {
            most_members,
            ..self
        }
    }

    /// The same where packs of more than `members` run out of memory at this step.
    pub(crate) fn with_crowd(self, step: u32, members: usize) -> Self {
        Self {
            crowd: Some((step, members)),
            ..self
        }
    }

    /// The same with trials of this size.
    pub(crate) fn with_trial_bytes(self, trial_bytes: u64) -> Self {
        Self {
            trial_bytes,
            ..self
        }
    }

    /// The same on another machine.
    pub(crate) fn with_instruction_set(self, instruction_set: &'static str) -> Self {
        Self {
            instruction_set,
            ..self
        }
    }

    /// The same where a processor with these instructions computes all trials, not the device.
    pub(crate) fn with_processor(self, instruction_set: &'static str) -> Self {
        Self {
            processor: Some(instruction_set),
            ..self
        }
    }

    /// The instruction set that trials are computed with.
    fn computing(&self) -> &'static str {
        self.processor.unwrap_or(self.instruction_set)
    }

    /// Lets `steps` further steps be trained; the thread then blocks in the middle of `advance`.
    pub(crate) fn allow(&self, steps: u64) {
        let mut stage = self.stage.lock().unwrap();
        *stage.allowed.get_or_insert(0) += steps;
        self.moved.notify_all();
    }

    pub(crate) fn free(&self) {
        self.stage.lock().unwrap().allowed = None;
        self.moved.notify_all();
    }

    pub(crate) fn mishap(&self, seed: u64, mishap: Mishap) {
        self.mishaps.lock().unwrap().push((seed, mishap));
    }

    pub(crate) fn has_removed(&self, seed: u64) -> bool {
        self.stage.lock().unwrap().removed.contains(&seed)
    }

    /// How many members each pack had at its start.
    pub(crate) fn opened(&self) -> Vec<usize> {
        self.stage.lock().unwrap().opened.clone()
    }

    /// Whether all steps allowed were taken.
    pub(crate) fn is_waiting(&self) -> bool {
        self.stage.lock().unwrap().allowed == Some(0)
    }

    /// Takes a step when one is allowed, waiting for it.
    pub(crate) fn step(&self) {
        let mut stage = self.stage.lock().unwrap();
        while stage.allowed == Some(0) {
            stage = self.moved.wait(stage).unwrap();
        }
        if let Some(allowed) = &mut stage.allowed {
            *allowed -= 1;
        }
        drop(stage);
        self.clock.advance(STEP);
    }

    fn mishap_of(&self, seed: u64, at: u32) -> Option<Mishap> {
        let mishaps = self.mishaps.lock().unwrap();
        mishaps
            .iter()
            .find(|(of, mishap)| {
                let (Mishap::Panic { step }
                | Mishap::OutOfMemory { step }
                | Mishap::DeviceLost { step }
                | Mishap::Damage { step }) = mishap;
                *of == seed && *step == at
            })
            .map(|(_, mishap)| mishap.clone())
    }
}

/// The weights of a trial after so many epochs, as an undisturbed training makes them.
pub(crate) fn weights_after(seed: u64, start: &[u8], epochs: u32) -> Vec<u8> {
    let start = ContentHash::of(start).0.to_vec();
    (0..epochs).fold(start, |weights, _| step_weights(seed, &weights))
}

fn step_weights(seed: u64, weights: &[u8]) -> Vec<u8> {
    let text = [&seed.to_le_bytes(), weights].concat();
    ContentHash::of(&text).0.to_vec()
}

pub(crate) fn measurement(epoch: u32, weights: &[u8]) -> Measurement {
    Measurement {
        train_loss: Some(f64::from(weights[0])),
        ..Measurement::of_epoch(epoch)
    }
}

struct Player {
    key: u64,
    spec: TrialSpec,
    epoch: u32,
    weights: Vec<u8>,
}

impl Player {
    fn result(&self, script: &Script) -> TrialResult {
        TrialResult {
            stop: StopReason::Epochs,
            last: measurement(self.epoch, &self.weights),
            diverged: false,
            coefficient_norm: None,
            details: None,
            parameters: 1,
            weights: Some(ContentHash::of(&self.weights)),
            device: "cpu".to_owned(),
            instruction_set: script.computing().to_owned(),
            train_ms: 0,
        }
    }
}

struct ScriptedPack {
    script: Arc<Script>,
    players: Vec<Player>,
    /// Players that the script counts as playing.
    counted: usize,
}

impl ScriptedPack {
    /// Tells the script how many play.
    fn count(&mut self) {
        let mut stage = self.script.stage.lock().unwrap();
        stage.playing = stage.playing + self.players.len() - self.counted;
        self.counted = self.players.len();
    }

    /// What everybody fails with in the step that is to come.
    fn error_of_all(&self) -> Option<fn() -> TrainError> {
        let next = |player: &Player| player.epoch + 1;
        if let Some((step, members)) = self.script.crowd
            && members < self.players.len()
            && self.players.iter().any(|player| next(player) == step)
        {
            return Some(|| TrainError::OutOfMemory("by the script".to_owned()));
        }
        let lost = |player: &Player| {
            let mishap = self.script.mishap_of(player.spec.seed, next(player));
            matches!(mishap, Some(Mishap::DeviceLost { .. }))
        };
        let mut stage = self.script.stage.lock().unwrap();
        stage.device_lost |= self.players.iter().any(lost);
        stage
            .device_lost
            .then_some(device_lost as fn() -> TrainError)
    }
}

impl Drop for ScriptedPack {
    fn drop(&mut self) {
        self.players.clear();
        self.count();
    }
}

fn device_lost() -> TrainError {
    TrainError::Device("it fell off the bus".to_owned())
}

impl Pack for ScriptedPack {
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..steps {
            if self.players.is_empty() {
                break;
            }
            self.script.step();
            if let Some(error) = self.error_of_all() {
                let failed = self.players.drain(..).map(|player| Event::Failed {
                    key: player.key,
                    error: error(),
                });
                events.extend(failed);
                break;
            }
            let mut staying = Vec::new();
            for mut player in std::mem::take(&mut self.players) {
                player.epoch += 1;
                player.weights = step_weights(player.spec.seed, &player.weights);
                let key = player.key;
                let mut weights = player.weights.clone();
                match self.script.mishap_of(player.spec.seed, player.epoch) {
                    Some(Mishap::Panic { step }) => panic!("by the script at step {step}"),
                    Some(Mishap::OutOfMemory { .. }) => {
                        let error = TrainError::OutOfMemory("by the script".to_owned());
                        events.push(Event::Failed { key, error });
                        continue;
                    }
                    Some(Mishap::Damage { .. }) => weights[0] ^= 1,
                    Some(Mishap::DeviceLost { .. }) | None => {}
                }
                events.push(Event::Measured {
                    key,
                    measurement: measurement(player.epoch, &player.weights),
                });
                if player.epoch < player.spec.train.epochs {
                    staying.push(player);
                } else {
                    events.push(Event::Finished {
                        key,
                        result: Box::new(player.result(&self.script)),
                        weights: Some(weights),
                    });
                }
            }
            self.players = staying;
        }
        self.count();
        events
    }

    fn progress(&self) -> Vec<Progress> {
        let progress = |player: &Player| Progress {
            key: player.key,
            epoch: player.epoch,
            step: player.epoch.into(),
        };
        self.players.iter().map(progress).collect()
    }

    fn checkpoint(&self, key: u64) -> Option<Vec<u8>> {
        let player = self.players.iter().find(|player| player.key == key)?;
        let mut bytes = format!("{}\n{}\n", self.script.computing(), player.epoch).into_bytes();
        bytes.extend_from_slice(&player.weights);
        Some(bytes)
    }

    fn remove(&mut self, key: u64) {
        let script = Arc::clone(&self.script);
        let mut stage = script.stage.lock().unwrap();
        self.players.retain(|player| {
            if player.key == key {
                stage.removed.insert(player.spec.seed);
            }
            player.key != key
        });
        drop(stage);
        self.count();
    }
}

fn read_checkpoint(bytes: &[u8]) -> Result<(String, u32, Vec<u8>), TrainError> {
    let unreadable = || TrainError::Artifact("not a checkpoint of the script".to_owned());
    let mut parts = bytes.splitn(3, |&byte| byte == b'\n');
    let mut text = || String::from_utf8(parts.next()?.to_vec()).ok();
    let instruction_set = text().ok_or_else(unreadable)?;
    let epoch = text()
        .and_then(|text| text.parse().ok())
        .ok_or_else(unreadable)?;
    let weights = parts.next().ok_or_else(unreadable)?.to_vec();
    Ok((instruction_set, epoch, weights))
}

/// The script as the worker gets it.
pub(crate) struct Actor(pub(crate) Arc<Script>);

impl Trainer for Actor {
    fn open(&self, members: Vec<Member>) -> (Box<dyn Pack>, Vec<Event>) {
        let script = &self.0;
        script.stage.lock().unwrap().opened.push(members.len());
        let mut events = Vec::new();
        let mut players = Vec::new();
        let refused = {
            let stage = script.stage.lock().unwrap();
            if stage.device_lost {
                Some(device_lost as fn() -> TrainError)
            } else if script.most_members < stage.playing + members.len() {
                Some((|| TrainError::OutOfMemory("at the start".to_owned())) as fn() -> TrainError)
            } else {
                None
            }
        };
        for member in members {
            if let Some(error) = refused {
                events.push(Event::Failed {
                    key: member.key,
                    error: error(),
                });
                continue;
            }
            let ModelSpec::Mlp { .. } = member.spec.model else {
                panic!("the script plays networks only");
            };
            let start = ContentHash::of(member.parent_weights.as_deref().unwrap_or_default());
            let place = match &member.checkpoint {
                None => Ok((0, start.0.to_vec())),
                Some(bytes) => read_checkpoint(bytes).map(|(_, epoch, weights)| (epoch, weights)),
            };
            match place {
                Ok((epoch, weights)) => players.push(Player {
                    key: member.key,
                    spec: member.spec,
                    epoch,
                    weights,
                }),
                Err(error) => events.push(Event::Failed {
                    key: member.key,
                    error,
                }),
            }
        }
        let script = Arc::clone(script);
        let mut pack = ScriptedPack {
            script,
            players,
            counted: 0,
        };
        pack.count();
        (Box::new(pack), events)
    }

    fn data_hashes(&self) -> Vec<ContentHash> {
        vec![DATA]
    }

    fn device(&self) -> String {
        "cpu".to_owned()
    }

    fn instruction_set(&self) -> String {
        self.0.instruction_set.to_owned()
    }

    fn instruction_set_for(&self, _: &TrialSpec) -> String {
        self.0.computing().to_owned()
    }

    fn leaves_device(&self, _: &TrialSpec) -> bool {
        self.0.processor.is_some()
    }

    fn memory_bytes(&self, _: &TrialSpec, _: ContentHash) -> u64 {
        self.0.trial_bytes
    }

    fn data_bytes(&self, _: &TrialSpec, _: ContentHash) -> u64 {
        self.0.data_bytes
    }

    fn checkpoint_instruction_set(&self, checkpoint: &[u8]) -> Result<String, TrainError> {
        read_checkpoint(checkpoint).map(|(instruction_set, ..)| instruction_set)
    }
}
