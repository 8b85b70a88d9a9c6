//! The pack on a device: groups, advanced in turn.

use std::cell::RefCell;

use super::group::{Group, are_alike};
use super::machine::{Fault, Machine};
use crate::checkpoint;
use crate::ending::Place;
use crate::mlp::Loose;
use crate::notes::Notes;
use crate::pack::{Event, Pack, Progress, TrainError};

/// Units of the first layers of one group, at most: a step over more gains nothing, and its gradients would crowd the device.
const GROUP_UNITS: usize = 16_384;

/// Members in groups on one device.
pub(crate) struct Stack<M: Machine> {
    place: Place,
    /// Also read from where the pack itself is not changed: for checkpoints.
    machine: RefCell<M>,
    groups: Vec<Group<M>>,
    /// What happened between two calls of [`Pack::advance`].
    unsaid: Vec<Event>,
}

impl<M: Machine> Stack<M> {
    /// Puts members on a device. Those that do not fit come back as failed, out of memory; the others stay.
    pub(crate) fn new(machine: M, place: Place, members: Vec<Loose>) -> (Self, Vec<Event>) {
        let mut crowds: Vec<Vec<Loose>> = Vec::new();
        for member in members {
            let has_room = |crowd: &&mut Vec<Loose>| {
                let units: usize = crowd.iter().map(|member| member.plan.first()).sum();
                are_alike(&crowd[0], &member) && units + member.plan.first() <= GROUP_UNITS
            };
            match crowds.iter_mut().find(has_room) {
                Some(crowd) => crowd.push(member),
                None => crowds.push(vec![member]),
            }
        }
        let mut stack = Self {
            place,
            machine: RefCell::new(machine),
            groups: Vec::new(),
            unsaid: Vec::new(),
        };
        let mut failed = Vec::new();
        for crowd in crowds {
            let group = stack.seat(crowd, &mut failed);
            stack.groups.extend(group);
        }
        (stack, failed)
    }

    /// The device, for tests that look at it.
    #[cfg(test)]
    pub(super) fn machine(&self) -> std::cell::Ref<'_, M> {
        self.machine.borrow()
    }

    /// A group of as many of these members as the device has memory for: all, or the first half, or of that the first half, and so on.
    fn seat(&mut self, mut crowd: Vec<Loose>, events: &mut Vec<Event>) -> Option<Group<M>> {
        while !crowd.is_empty() {
            let fault = match Group::new(self.machine.get_mut(), &crowd, &self.place) {
                Ok(group) => return Some(group),
                Err(fault) => fault,
            };
            let stay = match fault {
                Fault::OutOfMemory(_) => crowd.len() / 2,
                Fault::Device(_) => 0,
            };
            let keys = crowd.drain(stay..).map(|member| member.key);
            fail(keys, &fault, events);
        }
        None
    }

    /// Advances a group; gives what is left of it.
    fn advance_group(
        &mut self,
        mut group: Group<M>,
        steps: u32,
        events: &mut Vec<Event>,
    ) -> Option<Group<M>> {
        let mut left = steps;
        loop {
            let machine = self.machine.get_mut();
            let kept = match group.advance(machine, &mut left, events) {
                Ok(ended) if ended.is_empty() => return Some(group),
                Ok(ended) => self.without(group, &ended, events),
                Err(fault) => {
                    let keys: Vec<u64> = group.seats().iter().map(|seat| seat.key).collect();
                    // What ended before the fault has said so.
                    let gone = |key: &u64| events.iter().any(|event| is_last_of(event, *key));
                    let keys: Vec<u64> = keys.into_iter().filter(|key| !gone(key)).collect();
                    fail(keys.into_iter(), &fault, events);
                    group.clear(machine);
                    None
                }
            };
            group = kept?;
        }
    }

    /// Rebuilds a group without some of its members.
    fn without(
        &mut self,
        group: Group<M>,
        leaving: &[u64],
        events: &mut Vec<Event>,
    ) -> Option<Group<M>> {
        let machine = self.machine.get_mut();
        let rest = group.loose(machine, |seat| leaving.contains(&seat.key));
        let keys: Vec<u64> = group.seats().iter().map(|seat| seat.key).collect();
        group.clear(machine);
        match rest {
            Ok(rest) => self.seat(rest, events),
            Err(fault) => {
                let keys = keys.into_iter().filter(|key| !leaving.contains(key));
                fail(keys, &fault, events);
                None
            }
        }
    }
}

/// Whether an event takes this member out.
fn is_last_of(event: &Event, member: u64) -> bool {
    match event {
        Event::Measured { .. } => false,
        Event::Finished { key, .. } | Event::Failed { key, .. } => *key == member,
    }
}

fn fail(keys: impl Iterator<Item = u64>, fault: &Fault, events: &mut Vec<Event>) {
    events.extend(keys.map(|key| Event::Failed {
        key,
        error: TrainError::from(fault.clone()),
    }));
}

impl<M: Machine> Pack for Stack<M> {
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.unsaid);
        for group in std::mem::take(&mut self.groups) {
            let kept = self.advance_group(group, steps, &mut events);
            self.groups.extend(kept);
        }
        events
    }

    fn progress(&self) -> Vec<Progress> {
        let members = self
            .groups
            .iter()
            .flat_map(|group| group.seats().iter().map(move |seat| (group, seat)));
        let progress = members.map(|(group, seat)| Progress {
            key: seat.key,
            epoch: seat.plan.epoch(group.step()),
            step: group.step(),
        });
        progress.collect()
    }

    fn checkpoint(&self, key: u64) -> Option<Vec<u8>> {
        self.groups.iter().find_map(|group| {
            let member = group.seats().iter().position(|seat| seat.key == key)?;
            // A device that fails now says so at the next step.
            let state = group.state(&mut self.machine.borrow_mut(), member).ok()?;
            let plan = &group.seats()[member].plan;
            Some(checkpoint::to_bytes(
                plan,
                &state,
                &Notes::default(),
                &self.place.instruction_set,
            ))
        })
    }

    fn remove(&mut self, key: u64) {
        for group in std::mem::take(&mut self.groups) {
            let kept = if group.seats().iter().any(|seat| seat.key == key) {
                let mut events = Vec::new();
                let kept = self.without(group, &[key], &mut events);
                self.unsaid.extend(events);
                kept
            } else {
                Some(group)
            };
            self.groups.extend(kept);
        }
    }
}

impl<M: Machine> Drop for Stack<M> {
    fn drop(&mut self) {
        for group in std::mem::take(&mut self.groups) {
            group.clear(self.machine.get_mut());
        }
    }
}
