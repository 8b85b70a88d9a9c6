//! How many trials one claim may take, so that the last ones of a sweep are not all in one worker's pack.

use std::collections::HashMap;

use descent_spec::id::{SessionId, Timestamp};

/// A claim's fair share: `ready` trials over all `slots` (packs that workers train side by side), at least one.
///
/// While far more trials are ready than all slots could hold, the share is larger than what anybody asks for; near the end
/// it shrinks, and the last packs come out equally large, so that all workers finish at about the same time.
#[must_use]
pub(crate) fn fair(asked: u32, ready: u64, slots: u64) -> u32 {
    let share = ready.div_ceil(slots.max(1)).max(1);
    asked.min(u32::try_from(share).unwrap_or(u32::MAX))
}

/// The workers heard of lately, and how many packs each trains side by side.
///
/// Kept in memory only: after a restart a session counts as one slot until it is opened anew. A wrong count costs
/// balance, never correctness.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    sessions: HashMap<SessionId, (u64, Timestamp)>,
}

impl Slots {
    /// A session says how many slots it has.
    pub(crate) fn open(&mut self, session: SessionId, slots: u32, now: Timestamp) {
        self.sessions
            .insert(session, (u64::from(slots.max(1)), now));
    }

    /// A session was heard of.
    pub(crate) fn heard(&mut self, session: SessionId, now: Timestamp) {
        self.sessions.entry(session).or_insert((1, now)).1 = now;
    }

    /// A session has ended.
    pub(crate) fn close(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// Slots of all sessions heard of since `since`; forgets the others.
    pub(crate) fn since(&mut self, since: Timestamp) -> u64 {
        self.sessions.retain(|_, (_, heard)| *heard >= since);
        self.sessions.values().map(|(slots, _)| slots).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_takes_its_share_and_at_least_one() {
        for (asked, ready, slots, share) in [
            (64, 100_000, 8, 64), // plenty: as asked
            (64, 100, 8, 13),     // near the end: a share, rounded up
            (64, 8, 8, 1),
            (64, 3, 8, 1),
            (64, 0, 8, 1), // the count may lag behind
            (64, 10, 0, 10),
            (0, 10, 1, 0),
        ] {
            assert_eq!(fair(asked, ready, slots), share, "{asked} {ready} {slots}");
        }
    }

    #[test]
    fn shares_add_up_to_everything() {
        // Whatever the numbers, `slots` claims one after the other leave nothing behind.
        for ready in 0..200_u64 {
            for slots in 1..20 {
                let mut left = ready;
                for taken in 0..slots {
                    left -= u64::from(fair(u32::MAX, left, slots - taken)).min(left);
                }
                assert_eq!(left, 0, "{ready} over {slots}");
            }
        }
    }

    #[test]
    fn silent_sessions_do_not_count() {
        let mut slots = Slots::default();
        slots.open(SessionId([1; 16]), 4, Timestamp(0));
        slots.open(SessionId([2; 16]), 2, Timestamp(50));
        slots.heard(SessionId([3; 16]), Timestamp(60));
        assert_eq!(slots.since(Timestamp(0)), 7);
        assert_eq!(slots.since(Timestamp(10)), 3);
        slots.heard(SessionId([2; 16]), Timestamp(70));
        slots.close(SessionId([3; 16]));
        assert_eq!(slots.since(Timestamp(10)), 2);
    }
}
