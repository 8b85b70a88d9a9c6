//! The same training by candle's automatic differentiation, one member after the other, on any device that candle has.
//!
//! Slower than the fast path and written independently of it: what the fast path is held to.

mod solo;

use std::sync::Arc;

use candle_core::Device;

use self::solo::{Solo, Splits};
use crate::checkpoint;
use crate::data::Prepared;
use crate::ending::Place;
use crate::mlp::Loose;
use crate::notes::Notes;
use crate::pack::{Event, Pack, Progress, TrainError};

/// Members trained one after the other.
pub(crate) struct Autograd {
    place: Place,
    members: Vec<Solo>,
}

impl Autograd {
    /// Puts members on the device. Those that do not get there come back as failed.
    pub(crate) fn new(device: &Device, place: Place, members: Vec<Loose>) -> (Self, Vec<Event>) {
        let mut failed = Vec::new();
        let mut shared: Vec<(Arc<Prepared>, Splits)> = Vec::new();
        let mut pack = Self {
            place,
            members: Vec::new(),
        };
        for member in members {
            let key = member.key;
            let held = shared
                .iter()
                .find(|(data, _)| Arc::ptr_eq(data, &member.data));
            let splits = match held {
                Some((_, splits)) => Ok(splits.clone()),
                None => Splits::new(&member.data, device).inspect(|splits| {
                    shared.push((Arc::clone(&member.data), splits.clone()));
                }),
            };
            match splits.and_then(|splits| Solo::new(device, splits, member)) {
                Ok(solo) => pack.members.push(solo),
                Err(error) => failed.push(Event::Failed {
                    key,
                    error: failure(&error),
                }),
            }
        }
        (pack, failed)
    }
}

impl Pack for Autograd {
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        let mut events = Vec::new();
        self.members.retain_mut(
            |member| match member.advance(steps, &self.place, &mut events) {
                Ok(stays) => stays,
                Err(error) => {
                    events.push(Event::Failed {
                        key: member.key,
                        error: failure(&error),
                    });
                    false
                }
            },
        );
        events
    }

    fn progress(&self) -> Vec<Progress> {
        let progress = self.members.iter().map(|member| Progress {
            key: member.key,
            epoch: member.epoch(),
            step: member.step(),
        });
        progress.collect()
    }

    fn checkpoint(&self, key: u64) -> Option<Vec<u8>> {
        let member = self.members.iter().find(|member| member.key == key)?;
        let state = member.state().ok()?;
        Some(checkpoint::to_bytes(
            member.plan(),
            &state,
            &Notes::default(),
            &self.place.instruction_set,
        ))
    }

    fn remove(&mut self, key: u64) {
        self.members.retain(|member| member.key != key);
    }
}

fn failure(error: &candle_core::Error) -> TrainError {
    let message = error.to_string();
    if message.to_lowercase().contains("out of memory") || message.contains("OUT_OF_MEMORY") {
        TrainError::OutOfMemory(message)
    } else {
        TrainError::Device(message)
    }
}
