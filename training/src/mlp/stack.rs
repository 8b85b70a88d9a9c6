//! The fast path's pack: groups, advanced in turn.

use super::group::{Group, Loose};
use crate::checkpoint;
use crate::ending::Place;
use crate::kernel::Isa;
use crate::pack::{Event, Pack, Progress};

/// Members in groups.
pub(crate) struct Stack {
    isa: Isa,
    groups: Vec<Group>,
}

impl Stack {
    pub(crate) fn new(isa: Isa, members: Vec<Loose>) -> Self {
        let place = Place {
            device: "cpu".to_owned(),
            instruction_set: isa.name().to_owned(),
        };
        let mut crowds: Vec<Vec<Loose>> = Vec::new();
        for member in members {
            match crowds.iter_mut().find(|crowd| crowd[0].is_like(&member)) {
                Some(crowd) => crowd.push(member),
                None => crowds.push(vec![member]),
            }
        }
        let groups = crowds
            .into_iter()
            .map(|crowd| Group::new(isa, crowd, place.clone()))
            .collect();
        Self { isa, groups }
    }
}

impl Pack for Stack {
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        let mut events = Vec::new();
        self.groups.retain_mut(|group| {
            let mut left = steps;
            loop {
                let ended = group.advance(&mut left, &mut events);
                if ended.is_empty() {
                    return true;
                }
                if !group.part_with(&ended) {
                    return false;
                }
            }
        });
        events
    }

    fn progress(&self) -> Vec<Progress> {
        let members = self
            .groups
            .iter()
            .flat_map(|group| group.seats().map(move |seat| (group, seat)));
        let progress = members.map(|(group, seat)| Progress {
            key: seat.key,
            epoch: seat.plan.epoch(group.step()),
            step: group.step(),
        });
        progress.collect()
    }

    fn checkpoint(&self, key: u64) -> Option<Vec<u8>> {
        let (seat, state) = self.groups.iter().find_map(|group| group.state(key))?;
        Some(checkpoint::to_bytes(
            &seat.plan,
            &state,
            &seat.notes,
            self.isa.name(),
        ))
    }

    fn remove(&mut self, key: u64) {
        self.groups.retain_mut(|group| {
            let stays = group.seats().all(|seat| seat.key != key);
            stays || group.part_with(&[key])
        });
    }
}
