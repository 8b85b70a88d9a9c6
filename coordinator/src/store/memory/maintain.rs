//! Upkeep of the memory store: dead sessions, back-offs that ran out, old answers, finished sweeps.

use descent_spec::id::Timestamp;

use super::super::Maintained;
use super::tables::Tables;
use crate::core::REQUESTS_KEPT_MS;
use crate::core::lease::{self, SessionPhase};
use crate::core::retry::RetryPolicy;
use crate::core::trial::{Event, TrialPhase};

impl Tables {
    pub(super) fn maintain(&mut self, now: Timestamp) -> Maintained {
        let (sessions_expired, trials_suspected) = self.expire(now, |session, now| {
            lease::at(session.phase, now) == SessionPhase::Expired
        });
        let policy = RetryPolicy::default();
        let due: Vec<i64> = self
            .trials
            .iter()
            .filter(|(_, entry)| {
                matches!(entry.trial.phase, TrialPhase::Delayed { until } if policy.is_over(until, now))
            })
            .map(|(id, _)| *id)
            .collect();
        for &id in &due {
            self.apply(id, Event::Promote, now);
        }
        self.replies
            .retain(|_, (at, _, _)| at.plus_ms(REQUESTS_KEPT_MS) > now);
        Maintained {
            sessions_expired,
            trials_suspected,
            trials_promoted: due.len() as u64,
            sweeps_finished: self.settle(now),
        }
    }
}
