//! The index space: which number stands for which point, in constant time and memory.
//!
//! Every body (the root, each block) has its own axes; each point of a body is one place of its own and all places of the
//! blocks inside it. A number is a mixed-radix expansion of that, once in the order of the file (*index*: what a point is
//! called) and once in the order of work (*rank*: when its turn is). Places that conditions rule out keep their number.

use std::sync::Arc;

use super::order;
use crate::setting::Key;
use crate::sweep::expression::Condition;
use crate::sweep::{Block, Order};
use crate::value::Value;

/// An axis of the index space.
#[derive(Debug)]
pub(super) struct GridAxis {
    /// The settings that move along it.
    pub(super) members: Vec<(Key, Arc<[Value]>)>,
    /// Number of values.
    pub(super) len: u64,
    /// Positions in the order of work.
    work: Vec<u32>,
    /// For the axis of widths of a sweep that reuses weights: positions by ascending width, and each position's place there.
    pub(super) widths: Option<(Vec<u32>, Vec<u32>)>,
}

/// A body of the sweep.
#[derive(Debug)]
pub(super) struct Node {
    /// The bodies around it and itself, the root first.
    pub(super) path: Vec<usize>,
    /// For which outer points.
    pub(super) when: Option<Condition>,
    /// Fixed settings.
    pub(super) fixed: Vec<(Key, Value)>,
    /// Its axes in the order of the file.
    pub(super) axes: Vec<usize>,
    /// Its axes in the order of work, the slowest first, without `fastest`.
    work: Vec<usize>,
    /// The axis that varies faster than everything inside: seeds.
    fastest: Option<usize>,
    /// Blocks inside, with the first slot of each.
    pub(super) children: Vec<(u64, usize)>,
    /// Places for each of its own points.
    slots: u64,
    /// All its places.
    total: u64,
}

/// A point's coordinates: its body, and a position on each axis of the whole sweep (0 where it does not move along it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The body.
    pub(super) node: usize,
    /// Positions by axis.
    pub(super) digits: Vec<u32>,
}

/// All bodies and axes.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Axes of all bodies.
    pub(super) axes: Vec<GridAxis>,
    /// Bodies, the root first.
    pub(super) nodes: Vec<Node>,
}

impl Layout {
    pub(super) fn new(root: &Block, order: Order, reuse: bool) -> Self {
        let mut layout = Self::default();
        layout.add(root, &[], order, reuse);
        layout
    }

    fn add(&mut self, block: &Block, outer: &[usize], order: Order, reuse: bool) -> usize {
        let id = self.nodes.len();
        let path: Vec<usize> = outer.iter().copied().chain([id]).collect();
        let first_axis = self.axes.len();
        for axis in &block.axes {
            let members: Vec<_> = axis
                .members
                .iter()
                .map(|member| (member.key, Arc::clone(&member.values)))
                .collect();
            let (key, values) = &members[0];
            let is_widths = reuse && members.len() == 1 && *key == Key::ModelWidth;
            let ascending = is_widths.then(|| order::ascending(values));
            // A narrower network comes before a wider one that starts from it, and so do stages.
            let work = match (ascending.clone().or_else(|| stages(&members)), order) {
                (Some(ascending), _) => ascending,
                (None, Order::CoarseToFine) if *key != Key::Seed => order::coarse_to_fine(values),
                (None, _) => (0..values.len() as u32).collect(),
            };
            let widths = ascending.map(|ascending| {
                let mut place = vec![0; ascending.len()];
                for (at, position) in ascending.iter().enumerate() {
                    place[*position as usize] = at as u32;
                }
                (ascending, place)
            });
            self.axes.push(GridAxis {
                len: values.len() as u64,
                members,
                work,
                widths,
            });
        }
        let axes: Vec<usize> = (first_axis..self.axes.len()).collect();
        let mut work = axes.clone();
        let mut fastest = None;
        if order == Order::CoarseToFine {
            fastest = axes.iter().copied().find(|&axis| self.is_seeds(axis));
            work.retain(|axis| Some(*axis) != fastest);
            // The longest axis is the curve: it refines slowest, with all its companions at every step.
            work.sort_by_key(|&axis| std::cmp::Reverse(self.axes[axis].len));
        }
        self.nodes.push(Node {
            path: path.clone(),
            when: block.when.clone(),
            fixed: block
                .fixed
                .iter()
                .map(|given| (given.key, given.value.clone()))
                .collect(),
            axes: axes.clone(),
            work,
            fastest,
            children: Vec::new(),
            slots: 1,
            total: 0,
        });
        let mut slots = 1;
        for inner in &block.blocks {
            let child = self.add(inner, &path, order, reuse);
            self.nodes[id].children.push((slots, child));
            slots += self.nodes[child].total;
        }
        let own: u64 = axes.iter().map(|&axis| self.axes[axis].len).product();
        self.nodes[id].slots = slots;
        self.nodes[id].total = own * slots;
        id
    }

