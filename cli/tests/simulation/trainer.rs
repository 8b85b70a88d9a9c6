//! A trainer whose "weights" are a hash chain over epochs, so that going on from the wrong place shows; it counts every step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use descent_spec::id::ContentHash;
use descent_spec::outcome::{Measurement, StopReason, TrialResult};
use descent_spec::trial::TrialSpec;
use descent_training::pack::{Event, Member, Pack, Progress, TrainError};
use descent_worker::trainer::Trainer;

use crate::broken::Broken;
use crate::record::{Life, What};
use crate::shared::Shared;
use crate::stage::Meter;

const INSTRUCTIONS: &str = "simulated";

/// What a trainer knows a trial by.
pub(crate) type Name = (u32, u64, u32);

/// Width, seed and epochs: enough to tell the trials of a plan apart.
pub(crate) fn name(spec: &TrialSpec) -> Name {
    (spec.model.width(), spec.seed, spec.train.epochs)
}

/// What goes wrong with a trial when it reaches an epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mishap {
    /// A failure that is tried again.
    Data,
    /// A failure that is not.
    Panic,
}

/// All that was computed, by whomever.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    /// How often each epoch of each trial was computed.
    computed: BTreeMap<(Name, [u8; 4], u32), u32>,
    /// Mishaps that came to pass.
    fired: BTreeMap<Name, u32>,
}

impl Ledger {
    /// Steps computed, and those computed more than once.
    pub(crate) fn steps(&self) -> (u64, u64) {
        let pages = self.0.lock().unwrap();
        let all: u64 = pages.computed.values().map(|&times| u64::from(times)).sum();
        (all, all - pages.computed.len() as u64)
    }

    pub(crate) fn fired(&self, name: Name) -> u32 {
        self.0
            .lock()
            .unwrap()
            .fired
            .get(&name)
            .copied()
            .unwrap_or(0)
    }
}

/// The weights after so many epochs of undisturbed training.
pub(crate) fn weights_after(name: Name, parent: Option<&[u8]>, epochs: u32) -> Vec<u8> {
    (0..epochs).fold(start(parent), |weights, _| step(name, &weights))
}

fn start(parent: Option<&[u8]>) -> Vec<u8> {
    ContentHash::of(parent.unwrap_or_default()).0.to_vec()
}

fn step((width, seed, _): Name, weights: &[u8]) -> Vec<u8> {
    let text = [&width.to_le_bytes(), &seed.to_le_bytes()[..], weights].concat();
    ContentHash::of(&text).0.to_vec()
}

pub(crate) fn loss(weights: &[u8]) -> f64 {
    f64::from(weights[0])
}

fn measurement(epoch: u32, weights: &[u8]) -> Measurement {
    Measurement {
        train_loss: Some(loss(weights)),
        ..Measurement::of_epoch(epoch)
    }
}

/// Trains for one life of one worker.
pub(crate) struct Actor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) life: Life,
    pub(crate) meter: Arc<Meter>,
}

struct Player {
    key: u64,
    name: Name,
    /// Tells trials of one name apart that start from different weights.
    from: [u8; 4],
    epoch: u32,
    weights: Vec<u8>,
}

struct Play {
    actor: Arc<Stagehand>,
    players: Vec<Player>,
}

struct Stagehand {
    shared: Arc<Shared>,
    life: Life,
    meter: Arc<Meter>,
}

impl Stagehand {
    /// Notes a step; answers what goes wrong in it.
    fn computed(&self, player: &Player) -> Option<Mishap> {
        let Player { name, epoch, .. } = *player;
        let shared = &self.shared;
        let mut pages = shared.ledger.0.lock().unwrap();
        let times = pages.computed.entry((name, player.from, epoch));
        *times.or_default() += 1;
        let what = What::Steps(self.life, format!("{name:?}"), epoch);
        shared.record.note(shared.now(), what);
        let planned = shared.plan.mishaps.get(&name)?;
        let fired = pages.fired.entry(name).or_default();
        if planned.epoch != epoch || *fired == planned.times {
            return None;
        }
        *fired += 1;
        Some(planned.mishap)
    }
}

