//! The fast path's pack: groups, advanced in turn.

use super::group::{GROUP_UNITS, Group, Loose};
use crate::checkpoint;
use crate::ending::Place;
use crate::kernel::Isa;
use crate::pack::{Event, Pack, Progress};

/// Members in groups.
pub(crate) struct Stack {
    isa: Isa,
    place: Place,
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
            let has_room = |crowd: &&mut Vec<Loose>| {
                let columns: usize = crowd.iter().map(Loose::columns).sum();
                crowd[0].is_like(&member) && columns + member.columns() <= GROUP_UNITS
            };
            match crowds.iter_mut().find(has_room) {
                Some(crowd) => crowd.push(member),
                None => crowds.push(vec![member]),
            }
        }
        let groups = crowds
            .into_iter()
            .map(|crowd| Group::new(isa, crowd, place.clone()))
            .collect();
        Self { isa, place, groups }
    }

    /// Rebuilds a group without some of its members.
    fn without(&self, group: Group, leaving: &[u64]) -> Option<Group> {
        let rest = group.dissolve(|seat| leaving.contains(&seat.key));
        (!rest.is_empty()).then(|| Group::new(self.isa, rest, self.place.clone()))
    }
}

impl Pack for Stack {
    fn advance(&mut self, steps: u32) -> Vec<Event> {
        let mut events = Vec::new();
        for mut group in std::mem::take(&mut self.groups) {
            let mut left = steps;
            let kept = loop {
                let ended = group.advance(&mut left, &mut events);
                if ended.is_empty() {
                    break Some(group);
                }
                match self.without(group, &ended) {
                    Some(rest) => group = rest,
                    None => break None,
                }
            };
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
            let seat = group.seats().iter().find(|seat| seat.key == key)?;
            Some(checkpoint::to_bytes(
                &seat.plan,
                &group.state(seat),
                self.isa.name(),
            ))
        })
    }

    fn remove(&mut self, key: u64) {
        for group in std::mem::take(&mut self.groups) {
            let kept = if group.seats().iter().any(|seat| seat.key == key) {
                self.without(group, &[key])
            } else {
                Some(group)
            };
            self.groups.extend(kept);
        }
    }
}