    fn is_seeds(&self, axis: usize) -> bool {
        matches!(self.axes[axis].members[..], [(Key::Seed, _)])
    }

    /// Number of places.
    pub(super) fn total(&self) -> u64 {
        self.nodes[0].total
    }

    /// The place whose turn is `rank`, which is below [`Layout::total`].
    pub(super) fn by_rank(&self, rank: u64) -> Place {
        let mut digits = vec![0; self.axes.len()];
        let (mut node, mut rest) = (0, rank);
        loop {
            let body = &self.nodes[node];
            if let Some(axis) = body.fastest {
                digits[axis] = self.split(&mut rest, axis);
            }
            let slot = rest % body.slots;
            rest /= body.slots;
            for &axis in body.work.iter().rev() {
                digits[axis] = self.split(&mut rest, axis);
            }
            let Some((first, child)) = body.child(slot) else {
                return Place { node, digits };
            };
            (node, rest) = (child, slot - first);
        }
    }

    /// What a place is called: its number in the order of the file.
    pub(super) fn index(&self, place: &Place) -> u64 {
        let path = &self.nodes[place.node].path;
        let mut slot = 0;
        for (depth, &node) in path.iter().enumerate().rev() {
            let body = &self.nodes[node];
            let own = body.axes.iter().fold(0, |number, &axis| {
                number * self.axes[axis].len + u64::from(place.digits[axis])
            });
            let number = own * body.slots + slot;
            if depth == 0 {
                return number;
            }
            let outer = &self.nodes[path[depth - 1]];
            let first = outer.children.iter().find(|(_, child)| *child == node);
            slot = number + first.map_or(0, |(first, _)| *first);
        }
        slot
    }

    /// Takes the fastest digit off a number: the position on this axis, in the order of work.
    fn split(&self, rest: &mut u64, axis: usize) -> u32 {
        let axis = &self.axes[axis];
        let digit = *rest % axis.len;
        *rest /= axis.len;
        axis.work[digit as usize]
    }
}

/// The order of work of an axis that moves from stage to stage; `None` for others.
fn stages(members: &[(Key, Arc<[Value]>)]) -> Option<Vec<u32>> {
    let values = |key: Key| members.iter().find(|(member, _)| *member == key);
    if let Some((_, values)) = super::stage::COUNTS.into_iter().find_map(values) {
        return Some(order::ascending(values));
    }
    let (_, values) = values(Key::MaskControl)?;
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_by_key(|&position| values[position as usize].as_text() != Some("ticket"));
    Some(order)
}

impl Node {
    /// The block that a slot lies in, and its first slot; `None` for slot 0, the body's own point.
    fn child(&self, slot: u64) -> Option<(u64, usize)> {
        self.children
            .iter()
            .rev()
            .find(|(first, _)| *first <= slot)
            .copied()
    }
}