impl Pack for Play {
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..steps {
            if self.players.is_empty() {
                break;
            }
            self.actor.meter.owe(self.actor.shared.plan.step);
            let mut staying = Vec::new();
            for mut player in std::mem::take(&mut self.players) {
                player.epoch += 1;
                player.weights = step(player.name, &player.weights);
                let key = player.key;
                match self.actor.computed(&player) {
                    Some(Mishap::Panic) => panic!("by the plan"),
                    Some(Mishap::Data) => {
                        let error = TrainError::Data("by the plan".to_owned());
                        events.push(Event::Failed { key, error });
                        continue;
                    }
                    None => {}
                }
                let measurement = measurement(player.epoch, &player.weights);
                events.push(Event::Measured { key, measurement });
                if player.epoch < player.name.2 {
                    staying.push(player);
                } else {
                    let result = Box::new(result(&player));
                    let weights = Some(player.weights);
                    events.push(Event::Finished {
                        key,
                        result,
                        weights,
                    });
                }
            }
            self.players = staying;
        }
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
        Some(
            [
                &player.epoch.to_le_bytes(),
                &player.from,
                &player.weights[..],
            ]
            .concat(),
        )
    }

    fn remove(&mut self, key: u64) {
        self.players.retain(|player| player.key != key);
    }
}

fn result(player: &Player) -> TrialResult {
    TrialResult {
        stop: StopReason::Epochs,
        last: measurement(player.epoch, &player.weights),
        diverged: false,
        coefficient_norm: None,
        details: None,
        parameters: 1,
        weights: Some(ContentHash::of(&player.weights)),
        device: "cpu".to_owned(),
        instruction_set: INSTRUCTIONS.to_owned(),
        train_ms: 0,
    }
}

/// Epoch, origin and weights of a checkpoint.
type Saved = (u32, [u8; 4], Vec<u8>);

fn read(checkpoint: &[u8]) -> Result<Saved, TrainError> {
    let saved = || {
        let (epoch, rest) = checkpoint.split_first_chunk::<4>()?;
        let (from, weights) = rest.split_first_chunk::<4>()?;
        Some((u32::from_le_bytes(*epoch), *from, weights.to_vec()))
    };
    saved().ok_or_else(|| TrainError::Artifact("not a checkpoint".to_owned()))
}

impl Trainer for Actor {
    fn open(&self, members: Vec<Member>) -> (Box<dyn Pack>, Vec<Event>) {
        let mut events = Vec::new();
        let mut players = Vec::new();
        for member in members {
            let key = member.key;
            let parent = member.parent_weights.as_deref();
            let parent = parent.filter(|_| self.shared.broken != Some(Broken::IgnoresParent));
            let weights = start(parent);
            let place = match &member.checkpoint {
                Some(checkpoint) => read(checkpoint),
                None => Ok((0, [weights[0], weights[1], weights[2], weights[3]], weights)),
            };
            match place {
                Ok((epoch, from, weights)) => players.push(Player {
                    key,
                    name: name(&member.spec),
                    from,
                    epoch,
                    weights,
                }),
                Err(error) => events.push(Event::Failed { key, error }),
            }
        }
        let actor = Arc::new(Stagehand {
            shared: Arc::clone(&self.shared),
            life: self.life,
            meter: Arc::clone(&self.meter),
        });
        self.meter.owe(Duration::from_millis(5));
        (Box::new(Play { actor, players }), events)
    }

    fn data_hashes(&self) -> Vec<ContentHash> {
        vec![ContentHash::of(b"toy")]
    }

    fn device(&self) -> String {
        "cpu".to_owned()
    }

    fn instruction_set(&self) -> String {
        INSTRUCTIONS.to_owned()
    }

    fn instruction_set_for(&self, _: &TrialSpec) -> String {
        INSTRUCTIONS.to_owned()
    }

    fn leaves_device(&self, _: &TrialSpec) -> bool {
        false
    }

    fn memory_bytes(&self, _: &TrialSpec, _: ContentHash) -> u64 {
        1 << 20
    }

    fn data_bytes(&self, _: &TrialSpec, _: ContentHash) -> u64 {
        0
    }

    fn checkpoint_instruction_set(&self, checkpoint: &[u8]) -> Result<String, TrainError> {
        read(checkpoint).map(|_| INSTRUCTIONS.to_owned())
    }
}
