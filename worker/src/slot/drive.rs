//! One pack on the slot's stage, slice by slice, and what comes after it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use descent_training::pack::{Member, Pack};

use super::driver::Driver;
use super::entry::Entry;
use super::prepare::Ready;
use crate::activity::SlotActivity;
use crate::context::Context;
use crate::failure::{Cause, panic_message};
use crate::lease::Lease;
use crate::place::Place;
use crate::stage::Turn;

/// How often a paused pack looks whether it may go on.
const PAUSED_LOOK: Duration = Duration::from_millis(100);

pub(super) type Entries = BTreeMap<u64, Entry>;

/// What comes after a pack.
#[derive(Default)]
pub(super) struct After {
    /// Packs to be trained once more.
    again: Vec<Vec<Lease>>,
    /// Set where a single trial found no memory beside so many others in training: nothing more is taken before one of them
    /// has ended.
    pub(super) crowded: Option<usize>,
}

impl After {
    /// These are to be trained once more. Until then they wait: neither a stall nor a time limit shall count that.
    pub(super) fn again(&mut self, leases: Vec<Lease>) {
        for lease in &leases {
            lease.account().waits();
        }
        self.again.push(leases);
    }

    /// The next ones to be trained once more.
    pub(super) fn next(&mut self) -> Option<Vec<Lease>> {
        self.again.pop()
    }

    /// Takes in what comes after one of them.
    pub(super) fn then(&mut self, next: Self) {
        self.again.extend(next.again);
        self.crowded = next.crowded;
    }

    /// Hands back whoever was to be trained once more.
    pub(super) fn release(&mut self) {
        let waiting = mem::take(&mut self.again);
        waiting.into_iter().flatten().for_each(Lease::release);
    }
}

/// One pack on its way to its end, or until the worker stops. When the trainer panics nobody knows on whose account, so the pack
/// is halved until somebody panics alone: see [`Drive::panicked`].
pub(super) struct Drive {
    context: Arc<Context>,
    place: Arc<Place>,
    alone: bool,
    entries: Entries,
    after: After,
    next: Next,
}

/// What the next slice does.
pub(super) enum Next {
    Open(Vec<Member>),
    Advance {
        pack: Box<dyn Pack>,
        steps: u32,
    },
    /// The same after a rest, which does not count: since when.
    Resume(Box<dyn Pack>, u32, Duration),
    Nothing,
}

impl Drive {
    pub(super) fn new(context: Arc<Context>, place: Arc<Place>, pack: Vec<Ready>) -> Self {
        let alone = pack.len() == 1;
        let mut entries = Entries::new();
        let mut members = Vec::with_capacity(pack.len());
        for (key, ready) in (0_u64..).zip(pack) {
            members.push(Member {
                key,
                data: ready.lease.claimed().data,
                checkpoint: ready.checkpoint,
                parent_weights: ready.parent_weights,
                spec: ready.spec,
            });
            let member = &members[members.len() - 1];
            let resumed = member.checkpoint.is_some();
            let there = place.budget(&member.spec).bytes;
            let lease = (ready.lease, ready.memory_bytes, there);
            let entry = Entry::new(key, lease, place.sit_down(), &member.spec, resumed);
            entries.insert(key, entry);
        }
        Self {
            context,
            place,
            alone,
            entries,
            after: After::default(),
            next: Next::Open(members),
        }
    }

    /// Trains for a while; answers how to go on.
    pub(super) fn slice(&mut self, show: &dyn Fn(SlotActivity)) -> Turn {
        let next = mem::replace(&mut self.next, Next::Nothing);
        match catch_unwind(AssertUnwindSafe(|| self.carry_out(next, show))) {
            Ok(next) => self.next = next,
            Err(payload) => self.panicked(&panic_message(payload.as_ref())),
        }
        match self.next {
            Next::Nothing => Turn::Over,
            Next::Resume(..) => Turn::Rest(PAUSED_LOOK),
            Next::Open(_) | Next::Advance { .. } => Turn::More,
        }
    }

    /// What comes after it.
    pub(super) fn end(self) -> After {
        self.after
    }

    fn carry_out(&mut self, next: Next, show: &dyn Fn(SlotActivity)) -> Next {
        let crowd = self.place.members();
        match next {
            Next::Open(members) => {
                let (pack, events) = self.place.trainer.open(members);
                self.driver(pack, crowd).begin(events)
            }
            Next::Advance { pack, steps } => self.driver(pack, crowd).go_on(steps, show),
            Next::Resume(pack, steps, since) => {
                let spent = self.context.world.clock.now().saturating_sub(since);
                for entry in self.entries.values_mut() {
                    entry.started_at += spent;
                }
                self.driver(pack, crowd).go_on(steps, show)
            }
            Next::Nothing => Next::Nothing,
        }
    }

    fn driver(&mut self, pack: Box<dyn Pack>, crowd: usize) -> Driver<'_> {
        Driver {
            context: &self.context,
            crowd: crowd.max(self.place.members()),
            place: &self.place,
            pack,
            entries: &mut self.entries,
            after: &mut self.after,
        }
    }

    /// Members do not influence each other's numbers, so whoever panics in a pack does so alone too, and is charged there. Half of
    /// the pack starts once more where it was saved last; the other half is handed back, because it cannot start now: it would
    /// stand still here for as long as the first half trains, while others have room for it.
    ///
    /// Who has had the most attempts is kept first. Else a trial that panics every time could be handed back for ever, behind
    /// others that are more urgent; this way each panic lets one end that had at least as many as it had.
    fn panicked(&mut self, message: &str) {
        tracing::error!(
            message,
            members = self.entries.len(),
            "the trainer panicked: a bug"
        );
        let entries = mem::take(&mut self.entries).into_values();
        let mut leases: Vec<Lease> = entries.map(|entry| entry.lease).collect();
        if self.alone {
            for lease in leases {
                lease.fail(Cause::Panic(message.to_owned()));
            }
            return;
        }
        // Among equals the most urgent stays in front.
        leases.sort_by_key(|lease| Reverse(lease.claimed().attempt));
        let handed_back = leases.split_off(leases.len().div_ceil(2));
        if !leases.is_empty() {
            self.after.again(leases);
        }
        handed_back.into_iter().for_each(Lease::release);
    }
}
